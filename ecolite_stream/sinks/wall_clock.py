"""When things were by the time of day, for streams that are live."""

from __future__ import annotations

from collections.abc import Callable

from ecolite_stream.types import Event, Prediction


class WallClock:
    """Turns stream time into the time of day, from when the frames behind predictions arrived.

    Of a recording the result means nothing: its stream time has no date.

    Args:
        clock: the time of day, in seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._zero_unix_s: dict[str, float] = {}  # when a stream's time was 0, by its name

    def observe(self, prediction: Prediction) -> None:
        """Take a prediction that has just been delivered."""
        arrived_unix_s = self._clock() - (prediction.latency_ms or 0) / 1e3
        self._zero_unix_s[prediction.stream] = arrived_unix_s - prediction.time_s

    def zero_unix_s(self, event: Event) -> float:
        """When the time of the event's stream was 0; as if it were told at once if unknown."""
        zero = self._zero_unix_s.get(event.stream)
        if zero is None:
            return self._clock() - (event.start_s if event.end_s is None else event.end_s)
        return zero
