"""Metrics of the whole fleet, read from the store when Prometheus asks."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ecolite_stream.errors import EcoliteError, one_line
from ecolite_stream.fleet.status import FleetStatus, MachineStatus

_log = logging.getLogger(__name__)

Values = list[tuple[tuple[str, ...], float | None]]
"""(label values, value) of each series; None has none."""
_WAIT_S = 2.0
_RETRY_S = 5.0
_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "store_up": ("1 if the store has answered", ()),
    "machines": ("Machines that the fleet names", ()),
    "machines_up": ("Machines that hold their leases", ()),
    "cameras_watched": ("Cameras that a machine watches", ()),
    "cameras_unwatched": ("Cameras that no machine watches", ()),
    "machine_up": ("1 for a machine that holds its lease", ("machine",)),
    "machine_cameras": ("Cameras whose lease it holds", ("machine",)),
    "machine_load": ("Load of those cameras", ("machine",)),
    "machine_capacity": ("Load that it carries at full rate", ("machine",)),
    "machine_rate_ratio": ("Rate of its cameras, as a share of the full one", ("machine",)),
    "machine_supervises": ("1 for the machine that assigns the cameras", ("machine",)),
    "lease_age_seconds": ("Time since its lease began", ("machine",)),
    "renewal_age_seconds": ("Time since it renewed its lease", ("machine",)),
    "stream_up": ("1 for a camera that is watched and live", ("stream", "machine")),
}
"""What each counts, and its labels beside `fleet`."""


class FleetMetrics(Collector):
    """`ecolite_fleet_*`. A machine or camera that the fleet does not name has no series.

    A scrape waits for the store for at most 2 s, and not at all for 5 s after it did not answer.

    Args:
        fleet: its name.
        read: asks the store; raises an EcoliteError where that fails.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        fleet: str,
        read: Callable[[], FleetStatus],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet = fleet
        self._read = read
        self._clock = clock
        self._executor = ThreadPoolExecutor(1, "fleet metrics")
        self._reading: Future[FleetStatus] | None = None
        self._retry_at_s = -math.inf

    def close(self) -> None:
        """Read nothing more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def describe(self) -> Iterable[Metric]:
        """All metrics without a value; it asks no store."""
        return [self._family(name) for name in _GAUGES]

    def collect(self) -> Iterator[Metric]:
        """All metrics; of a store that does not answer only `store_up`, 0."""
        status = self._status()
        values: dict[str, Values] = {"store_up": [((), status is not None)]}
        if status is not None:
            values |= {**_of_fleet(status), **_of_machines(status.machines)}
            values["stream_up"] = [
                ((one.stream, one.machine or ""), one.machine is not None and one.state == "live")
                for one in status.cameras
            ]
        for name, samples in values.items():
            family = self._family(name)
            for labels, value in samples:
                if value is not None:
                    family.add_metric([self._fleet, *labels], value)
            yield family

    def _family(self, name: str) -> GaugeMetricFamily:
        what, labels = _GAUGES[name]
        return GaugeMetricFamily(f"ecolite_fleet_{name}", what, labels=["fleet", *labels])

    def _status(self) -> FleetStatus | None:
        """The state now; None where the store does not answer."""
        if self._clock() < self._retry_at_s:
            return None
        if self._reading is not None and not self._reading.done():
            return None  # the one before still waits
        self._reading = self._executor.submit(self._read)
        try:
            return self._reading.result(_WAIT_S)
        except (TimeoutError, EcoliteError) as error:
            _log.info("fleet metrics: %s", one_line(error) or "the store does not answer")
            self._retry_at_s = self._clock() + _RETRY_S
            return None


def _of_fleet(status: FleetStatus) -> dict[str, Values]:
    unwatched = len(status.unwatched)
    counts = {
        "machines": len(status.machines),
        "machines_up": sum(one.state == "up" for one in status.machines),
        "cameras_watched": len(status.cameras) - unwatched,
        "cameras_unwatched": unwatched,
    }
    return {name: [((), count)] for name, count in counts.items()}


def _of_machines(machines: Sequence[MachineStatus]) -> dict[str, Values]:
    facts: list[dict[str, float | None]] = [
        {
            "machine_up": one.state == "up",
            "machine_cameras": one.cameras,
            "machine_load": one.load,
            "machine_capacity": one.capacity,
            "machine_rate_ratio": one.share,
            "machine_supervises": one.supervisor,
            "lease_age_seconds": one.lease_age_s,
            "renewal_age_seconds": one.renewal_age_s,
        }
        for one in machines
    ]
    return {
        name: [((one.machine,), row[name]) for one, row in zip(machines, facts, strict=True)]
        for name in facts[0]
    }
