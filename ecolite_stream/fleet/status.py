"""The state of a fleet, from its tables."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ecolite_stream.fleet.config import Fleet
from ecolite_stream.fleet.leases import CAMERA, MACHINE, SUPERVISOR
from ecolite_stream.fleet.ledger import Ledger
from ecolite_stream.fleet.rollout import Turn


@dataclass(frozen=True)
class MachineStatus:
    """A machine.

    Attributes:
        machine: its name.
        state: `up`, `lost`, `left` (it released its lease) or `never seen`.
        capacity: in cameras at full rate.
        cameras: number of cameras whose lease it holds.
        assigned: number of cameras that it is to watch.
        share: of the full rate, of its cameras; 1 without any.
        lease_age_s: seconds since its lease began; None unless it is up.
        supervisor: whether it assigns the cameras.
    """

    machine: str
    state: str
    capacity: float
    cameras: int
    assigned: int
    share: float
    lease_age_s: float | None
    supervisor: bool

    def as_dict(self) -> dict[str, Any]:
        """The machine as a line of JSON carries it."""
        return dataclasses.asdict(self)


def read_status(fleet: Fleet, ledger: Ledger) -> tuple[list[MachineStatus], list[str]]:
    """(machines, cameras that no machine watches).

    Raises:
        StoreError: the store cannot be used.
    """
    with ledger.begin() as table:
        machines = {one.name: one for one in table.current(MACHINE)}
        held = [one for one in table.current(CAMERA) if not one.is_over(table.now_ms)]
        bosses = [one for one in table.current(SUPERVISOR) if not one.is_over(table.now_ms)]
        assigned = table.assignments()
    counts = Counter(one.holder for one in held)
    places = Counter(one.machine for one in assigned.values())
    shares = {one.machine: one.share for one in assigned.values()}

    def status(name: str) -> MachineStatus:
        lease = machines.get(name)
        is_up = lease is not None and not lease.is_over(table.now_ms)
        state = "never seen"
        if lease is not None:
            state = "up" if is_up else "left" if lease.released else "lost"
        return MachineStatus(
            *(name, state, fleet.config.machines[name].capacity, counts[name], places[name]),
            shares.get(name, 1.0),
            (table.now_ms - lease.begins_ms) / 1000 if lease is not None and is_up else None,
            any(boss.holder == name for boss in bosses),
        )

    watched = {one.name for one in held}
    names = [camera.name for camera in fleet.cameras]
    return [status(name) for name in fleet.config.machines], [n for n in names if n not in watched]


def table_lines(machines: list[MachineStatus], unwatched: list[str]) -> Iterator[str]:
    """The state as a table for people."""
    width = max(7, *(len(one.machine) for one in machines))
    yield f"{'machine':{width}}  {'state':10}  {'cameras':>7}  {'capacity':>8}  {'rate':>5}  lease"
    for one in machines:
        age = "-" if one.lease_age_s is None else f"{one.lease_age_s:.0f} s"
        boss = "  supervisor" if one.supervisor else ""
        yield (
            f"{one.machine:{width}}  {one.state:10}  {one.cameras:7}  {one.capacity:8g}  "
            f"{one.share:5.0%}  {age}{boss}"
        )
    if unwatched:
        yield f"not watched: {', '.join(unwatched)}"


def rollout_lines(turns: Sequence[Turn]) -> Iterator[str]:
    """A line for each machine of the last rollout."""
    for one in turns:
        reason = f": {one.message}" if one.message else ""
        yield f"bundle {one.digest[:12]}: {one.machine} {one.state}{reason}"
