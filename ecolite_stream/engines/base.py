"""What an engine is: something that runs the two graphs of a bundle."""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold an interruption back until the block is done.

    MindSpore that is interrupted while it is imported takes the process down with it.

    Raises:
        KeyboardInterrupt: there was one; at the end of the block.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    received: list[object] = []
    handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    ours = {kind: handler for kind, handler in handlers.items() if callable(handler)}
    for kind in ours:
        signal.signal(kind, lambda *what: received.append(what))
    try:
        yield
    finally:
        for kind, handler in ours.items():
            signal.signal(kind, handler)
    if received:
        raise KeyboardInterrupt


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
