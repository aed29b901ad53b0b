"""Stream time of frames, in seconds from the first frame."""

from __future__ import annotations

import logging
from collections import deque
from fractions import Fraction
from typing import Protocol

from av import VideoFrame

_log = logging.getLogger(__name__)

# A step back of less is a frame or two out of order.
_DISCONTINUITY_S = 1

# Times are printed with three decimals.
_TICK_S = 1e-3


class StreamTimes(Protocol):
    """Gives every picture of a stream its time."""

    def time_s(self, picture: VideoFrame, arrived_s: float) -> float:
        """Stream time of the next decoded picture, in seconds.

        Args:
            picture: asked for its timestamps.
            arrived_s: when it was decoded, in seconds on a monotonic clock.
        """
        ...


class Ascending:
    """The last word on the times of a stream: each is more than the one before.

    A time that is not becomes a millisecond more than the one before.
    """

    def __init__(self) -> None:
        self._last_s: float | None = None

    def checked(self, time_s: float) -> float:
        """The time, in seconds, or the next one possible."""
        if self._last_s is not None and not time_s > self._last_s:
            time_s = self._last_s + _TICK_S
        self._last_s = time_s
        return time_s


class RecordedTimes:
    """Times from the timestamps of a recording; those missing or going backwards are repaired.

    A repaired frame comes one frame period after the one before. Where the timestamps start
    again (recordings that were joined), everything after goes on from there; a step back of up to
    one second counts as that when the frame after it is behind as well.
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
        self._behind_s: Fraction | None = None
        self._warned = False

    def time_s(self, picture: VideoFrame, arrived_s: float) -> float:
        """Stream time of the next decoded picture, in seconds; more than that of the last.

        Args:
            picture: asked for its timestamps.
            arrived_s: of no interest.
        """
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
        before_s, self._behind_s = self._behind_s, None
        if self._last_s is None or time_s > self._last_s:
            return time_s
        self._warn()
        goes_on = before_s is not None and stamp_s > before_s
        if goes_on or time_s < self._last_s - _DISCONTINUITY_S:
            self._shift_s = expected_s - stamp_s
        else:
            self._behind_s = stamp_s
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


# Timestamps that get ahead of the clock by more than this in one step have jumped.
_JUMP_S = 2.0
# How long the clock and the timestamps are compared before anything is concluded.
_BLOCK_S = 5.0
# Lateness of the most punctual picture of a block. More of it, and not getting less, is no stall.
_LATE_S = 1.0
_CATCHING_UP_S = 0.5
# Quartz is a hundred times better, and nobody sees frames 0.2 % closer together.
_MAX_SLEW = 0.002
# What a server may have in store when a stream begins; a playlist holds up to a minute.
_MAX_LEAD_S = 60.0
# So many new anchors in such a time, and the timestamps are worth nothing.
_MAX_ANCHORS, _ANCHORS_S = 3, 60.0


class LiveTimes:
    """Times of a live stream: its timestamps, anchored to a monotonic clock.

    The first picture has time 0, and pictures are as far apart as their timestamps say, however
    late they arrive: what comes in a burst after a stall, or out of a server's store, keeps its
    spacing. "Lead" is by how much a time is ahead of the clock; late pictures have a negative one.
    Pictures of the first 5 s that lead came out of a server's store: the start of the clock is set
    back until they are on time.

    - A jump is a new anchor: timestamps that step back by more than 1 s, or get ahead of the clock
      by more than 2 s in one step and further than they have been. The picture gets the time of
      the clock (plus the lead there was), and the timestamps count on from there.
    - A stall cannot be told from timestamps that stood still until pictures arrive: when the most
      punctual picture of 5 s is more than 1 s late, as it was in the 5 s before, and lateness does
      not shrink, that is a new anchor too.
    - Drift: the most punctual picture of every 5 s says how far the camera's clock is off; times
      follow by at most 0.2 % of their spacing.
    - A timestamp that is missing, repeated or up to 1 s behind counts for nothing: the picture is
      as long after the one before as it arrived after it. So a source without timestamps, or with
      nothing but zeros, has times of arrival.
    - Timestamps that need 3 new anchors within 60 s, or lead by more than 60 s, run at another
      speed than time does: from then on times are those of arrival.
    """

    def __init__(self, name: str, time_base: Fraction | None) -> None:
        """Args:
        name: the source, for warnings.
        time_base: seconds of one tick; None where timestamps mean nothing.
        """
        self._name = name
        self._time_base = time_base
        self._start_s: float | None = None
        self._clock_s = 0.0  # of the last picture, since the first
        self._stored_s = 0.0  # by which the start was set back
        self._last_s = 0.0
        self._stamp_s: Fraction | None = None
        self._shift_s = 0.0
        self._offset_s = 0.0  # the lead that is still to be slewed away
        self._anchors_s: deque[float] = deque(maxlen=_MAX_ANCHORS)
        self._start_blocks(0.0)
        self._warned = False

    def time_s(self, picture: VideoFrame, arrived_s: float) -> float:
        """Stream time of the next decoded picture, in seconds.

        Args:
            picture: asked for its timestamp.
            arrived_s: when it was decoded, in seconds on a monotonic clock.
        """
        if self._start_s is None:
            self._start_s = arrived_s
        clock_s = arrived_s - self._start_s
        carried_s = self._last_s + clock_s - self._clock_s
        if self._time_base is None or picture.pts is None:
            time_s = carried_s
        else:
            time_s = self._stamped_s(picture.pts * self._time_base, clock_s, carried_s)
        self._clock_s, self._last_s = arrived_s - self._start_s, time_s
        return time_s

    def _stamped_s(self, stamp_s: Fraction, clock_s: float, carried_s: float) -> float:
        before_s, self._stamp_s = self._stamp_s, stamp_s
        if before_s is None:
            self._shift_s = carried_s - float(stamp_s)
            return carried_s
        step_s = float(stamp_s - before_s)
        if -_DISCONTINUITY_S <= step_s <= 0:
            return carried_s
        self._slew(step_s)
        time_s = float(stamp_s) + self._shift_s
        lead_s = time_s - clock_s
        usual_s = max(self._best_lead_s, self._best_before_s)
        ahead = time_s - carried_s > _JUMP_S and lead_s > usual_s + _JUMP_S
        if step_s < 0 or ahead:
            return self._anchored_s(stamp_s, clock_s, carried_s, "jump")
        if time_s <= self._last_s:  # what follows a small step back
            self._shift_s = carried_s - float(stamp_s)
            return carried_s
        if lead_s > 0 and clock_s - self._stored_s < _BLOCK_S:
            self._begin_earlier(lead_s)
            return time_s
        if self._stands_still(lead_s, clock_s):
            return self._anchored_s(stamp_s, clock_s, carried_s, "fall behind")
        if self._best_lead_s > _MAX_LEAD_S:
            self._give_up()
        return time_s

    def _begin_earlier(self, lead_s: float) -> None:
        """Set the start of the clock back, so that a picture out of a store is on time."""
        assert self._start_s is not None
        self._start_s -= lead_s
        self._stored_s += lead_s
        if self._stored_s > _MAX_LEAD_S:
            self._give_up()

    def _anchored_s(self, stamp_s: Fraction, clock_s: float, carried_s: float, what: str) -> float:
        """The time of a picture at a discontinuity, from which its timestamps count on."""
        time_s = max(clock_s, carried_s)
        self._shift_s = time_s - float(stamp_s)
        self._offset_s = 0.0
        self._start_blocks(clock_s, time_s - clock_s)
        self._anchors_s.append(clock_s)
        if len(self._anchors_s) == _MAX_ANCHORS and clock_s - self._anchors_s[0] < _ANCHORS_S:
            self._give_up()
        elif not self._warned:
            self._warned = True
            _log.warning(
                "%s: timestamps %s at %.1f s; times go on from the clock", self._name, what, time_s
            )
        return time_s

    def _give_up(self) -> None:
        self._time_base = None
        _log.warning(
            "%s: timestamps do not run with the clock; from %.1f s on, times are those of arrival",
            self._name,
            self._last_s,
        )

    def _start_blocks(self, clock_s: float, lead_s: float = 0.0) -> None:
        self._block_end_s = clock_s + _BLOCK_S
        self._best_lead_s = lead_s
        self._best_before_s = 0.0

    def _stands_still(self, lead_s: float, clock_s: float) -> bool:
        """Compare the next picture with the clock; True if its lateness is there to stay."""
        if clock_s < self._block_end_s:
            self._best_lead_s = max(self._best_lead_s, lead_s)
            return False
        best_s, before_s = self._best_lead_s, self._best_before_s
        self._start_blocks(clock_s, lead_s)
        self._best_before_s = best_s
        self._offset_s = best_s
        return max(best_s, before_s) < -_LATE_S and best_s - before_s < _CATCHING_UP_S

    def _slew(self, step_s: float) -> None:
        most_s = _MAX_SLEW * max(step_s, 0.0)
        change_s = min(max(self._offset_s, -most_s), most_s)
        self._shift_s -= change_s
        self._offset_s -= change_s
