"""Sampling of frames for segments, offline and online. Pure: no clock, no I/O."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # see ecolite_stream/types.py
    import numpy as np
    import numpy.typing as npt
    from numpy.typing import ArrayLike

FloatTimes: TypeAlias = "npt.NDArray[np.float64]"


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
    """At most `wanted` positions spread evenly over `available` ones, always with the newest.

    Returns:
        Ascending positions in [0, available); all of them where `wanted` is not less.
    """
    if wanted >= available:
        return list(range(available))
    return [(i + 1) * available // wanted - 1 for i in range(wanted)]


def nearest(times_s: ArrayLike, targets_s: ArrayLike) -> list[int]:
    """For each target time the position of the nearest of `times_s`; the first of equals."""
    import numpy as np

    distances = np.abs(np.subtract.outer(np.asarray(targets_s), np.asarray(times_s)))
    return [int(position) for position in distances.argmin(axis=1)]


def segment_times(newest_s: float, span_s: float, num_segments: int) -> FloatTimes:
    """The middles of the N segments of a window, oldest first: (N,) float64 seconds.

    Each segment is `span_s / num_segments` long; `newest_s` is the middle of the last one. Before
    the stream or clip begins, `nearest` repeats the first frame. Live streams and training share
    this rule, so that an action keeps its speed.
    """
    import numpy as np

    ages = np.arange(num_segments - 1, -1, -1)
    return newest_s - ages * (span_s / num_segments)


class Ticker:
    """Ticks every `period_s` seconds of stream time.

    Ticks lie on a fixed grid from the first frame, so dropped frames and an uneven frame rate do
    not shift it. A frame up to half a frame interval early takes a tick. Ticks that pass between
    two frames are skipped.

    Args:
        period_s: seconds between two ticks.
        first_after_s: seconds from the first frame to the first tick.
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
        """Whether the frame at `time_s` takes a tick; call once for each frame, in order."""
        early_s = 0.0
        if self._last_s is None:
            self._first_tick_s = time_s + self._first_after_s
        else:
            interval_s = time_s - self._last_s
            # The shorter of two intervals: a gap does not predict the next frame.
            early_s = min(interval_s, self._interval_s, self.period_s) / 2
            self._interval_s = interval_s
        self._last_s = time_s
        elapsed_s = time_s + early_s + self._SLACK_S - self._first_tick_s
        if elapsed_s < self._next * self.period_s:
            return False
        self._next = int(elapsed_s / self.period_s) + 1
        return True
