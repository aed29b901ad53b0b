"""The time of day of streams, read only here."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from ecolite_stream.types import Sample, StreamAnchor


class WallClock:
    """Anchors stream time to the time of day.

    Args:
        time_of_day: seconds since 1970.
        monotonic: seconds; the clock of `Sample.arrived_s`.
    """

    def __init__(
        self,
        time_of_day: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._time_of_day = time_of_day
        self.monotonic = monotonic

    def anchor(self, sample: Sample, live: bool) -> StreamAnchor:
        """The anchor of a stream, from its first sample."""
        age_s = 0.0 if sample.arrived_s is None else self.monotonic() - sample.arrived_s
        zero_unix_s = self._time_of_day() - age_s - sample.time_s
        zero_unix_ms = max(0, round(1000 * zero_unix_s))  # an unset clock shows 1970
        return StreamAnchor(sample.stream, zero_unix_ms, live, secrets.token_hex(16))
