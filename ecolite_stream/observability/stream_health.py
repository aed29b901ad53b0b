"""Health of streams, read from the metrics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prometheus_client import CollectorRegistry

_READ = "ecolite_frames_read_total"
_DROPPED = "ecolite_frames_dropped_total"
_RECONNECTS = "ecolite_stream_reconnects_total"
_AGE = "ecolite_label_age_seconds"
_STATE = "ecolite_stream_state"
_NAMES = (_READ, _DROPPED, _RECONNECTS, _AGE, _STATE)
RATES_OVER_S = 5.0


@dataclass(frozen=True)
class Health:
    """Health of a stream.

    Attributes:
        state: one of `metrics.STATES`; empty before it begins.
        frames: frames read so far.
        fps: frames read a second, over the last seconds; None while unknown.
        dropped: due frames that were not encoded, so far.
        dropping: of those a second, over the last seconds; None while unknown.
        reconnects: times it was opened again.
        label_age_s: seconds since the frame behind its newest label arrived; None without one.
    """

    state: str = ""
    frames: int = 0
    fps: float | None = None
    dropped: int = 0
    dropping: float | None = None
    reconnects: int = 0
    label_age_s: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain containers, for the page."""
        return {
            key: round(value, 2) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }


class HealthReader:
    """Reads the health of streams; its rates are over the readings of the last seconds.

    Args:
        registry: of the run's `Metrics`.
        streams: their names, or a function that returns them.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        streams: Sequence[str] | Callable[[], Sequence[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry.restricted_registry(_NAMES)
        self._streams = streams if callable(streams) else lambda: streams
        self._clock = clock
        self._readings: deque[tuple[float, dict[str, Health]]] = deque()

    def read(self) -> dict[str, Health]:
        """The health of every stream by name, in their order."""
        names = self._streams()
        now_s, now = self._clock(), self._count(names)
        while len(self._readings) > 1 and now_s - self._readings[1][0] >= RATES_OVER_S:
            self._readings.popleft()
        self._readings.append((now_s, now))
        before_s, before = self._readings[0]
        return {
            name: _with_rates(before[name], one, now_s - before_s) if name in before else one
            for name, one in now.items()
        }

    def _count(self, names: Sequence[str]) -> dict[str, Health]:
        facts: dict[str, dict[str, Any]] = {name: {"dropped": 0} for name in names}
        for metric in self._registry.collect():
            for sample in metric.samples:
                known = facts.get(sample.labels.get("stream", ""))
                if known is None:
                    continue
                if sample.name == _STATE and sample.value:
                    known["state"] = sample.labels[_STATE]
                elif sample.name == _DROPPED:
                    known["dropped"] += int(sample.value)
                elif sample.name == _AGE:
                    of_views = (sample.value, known.get("label_age_s", sample.value))
                    known["label_age_s"] = min(of_views)
                elif sample.name in _COUNTS:
                    known[_COUNTS[sample.name]] = int(sample.value)
        return {name: Health(**known) for name, known in facts.items()}


_COUNTS = {_READ: "frames", _RECONNECTS: "reconnects"}


def _with_rates(before: Health, now: Health, seconds: float) -> Health:
    if seconds <= 0 or now.frames < before.frames:  # it was removed and added again
        return now
    facts = asdict(now)
    facts["fps"] = (now.frames - before.frames) / seconds
    facts["dropping"] = (now.dropped - before.dropped) / seconds
    return Health(**facts)
