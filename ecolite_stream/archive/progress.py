"""How far an archive is, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable

from ecolite_stream.archive.tasks import Task

_EVERY_S = 10.0


class Progress:
    """Reports recordings done and time left, every ten seconds.

    Time left assumes that every byte of the recordings takes as long as those of this run so far.

    Args:
        count: recordings in all.
        finished: how many are finished already.
        left_bytes: of those that are not.
        report: called with a line.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        count: int,
        finished: int,
        left_bytes: int,
        report: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._finished = finished
        self._left_bytes = left_bytes
        self._done_bytes = 0
        self._report = report
        self._clock = clock
        self._began_s = self._reported_s = clock()

    def ended(self, task: Task) -> None:
        """A recording is done or given up."""
        self._finished += 1
        self._done_bytes += task.size_bytes
        self._left_bytes -= task.size_bytes

    def tick(self) -> None:
        """Report if it is time to."""
        now_s = self._clock()
        if now_s - self._reported_s >= _EVERY_S:
            self._reported_s = now_s
            self._report(self.line())

    def line(self) -> str:
        """Such as `12 of 200 recordings, about 3 min left`."""
        done = f"{self._finished} of {self._count} recordings"
        if not self._done_bytes:
            return done
        taken_s = self._clock() - self._began_s
        return f"{done}, about {duration(taken_s * self._left_bytes / self._done_bytes)} left"


def duration(seconds: float) -> str:
    """Such as `40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
