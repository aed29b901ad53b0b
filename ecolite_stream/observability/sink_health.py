"""Health of sinks, read from the metrics."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from prometheus_client import CollectorRegistry

_COUNTS = {
    "ecolite_sink_delivered_total": "delivered",
    "ecolite_sink_failures_total": "failures",
    "ecolite_sink_dropped_total": "dropped",
    "ecolite_sink_frames_dropped_total": "frames_dropped",
}

WORKS, TOO_SLOW, FAILS = "works", "too slow", "fails"
"""States of a sink, as the page displays them."""


@dataclass(frozen=True)
class SinkHealth:
    """Health of a sink.

    Attributes:
        name: as in logs and metrics.
        delivered: predictions and events it received, so far.
        failures: errors it raised, so far.
        dropped: predictions and events that never reached it, so far.
        frames_dropped: frames for which it had no room, so far.
        state: `FAILS` since it raised an error, `TOO_SLOW` since something was lost for other
            reasons, and `WORKS` again after a delivery without trouble.
    """

    name: str
    delivered: int = 0
    failures: int = 0
    dropped: int = 0
    frames_dropped: int = 0
    state: str = WORKS

    @property
    def losses(self) -> int:
        """All items that never reached it."""
        return self.dropped + self.frames_dropped

    def as_dict(self) -> dict[str, Any]:
        """Plain containers, for the page."""
        return asdict(self)


class SinkHealthReader:
    """Reads the health of sinks, without the page.

    Args:
        registry: of the run's `Metrics`.
        except_for: name of a sink to leave out.
    """

    def __init__(self, registry: CollectorRegistry, except_for: str | None = None) -> None:
        self._registry = registry.restricted_registry(_COUNTS)
        self._except_for = except_for
        self._before: dict[str, SinkHealth] = {}

    def read(self) -> list[SinkHealth]:
        """The health of every sink that has been sent something, by name."""
        counts: dict[str, dict[str, Any]] = {}
        for metric in self._registry.collect():
            for sample in metric.samples:
                name, count = sample.labels.get("sink"), _COUNTS.get(sample.name)
                if name is None or count is None or name == self._except_for:
                    continue
                known = counts.setdefault(name, {})
                known[count] = known.get(count, 0) + int(sample.value)
        self._before = {
            name: self._judged(SinkHealth(name, **counts[name])) for name in sorted(counts)
        }
        return list(self._before.values())

    def _judged(self, now: SinkHealth) -> SinkHealth:
        before = self._before.get(now.name, SinkHealth(now.name))
        took = now.delivered > before.delivered
        if now.failures > before.failures:
            return replace(now, state=FAILS)
        if before.state == FAILS and not took:  # losses now have that cause
            return replace(now, state=FAILS)
        if now.losses > before.losses:
            return replace(now, state=TOO_SLOW)
        return replace(now, state=WORKS if took else before.state)
