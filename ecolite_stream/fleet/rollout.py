"""A bundle for the machines of a fleet: its files in the store, and whose turn it is to change.

One rollout of a fleet at a time. Machines change one after the other; the first that fails stops
all that come after it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Column, Integer, LargeBinary, String, Table, Text, delete, select, update

from ecolite_stream.errors import BundleError, ConfigError
from ecolite_stream.fleet.leases import MACHINE
from ecolite_stream.fleet.ledger import Ledger, Transaction, metadata
from ecolite_stream.model import limits
from ecolite_stream.model.bundle import DESCRIPTION, Bundle, read_bundle

WAITING, CHANGING, DONE, FAILED = "waiting", "changing", "done", "failed"
_PART_BYTES = 4_000_000
_MOST_PARTS = limits.MAX_GRAPH_BYTES // _PART_BYTES + 1
_MOST_MESSAGE = 500
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")

_files = Table(
    "ecolite_bundle_files",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("file", String(200), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

_turns = Table(
    "ecolite_rollouts",
    metadata,
    Column("fleet", Text, primary_key=True),
    Column("machine", Text, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("state", String(10), nullable=False),
    Column("message", Text, nullable=False),
)


@dataclass(frozen=True)
class Turn:
    """A machine in a rollout.

    Attributes:
        machine: its name.
        digest: of the bundle.
        state: `WAITING`, `CHANGING`, `DONE` or `FAILED`.
        message: why it failed; else empty.
    """

    machine: str
    digest: str
    state: str
    message: str


class Rollout:
    """The rollout of a fleet, in the store.

    Args:
        ledger: tables of the fleet.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def publish(self, bundle: Bundle) -> None:
        """Put a bundle's files into the store; the description comes last: then it is whole.

        Raises:
            StoreError: the store cannot be used.
            OSError: a file cannot be read.
        """
        if DESCRIPTION in self._names(bundle.digest):
            return
        graphs = [graph.file for graph in bundle.graphs]
        for name in [*graphs, *bundle.files, DESCRIPTION]:
            for part, data in enumerate(_parts(bundle.file(name))):
                key = {"digest": bundle.digest, "file": name, "part": part}
                with self._ledger.begin() as table:
                    insert = table.insert()(_files).values(**key, data=data)
                    table.connection.execute(insert.on_conflict_do_nothing())

    def fetch(self, digest: str, folder: Path) -> Bundle:
        """Write a published bundle into an empty folder.

        Raises:
            BundleError: it is not whole in the store, or another one.
            StoreError: the store cannot be used.
            OSError: the folder cannot be written.
        """
        names = self._names(digest)
        if DESCRIPTION not in names:
            raise BundleError(f"bundle {digest[:12]} is not in the store; run set-bundle again")
        if len(names) > limits.MAX_FILES or not all(map(_NAME.fullmatch, names)):
            raise BundleError(f"bundle {digest[:12]} in the store is malformed; publish it again")
        for name in names:
            with (folder / name).open("xb") as file:
                for part in range(_MOST_PARTS):
                    data = self._part(digest, name, part)
                    if data is None:
                        break
                    file.write(data)
        bundle = read_bundle(folder)
        if bundle.digest != digest:
            raise BundleError(f"the store holds another bundle as {digest[:12]}; delete it there")
        return bundle

    def begin(self, digest: str, machines: Sequence[str]) -> None:
        """Have machines change to a published bundle, in this order.

        Raises:
            ConfigError: machines are changing to another one now.
            StoreError: the store cannot be used.
        """
        with self._ledger.begin() as table:
            busy = self._pending(table, self._locked(table))
            if busy:
                raise ConfigError(
                    f"{', '.join(busy)} still change to another bundle; wait for the end of that, "
                    "see ecolite-stream fleet status"
                )
            mine = _turns.c.fleet == table.fleet
            table.connection.execute(delete(_turns).where(mine))
            for place, machine in enumerate(machines):
                values = {"fleet": table.fleet, "machine": machine, "place": place}
                values |= {"digest": digest, "state": WAITING, "message": ""}
                table.connection.execute(table.insert()(_turns).values(values))

    def turns(self) -> list[Turn]:
        """The machines of the rollout, in order; none before the first.

        Raises:
            StoreError: the store cannot be used.
        """
        with self._ledger.begin() as table:
            return read_turns(table)

    def pending(self) -> list[str]:
        """Machines that are up and have still to change; none once one failed or was lost at it.

        Raises:
            StoreError: the store cannot be used.
        """
        with self._ledger.begin() as table:
            return self._pending(table, read_turns(table))

    def take_turn(self, machine: str) -> str | None:
        """The digest of the bundle that a machine is to change to now, or None.

        It is its turn where none has failed, none is changing, and those before it that are up have
        changed.

        Raises:
            StoreError: the store cannot be used.
        """
        with self._ledger.begin() as table:
            turns = self._locked(table)
            if any(turn.state == CHANGING for turn in turns):
                return None
            pending = self._pending(table, turns)
            if not pending or pending[0] != machine:
                return None
            self._note(table, machine, CHANGING, "")
            return next(turn.digest for turn in turns if turn.machine == machine)

    def end_turn(self, machine: str, digest: str, failure: str | None) -> None:
        """Note that a machine has changed to a bundle, or why it has not.

        Nothing is noted where it is not its turn any more.

        Raises:
            StoreError: the store cannot be used.
        """
        with self._ledger.begin() as table:
            if Turn(machine, digest, CHANGING, "") in self._locked(table):
                state = DONE if failure is None else FAILED
                self._note(table, machine, state, (failure or "")[:_MOST_MESSAGE])

    def _note(self, table: Transaction, machine: str, state: str, message: str) -> None:
        table.connection.execute(
            update(_turns)
            .where(_turns.c.fleet == table.fleet, _turns.c.machine == machine)
            .values(state=state, message=message)
        )

    def _locked(self, table: Transaction) -> list[Turn]:
        """The turns; no other transaction changes them until this one ends."""
        mine = select(_turns.c.machine).where(_turns.c.fleet == table.fleet)
        table.connection.execute(mine.order_by(_turns.c.place).with_for_update()).all()
        return read_turns(table)

    def _pending(self, table: Transaction, turns: Collection[Turn]) -> list[str]:
        up = {one.name for one in table.current(MACHINE) if not one.is_over(table.now_ms)}
        if any(
            turn.state == FAILED or (turn.state == CHANGING and turn.machine not in up)
            for turn in turns
        ):
            return []
        return [turn.machine for turn in turns if turn.state != DONE and turn.machine in up]

    def _names(self, digest: str) -> list[str]:
        with self._ledger.begin() as table:
            found = select(_files.c.file).where(_files.c.digest == digest).distinct()
            return sorted(table.connection.execute(found).scalars())

    def _part(self, digest: str, name: str, part: int) -> bytes | None:
        with self._ledger.begin() as table:
            found = select(_files.c.data).where(
                _files.c.digest == digest, _files.c.file == name, _files.c.part == part
            )
            data = table.connection.execute(found).scalar()
        return None if data is None else bytes(data)


def read_turns(table: Transaction) -> list[Turn]:
    """The machines of the last rollout, in order; none before the first."""
    found = select(_turns).where(_turns.c.fleet == table.fleet).order_by(_turns.c.place)
    rows = table.connection.execute(found)
    return [Turn(row.machine, row.digest, row.state, row.message) for row in rows]


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield file.read(_PART_BYTES)  # an empty file has one part, too
        while data := file.read(_PART_BYTES):
            yield data
