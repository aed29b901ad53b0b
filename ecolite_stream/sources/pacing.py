"""Play a recording at its own speed."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

from ecolite_stream.sources.base import Source
from ecolite_stream.types import Frame


class Paced(Source):
    """Delays every frame of a source until its time.

    No frame is lost: after a slow consumer late frames come at once. Like a camera's, frames arrive
    when they are returned.
    """

    def __init__(
        self,
        source: Source,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Args:
        source: frames with the times of a recording; closed together with this.
        clock: seconds, monotonic.
        wait: waits for a number of seconds; returns True early if the source is closed.
        """
        self.name = source.name
        self.live = source.live
        self._source = source
        self._clock = clock
        self._closing = threading.Event()
        self._wait = self._closing.wait if wait is None else wait
        self._start_s: float | None = None

    def __next__(self) -> Frame:
        frame = next(self._source)
        if self._start_s is None:
            self._start_s = self._clock() - frame.time_s
        delay_s = self._start_s + frame.time_s - self._clock()
        if delay_s > 0 and self._wait(delay_s):
            raise StopIteration
        return dataclasses.replace(frame, arrived_s=self._clock())

    def close(self) -> None:
        """End the waiting and close the source."""
        self._closing.set()
        self._source.close()
