"""What an engine is: something that runs the two graphs of a bundle."""

from __future__ import annotations

from typing import Protocol

from ecolite_stream.types import FloatArray


class Engine(Protocol):
    """Runs the frame encoder and the clip head of one bundle; made by `open_engine`.

    An engine has no memory of frames: what one call returns depends on its arguments alone.
    It is warm when its constructor returns: the first call is as fast as the next. One thread
    calls it.

    Attributes:
        name: as in `--engine`.
    """

    name: str

    def encode(self, images: FloatArray) -> FloatArray:
        """(K, 3, S, S) float32 -> features (K, *feature_shape) float32, K >= 1."""

    def classify(self, features: FloatArray) -> FloatArray:
        """(B, N, *feature_shape) float32 -> logits (B, classes) float32, B >= 1."""

    def close(self) -> None:
        """Free what the engine holds; it is of no use afterwards."""
