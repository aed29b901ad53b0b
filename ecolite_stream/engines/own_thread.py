"""An engine in a thread of its own, so that other threads go on while it is opened."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ecolite_stream.engines.base import Engine
from ecolite_stream.types import FloatArray


class OwnThreadEngine:
    """An engine that one thread opens, calls and closes; others wait for its results.

    Args:
        open_engine: makes a warm engine.

    Raises:
        EcoliteError: of `open_engine`.
    """

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="own engine")
        try:
            self._engine = self._thread.submit(open_engine).result()
        except BaseException:
            self._thread.shutdown()
            raise
        self.name = self._engine.name

    def encode(self, images: FloatArray) -> FloatArray:
        """See `Engine`."""
        return self._thread.submit(self._engine.encode, images).result()

    def classify(self, features: FloatArray) -> FloatArray:
        """See `Engine`."""
        return self._thread.submit(self._engine.classify, features).result()

    def close(self) -> None:
        """See `Engine`."""
        try:
            self._thread.submit(self._engine.close).result()
        finally:
            self._thread.shutdown()
