"""The tables of a fleet, in the database of the store."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    case,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from ecolite_stream.fleet.leases import MACHINE, Lease
from ecolite_stream.store.database import Database
from ecolite_stream.store.rows import Origin, note_run
from ecolite_stream.store.schema import INTERRUPTED, OPEN, events, runs
from ecolite_stream.types import LeaseMark

metadata = MetaData()

_fleets = Table(
    "ecolite_fleets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("digest", String(64), nullable=False),
)

_leases = Table(
    "ecolite_leases",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("fleet", Text, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("name", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("holder", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("begins_ms", BigInteger, nullable=False),  # ms since 1970, the database's clock
    Column("ends_ms", BigInteger, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("released", Boolean, nullable=False),
    UniqueConstraint("fleet", "kind", "name", "number"),
    Index("ecolite_leases_current", "fleet", "kind", "current"),
    Index("ecolite_leases_ends", "ends_ms"),
)

_assignments = Table(
    "ecolite_assignments",
    metadata,
    Column("fleet", Text, primary_key=True),
    Column("camera", Text, primary_key=True),
    Column("machine", Text, nullable=False),
    Column("share", Float, nullable=False),
)

_CREATING = 0x45434F + 1  # an advisory lock of PostgreSQL: one process creates the tables
_IDLE_MS = 5000  # a process that is frozen in a transaction keeps its locks for so long
_LOCK_MS = 2000
_SEEN_EVERY_MS = 30_000
KEPT_MS = 7 * 86_400_000
"""How long leases that have ended stay: events that waited for the store are checked by them."""


@dataclass(frozen=True)
class Holder:
    """Who asks for leases.

    Attributes:
        machine: its name.
        process: identifies the process; no other has it.
    """

    machine: str
    process: str


@dataclass(frozen=True)
class Assignment:
    """Where a camera is to be watched.

    Attributes:
        machine: its name.
        share: of the full rate, above 0, to 1.
    """

    machine: str
    share: float


class Ledger:
    """The tables of one fleet; the database's tables are made where they are missing.

    Args:
        database: of the store, opened with `create`.
        fleet: name of the fleet.
        now_ms: reads the clock of the database.
    """

    def __init__(
        self,
        database: Database,
        fleet: str,
        now_ms: Callable[[Connection], int] | None = None,
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._now_ms = now_ms or database_now_ms
        self._is_ready = False

    @contextlib.contextmanager
    def begin(self) -> Iterator[Transaction]:
        """A transaction; it is committed at the end of the block.

        Raises:
            StoreError: the store cannot be used now, or ever.
        """
        with self._database.begin() as connection:
            limit_locks(connection)
            if not self._is_ready:
                _create(connection)
            yield Transaction(connection, self._fleet, self._now_ms(connection))
        self._is_ready = True


class Transaction:
    """Statements of a fleet in one transaction.

    Attributes:
        connection: runs further statements in it.
        fleet: name of the fleet.
        now_ms: the clock of the database, ms since 1970.
    """

    def __init__(self, connection: Connection, fleet: str, now_ms: int) -> None:
        self.connection = connection
        self.fleet = fleet
        self.now_ms = now_ms

    def digest(self) -> str | None:
        """Digest of the fleet's definition; None where there is no such fleet."""
        found = select(_fleets.c.digest).where(_fleets.c.name == self.fleet)
        return self.connection.execute(found).scalar()

    def define(self, before: str | None, digest: str, cameras: Collection[str]) -> bool:
        """Set the digest of the definition; assignments of other cameras go.

        Args:
            before: digest that is expected there; None expects no fleet.
            digest: of the definition.
            cameras: of the definition.

        Returns:
            Whether it is set: not where another digest is there than expected.
        """
        if before is None:
            statement = self.insert()(_fleets).values(name=self.fleet, digest=digest)
            self.connection.execute(statement.on_conflict_do_nothing())
        else:
            mine = (_fleets.c.name == self.fleet, _fleets.c.digest == before)
            self.connection.execute(update(_fleets).where(*mine).values(digest=digest))
        if self.digest() != digest:
            return False
        self._unassign(set(self.assignments()) - set(cameras))
        return True

    def current(self, kind: str, name: str | None = None) -> list[Lease]:
        """The newest lease of each name, whether it has ended or not."""
        found = self._of_kind(kind).where(_leases.c.current)
        if name is not None:
            found = found.where(_leases.c.name == name)
        return [_lease(row) for row in self.connection.execute(found)]

    def losses(self, since_ms: int) -> dict[str, int]:
        """How many leases of each machine ended unreleased since then, without the newest ones."""
        found = (
            select(_leases.c.name, func.count())
            .where(_leases.c.fleet == self.fleet, _leases.c.kind == MACHINE)
            .where(~_leases.c.current, ~_leases.c.released, _leases.c.ends_ms >= since_ms)
            .group_by(_leases.c.name)
        )
        return {row[0]: row[1] for row in self.connection.execute(found)}

    def renew(self, holder: Holder, lease_ms: int) -> list[Lease]:
        """Extend the leases of a process that have not ended, and return them."""
        ends_ms = self.now_ms + lease_ms
        mine = (
            *(_leases.c.fleet == self.fleet, _leases.c.process == holder.process),
            *(_leases.c.current, ~_leases.c.released, _leases.c.ends_ms > self.now_ms),
        )
        # The update locks the rows; a select before it could miss that another has followed.
        self.connection.execute(
            update(_leases).where(*mine, _leases.c.ends_ms < ends_ms).values(ends_ms=ends_ms)
        )
        held = [_lease(row) for row in self.connection.execute(select(_leases).where(*mine))]
        for keys in _chunks([lease.run for lease in held]):
            self.connection.execute(
                update(runs)
                .where(runs.c.id.in_(keys), runs.c.seen_ms < self.now_ms - _SEEN_EVERY_MS)
                .values(seen_ms=self.now_ms)
            )
        return held

    def acquire(self, kind: str, name: str, holder: Holder, lease_ms: int) -> Lease | None:
        """The next lease of a name; None where the one before has not ended."""
        number = 0
        for last in self.current(kind, name):
            if not last.is_over(self.now_ms) or not self._supersede(last):
                return None
            number = last.number
        lease = Lease(
            *(kind, name, number + 1, holder.machine, holder.process, secrets.token_hex(16)),
            *(self.now_ms, self.now_ms + lease_ms),
        )
        values = {**dataclasses.asdict(lease), "fleet": self.fleet, "current": True}
        statement = self.insert()(_leases).values(values).on_conflict_do_nothing()
        self.connection.execute(statement)
        written = select(_leases.c.run).where(_leases.c.run == lease.run)
        if self.connection.execute(written).first() is None:  # psycopg counts no rows of inserts
            return None  # another was quicker
        note_run(self.connection, Origin(holder.machine, lease.run, ""), self.now_ms)
        return lease

    def release(self, leases: Collection[Lease]) -> None:
        """End these leases now."""
        for keys in _chunks([lease.run for lease in leases]):
            self.connection.execute(
                update(_leases)
                .where(_leases.c.run.in_(keys), _leases.c.ends_ms > self.now_ms)
                .values(released=True, ends_ms=self.now_ms)
            )

    def assignments(self, machine: str | None = None) -> dict[str, Assignment]:
        """Where cameras are to be watched, by camera; of one machine, or of all."""
        found = select(_assignments).where(_assignments.c.fleet == self.fleet)
        if machine is not None:
            found = found.where(_assignments.c.machine == machine)
        return {
            row.camera: Assignment(row.machine, row.share) for row in self.connection.execute(found)
        }

    def assign(self, wanted: Mapping[str, Assignment]) -> None:
        """Set where cameras are to be watched; others are unassigned."""
        before = self.assignments()
        self._unassign(before.keys() - wanted.keys())
        for camera, one in wanted.items():
            if before.get(camera) == one:
                continue
            values = {"machine": one.machine, "share": one.share}
            statement = self.insert()(_assignments).values(
                fleet=self.fleet, camera=camera, **values
            )
            keys = [_assignments.c.fleet, _assignments.c.camera]
            self.connection.execute(
                statement.on_conflict_do_update(index_elements=keys, set_=values)
            )

    def close_events(self) -> int:
        """Close the open events of leases that have ended; return how many there were."""
        over = select(_leases.c.run).where(_leases.c.fleet == self.fleet)
        over = over.where(or_(~_leases.c.current, _leases.c.ends_ms <= self.now_ms))
        ends_ms = select(_leases.c.ends_ms).where(_leases.c.run == events.c.run).scalar_subquery()
        last_ms = case((ends_ms > events.c.start_ms, ends_ms), else_=events.c.start_ms)
        return self.connection.execute(
            update(events)
            .where(events.c.state == OPEN, events.c.run.in_(over))
            .values(state=INTERRUPTED, end_ms=last_ms, changed_ms=self.now_ms)
        ).rowcount

    def forget(self) -> None:
        """Delete leases that ended more than `KEPT_MS` ago."""
        old = (
            select(_leases.c.run)
            .where(_leases.c.fleet == self.fleet, ~_leases.c.current)
            .where(_leases.c.ends_ms < self.now_ms - KEPT_MS)
        )
        keys = list(self.connection.execute(old).scalars())
        for some in _chunks(keys):
            self.connection.execute(delete(runs).where(runs.c.id.in_(some)))
            self.connection.execute(delete(_leases).where(_leases.c.run.in_(some)))

    def _supersede(self, last: Lease) -> bool:
        """Mark a lease as not the newest any more; False where another process is at it."""
        locked = select(_leases.c.ends_ms).where(_leases.c.run == last.run, _leases.c.current)
        found = self.connection.execute(locked.with_for_update(skip_locked=True)).scalar()
        if found is None or (found > self.now_ms and not last.released):
            return False
        self.connection.execute(
            update(_leases).where(_leases.c.run == last.run).values(current=False)
        )
        return True

    def _unassign(self, cameras: Collection[str]) -> None:
        for some in _chunks(sorted(cameras)):
            self.connection.execute(
                delete(_assignments).where(
                    _assignments.c.fleet == self.fleet, _assignments.c.camera.in_(some)
                )
            )

    def _of_kind(self, kind: str) -> Select[Any]:
        return select(_leases).where(_leases.c.fleet == self.fleet, _leases.c.kind == kind)

    def insert(self) -> Any:
        """The `insert` of the database's dialect, which knows conflicts."""
        return sqlite.insert if self.connection.dialect.name == "sqlite" else postgresql.insert


