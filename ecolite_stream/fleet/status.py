"""The state of a fleet, from its tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ecolite_stream.fleet.config import Fleet
from ecolite_stream.fleet.leases import CAMERA, MACHINE, SUPERVISOR, Lease
from ecolite_stream.fleet.ledger import Assignment, Transaction, database_now_ms
from ecolite_stream.fleet.reports import MachineReport, Newest, StreamReport, read_reports
from ecolite_stream.fleet.rollout import Turn, read_turns
from ecolite_stream.fleet.versions import current_fleet


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
        site: where it stands; may be empty.
        load: of the cameras whose lease it holds, in the unit of `capacity`.
        renewal_age_s: seconds since it last renewed its lease; None if it was never seen.
        bundle: digest of its bundle; None unless it is up and has reported.
    """

    machine: str
    state: str
    capacity: float
    cameras: int
    assigned: int
    share: float
    lease_age_s: float | None
    supervisor: bool
    site: str
    load: float
    renewal_age_s: float | None
    bundle: str | None

    def as_dict(self) -> dict[str, Any]:
        """The machine as a line of JSON carries it."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class CameraStatus:
    """A camera.

    Attributes:
        stream: its name.
        machine: that holds its lease; None where none does.
        assigned: machine that is to watch it; None where none may.
        share: of the full rate; 1 where it is not assigned.
        watched_s: seconds since its lease began; None without one.
        state: of the stream, as its machine reports: one of `metrics.STATES`; empty if unknown.
        fps: frames read a second; None if unknown.
        newest: predictions, one for each view.
    """

    stream: str
    machine: str | None
    assigned: str | None
    share: float
    watched_s: float | None
    state: str
    fps: float | None
    newest: tuple[Newest, ...]


@dataclass(frozen=True)
class FleetStatus:
    """A fleet at one moment.

    Attributes:
        at_ms: the clock of the database, ms since 1970.
        machines: all of them, in the order of the file.
        cameras: all of them, in the order of the file.
        rollout: machines of the last rollout of a bundle, in order.
    """

    at_ms: int
    machines: tuple[MachineStatus, ...]
    cameras: tuple[CameraStatus, ...]
    rollout: tuple[Turn, ...] = ()

    @property
    def unwatched(self) -> list[str]:
        """Cameras that no machine watches."""
        return [one.stream for one in self.cameras if one.machine is None]


def read_status(fleet: Fleet, table: Transaction) -> FleetStatus:
    """The state of a fleet now, by its current definition; by the given one if there is none.

    Raises:
        ConfigError: this program cannot use the current definition.
    """
    fleet = current_fleet(table, fleet) or fleet
    leases = {one.name: one for one in table.current(MACHINE)}
    held = {one.name: one for one in table.current(CAMERA) if not one.is_over(table.now_ms)}
    bosses = {one.holder for one in table.current(SUPERVISOR) if not one.is_over(table.now_ms)}
    assigned = table.assignments()
    up = {name for name, lease in leases.items() if not lease.is_over(table.now_ms)}
    reports = {name: one for name, one in read_reports(table).items() if name in up}
    cameras = tuple(
        _camera(camera.name, table.now_ms, held.get(camera.name), assigned, reports)
        for camera in fleet.cameras
    )
    load_of = {camera.name: camera.load for camera in fleet.cameras}

    def machine(name: str) -> MachineStatus:
        lease, config = leases.get(name), fleet.config.machines[name]
        mine = [one.stream for one in cameras if one.machine == name]
        shares = [one.share for one in assigned.values() if one.machine == name]
        return MachineStatus(
            machine=name,
            state=_state(lease, table.now_ms),
            capacity=config.capacity,
            cameras=len(mine),
            assigned=len(shares),
            share=shares[-1] if shares else 1.0,
            lease_age_s=(table.now_ms - leases[name].begins_ms) / 1000 if name in up else None,
            supervisor=name in bosses,
            site=config.site,
            load=sum(load_of[stream] for stream in mine),
            renewal_age_s=None if lease is None else _renewal_age_s(lease, fleet, table.now_ms),
            bundle=reports[name].bundle if name in reports else None,
        )

    machines = tuple(map(machine, fleet.config.machines))
    return FleetStatus(table.now_ms, machines, cameras, tuple(read_turns(table)))


def status_of(fleet: Fleet, connection: Connection) -> FleetStatus:
    """The state of a fleet now, read over a connection that need not write."""
    table = Transaction(connection, fleet.config.name, database_now_ms(connection))
    return read_status(fleet, table)


def _camera(
    name: str,
    now_ms: int,
    lease: Lease | None,
    assigned: Mapping[str, Assignment],
    reports: Mapping[str, MachineReport],
) -> CameraStatus:
    report = StreamReport()
    if lease is not None and lease.holder in reports:
        report = reports[lease.holder].streams.get(name, report)
    place = assigned.get(name)
    return CameraStatus(
        stream=name,
        machine=None if lease is None else lease.holder,
        assigned=None if place is None else place.machine,
        share=1.0 if place is None else place.share,
        watched_s=None if lease is None else (now_ms - lease.begins_ms) / 1000,
        state=report.state,
        fps=report.fps,
        newest=report.newest,
    )


def _state(lease: Lease | None, now_ms: int) -> str:
    if lease is None:
        return "never seen"
    if not lease.is_over(now_ms):
        return "up"
    return "left" if lease.released else "lost"


def _renewal_age_s(lease: Lease, fleet: Fleet, now_ms: int) -> float:
    """A lease lasts `lease_s` from its renewal, unless it was released: then it ended at once."""
    renewed_ms = lease.ends_ms - (0 if lease.released else fleet.config.times.lease_ms)
    return max(0, now_ms - renewed_ms) / 1000


def table_lines(status: FleetStatus) -> Iterator[str]:
    """The state as a table for people."""
    machines, unwatched = status.machines, status.unwatched
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
