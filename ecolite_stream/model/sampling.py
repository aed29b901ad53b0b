"""Which frame stands for which segment, offline and online. Pure: no clock, no I/O."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

FloatTimes = npt.NDArray[np.float64]


def segment_frames(num_frames: int, num_segments: int) -> list[int]:
    """The published test rule: the middle frame of each of N equal segments of a clip.

    Args:
        num_frames: F, frames of the clip, at least 1.
        num_segments: N.

    Returns:
        N frame numbers, floor(F / N / 2 + i * F / N) for segment i; repeated where F < N.
        Computed exactly: the published code rounds, and is a frame lower at some F for N = 12.
    """
    return [(2 * i + 1) * num_frames // (2 * num_segments) for i in range(num_segments)]


def evenly(available: int, wanted: int) -> list[int]:
    """At most `wanted` positions spread evenly over `available` ones, the newest always among them.

    Returns:
        Ascending positions in [0, available); all of them where `wanted` is not less.
    """
    if wanted >= available:
        return list(range(available))
    return [(i + 1) * available // wanted - 1 for i in range(wanted)]


def nearest(times_s: ArrayLike, targets_s: ArrayLike) -> list[int]:
    """For each target time the position of the nearest of `times_s`; the first of equals."""
    distances = np.abs(np.subtract.outer(np.asarray(targets_s), np.asarray(times_s)))
    return [int(position) for position in distances.argmin(axis=1)]


def segment_times(newest_s: float, span_s: float, num_segments: int) -> FloatTimes:
    """The moments that N segments of a window stand for, oldest first: (N,) float64 seconds.

    A window always spans its full seconds, whatever has been seen of it: each segment is
    `span_s / num_segments` long, `newest_s` is the middle of the last one, and `nearest` lets the
    first frame stand in where the stream or the clip had not begun. Live streams and training
    both choose by this rule, so that an action keeps its speed.
    """
    ages = np.arange(num_segments - 1, -1, -1)
    return newest_s - ages * (span_s / num_segments)


class Ticker:
    """Tells when something is due that happens every `period_s` seconds of stream time.

    Ticks lie on a fixed grid from the first frame on, so that neither dropped frames nor an uneven
    frame rate shift it. The frame nearest to a tick takes it, as far as that can be known when a
    frame comes: half a frame interval early counts as on time. Ticks that pass between two frames
    are not made up for.

    Args:
        period_s: seconds between two ticks.
        first_after_s: seconds from the first frame asked about to the first tick.
    """

    _SLACK_S = 1e-6  # timestamps are rounded

    def __init__(self, period_s: float, first_after_s: float = 0.0) -> None:
        self.period_s = period_s
        self._first_after_s = first_after_s
        self._first_tick_s = 0.0
        self._last_s: float | None = None
        self._interval_s = math.inf
        self._next = 0

    def due(self, time_s: float) -> bool:
        """Whether the frame at `time_s` takes a tick; asked once a frame, in their order."""
        early_s = 0.0
        if self._last_s is None:
            self._first_tick_s = time_s + self._first_after_s
        else:
            interval_s = time_s - self._last_s
            # The shorter of two intervals: a hole does not tell when the next frame comes.
            early_s = min(interval_s, self._interval_s, self.period_s) / 2
            self._interval_s = interval_s
        self._last_s = time_s
        elapsed_s = time_s + early_s + self._SLACK_S - self._first_tick_s
        if elapsed_s < self._next * self.period_s:
            return False
        self._next = int(elapsed_s / self.period_s) + 1
        return True
