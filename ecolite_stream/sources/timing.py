"""Stream time of frames, in seconds from the first frame."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction

from av import VideoFrame

_log = logging.getLogger(__name__)

# A step back of less is a frame or two out of order.
_DISCONTINUITY_S = 1


class RecordedTimes:
    """Times from the timestamps of a recording; those missing or going backwards are repaired.

    A repaired frame comes one frame period after the one before. Where the timestamps start
    again (recordings that were joined), everything after goes on from there.
    """

    def __init__(self, name: str, time_base: Fraction, rate: Fraction, *, use_dts: bool) -> None:
        """Args:
        name: the source, for the warning.
        time_base: seconds of one tick.
        rate: frames per second, for repairs.
        use_dts: take decoding times, for containers that store no presentation times.
        """
        self._name = name
        self._time_base = time_base
        self._period_s = 1 / rate
        self._use_dts = use_dts
        self._shift_s: Fraction | None = None
        self._last_s: Fraction | None = None
        self._warned = False

    def time_s(self, picture: VideoFrame) -> float:
        """Stream time of the next decoded picture, in seconds; more than that of the last."""
        ticks = picture.dts if self._use_dts else picture.pts
        expected_s = Fraction(0) if self._last_s is None else self._last_s + self._period_s
        if ticks is None:
            self._last_s = expected_s
            if not self._use_dts:  # the last pictures of a decoder have none
                self._warn()
        else:
            self._last_s = self._checked(ticks * self._time_base, expected_s)
        return float(self._last_s)

    def _checked(self, stamp_s: Fraction, expected_s: Fraction) -> Fraction:
        if self._shift_s is None:
            self._shift_s = expected_s - stamp_s
        time_s = stamp_s + self._shift_s
        if self._last_s is None or time_s > self._last_s:
            return time_s
        if time_s < self._last_s - _DISCONTINUITY_S:
            self._shift_s = expected_s - stamp_s
        self._warn()
        return expected_s

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s: timestamps from %.1f s on are missing or go backwards; repaired from the "
                "frame rate, %.4g per second",
                self._name,
                self._last_s or 0,
                1 / self._period_s,
            )


class ArrivalTimes:
    """Times at which pictures arrive, on a monotonic clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Args:
        clock: seconds, never going backwards.
        """
        self._clock = clock
        self._start_s: float | None = None

    def time_s(self, picture: VideoFrame) -> float:
        """Seconds since the first picture."""
        now_s = self._clock()
        if self._start_s is None:
            self._start_s = now_s
        return now_s - self._start_s
