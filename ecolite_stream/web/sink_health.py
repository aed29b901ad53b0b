"""How each sink is, read from what a run counts anyway."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from prometheus_client import CollectorRegistry

from ecolite_stream.web.board import Board

_COUNTS = {
    "ecolite_sink_delivered_total": "delivered",
    "ecolite_sink_failures_total": "failures",
    "ecolite_sink_dropped_total": "dropped",
    "ecolite_sink_frames_dropped_total": "frames_dropped",
}


@dataclass(frozen=True)
class SinkHealth:
    """How a sink is.

    Attributes:
        name: as logs and metrics call it.
        delivered: predictions and events it took, so far.
        failures: errors it raised, so far.
        dropped: predictions and events that never reached it, so far.
        frames_dropped: frames for which it had no room, so far.
        failing: whether the last that is known of it is one of those three, not that it took any.
    """

    name: str
    delivered: int = 0
    failures: int = 0
    dropped: int = 0
    frames_dropped: int = 0
    failing: bool = False

    @property
    def troubles(self) -> int:
        """Everything that went wrong."""
        return self.failures + self.dropped + self.frames_dropped

    def as_dict(self) -> dict[str, Any]:
        """As the page gets it."""
        return asdict(self)


class SinkHealthReader:
    """Reads the health of sinks; the page itself is none of them.

    Args:
        registry: where a run counts, see `metrics.Metrics`.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry.restricted_registry(_COUNTS)
        self._before: dict[str, SinkHealth] = {}

    def read(self) -> list[SinkHealth]:
        """The health of every sink that has been sent something, by name."""
        counts: dict[str, dict[str, Any]] = {}
        for metric in self._registry.collect():
            for sample in metric.samples:
                name, count = sample.labels.get("sink"), _COUNTS.get(sample.name)
                if name is None or count is None or name == Board.__name__:
                    continue
                known = counts.setdefault(name, {})
                known[count] = known.get(count, 0) + int(sample.value)
        self._before = {
            name: self._judged(SinkHealth(name, **counts[name])) for name in sorted(counts)
        }
        return list(self._before.values())

    def _judged(self, now: SinkHealth) -> SinkHealth:
        before = self._before.get(now.name, SinkHealth(now.name))
        if now.troubles > before.troubles:
            return replace(now, failing=True)
        return replace(now, failing=before.failing and now.delivered == before.delivered)