class LeaseFence:
    """Refuses events that a machine saw after the end of its lease; see `sinks.kind.Fence`."""

    def refused(self, connection: Any, marks: Mapping[str, LeaseMark]) -> set[str]:
        """The ids of events whose lease is unknown, or had ended before they were seen."""
        limit_locks(connection)
        wanted = {mark.run for mark in marks.values()}
        found = select(_leases.c.run, _leases.c.ends_ms).where(_leases.c.run.in_(wanted))
        ends_ms = {row[0]: row[1] for row in connection.execute(found)} if wanted else {}
        return {key for key, mark in marks.items() if mark.seen_ms > ends_ms.get(mark.run, -1)}


def database_now_ms(connection: Connection) -> int:
    """The clock of the database, in ms since 1970."""
    if connection.dialect.name == "sqlite":
        words = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    else:
        words = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
    return int(connection.execute(text(words)).scalar_one())


def limit_locks(connection: Connection) -> None:
    """Bound how long a transaction of a frozen process holds up others (PostgreSQL)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {_IDLE_MS}"))
        connection.execute(text(f"SET LOCAL lock_timeout = {_LOCK_MS}"))


def _create(connection: Connection) -> None:
    from ecolite_stream.fleet import proposals, reports, rollout, versions  # noqa: F401

    # Those have tables of their own.
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_CREATING})"))
    metadata.create_all(connection)


def _lease(row: Row[Any]) -> Lease:
    return Lease(**{field.name: getattr(row, field.name) for field in dataclasses.fields(Lease)})


def _chunks(keys: list[str], size: int = 500) -> Iterator[list[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
