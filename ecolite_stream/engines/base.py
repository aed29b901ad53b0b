"""What an engine is: something that runs the two graphs of a bundle."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

import numpy as np

from ecolite_stream.bundle import ModelSpec
from ecolite_stream.errors import EngineError
from ecolite_stream.types import FloatArray


class Engine(Protocol):
    """Runs the frame encoder and the clip head of one bundle; made by `open_engine`.

    An engine has no memory of frames: what one call returns depends on its arguments alone, and
    the next call leaves it as it is. It is warm when its constructor returns: the first call is
    as fast as the next. One thread at a time calls it.

    Attributes:
        name: as in `--engine`.
    """

    name: str

    def encode(self, images: FloatArray) -> FloatArray:
        """(K, 3, S, S) float32 -> features (K, *feature_shape) float32, K >= 1.

        Raises:
            EngineError: it cannot compute them.
        """
        ...

    def classify(self, features: FloatArray) -> FloatArray:
        """(B, N, *feature_shape) float32 -> logits (B, classes) float32, B >= 1.

        Raises:
            EngineError: it cannot compute them.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds; it is of no use afterwards."""


def import_library(name: str, requirement: str) -> Any:
    """The inference library of an engine that has the library's name.

    Args:
        name: of the module.
        requirement: what pip installs it with.

    Raises:
        EngineError: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise _broken(name, error) from error
        raise EngineError(
            f"engine {name} is not installed; run pip install '{requirement}'"
        ) from error
    except (ImportError, OSError, AttributeError) as error:  # versions that do not go together
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> EngineError:
    return EngineError(
        f"engine {name} is installed but cannot be imported: {error}; install it again"
    )


def warm_up(engine: Engine, spec: ModelSpec) -> None:
    """Run both graphs once, and see whether they are what the bundle says.

    Raises:
        EngineError: they are not.
    """
    size = spec.preprocessing.image_size
    features = engine.encode(np.zeros((1, 3, size, size), np.float32))
    _expect(engine, "features", features, (1, *spec.feature_shape))
    logits = engine.classify(np.repeat(features[None], spec.num_segments, axis=1))
    _expect(engine, "logits", logits, (1, len(spec.labels)))


def _expect(engine: Engine, what: str, found: FloatArray, shape: tuple[int, ...]) -> None:
    if found.shape != shape:
        raise EngineError(
            f"engine {engine.name} makes {what} of shape {found.shape}, the bundle says {shape}; "
            "export the bundle again"
        )
