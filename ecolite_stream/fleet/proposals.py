"""A proposed definition of a fleet: every machine that is up answers, then it counts, or goes.

One proposal of a fleet at a time. It ends by itself, so an `apply` that was killed leaves nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, String, Table, Text, delete, select

from ecolite_stream.errors import ConfigError, EcoliteError, one_line
from ecolite_stream.fleet.config import Fleet, fleet_from
from ecolite_stream.fleet.leases import MACHINE
from ecolite_stream.fleet.ledger import Holder, Ledger, Transaction, metadata
from ecolite_stream.fleet.versions import change, current_fleet
from ecolite_stream.store.database import StoreError

_MOST_MESSAGE = 500
_LEASES = 2
"""A proposal ends after so many lengths of a lease: that of a lost machine has ended by then."""

_proposals = Table(
    "ecolite_fleet_proposals",
    metadata,
    Column("fleet", Text, primary_key=True),
    Column("id", String(32), nullable=False),
    Column("definition", Text, nullable=False),  # as in `versions`
    Column("secrets", Text, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),  # ms since 1970, the database's clock
)

_answers = Table(
    "ecolite_fleet_answers",
    metadata,
    Column("fleet", Text, primary_key=True),
    Column("machine", Text, primary_key=True),
    Column("proposal", String(32), nullable=False),
    Column("process", Text, nullable=False),
    Column("message", Text, nullable=False),  # why not; empty is yes
)


@dataclass(frozen=True)
class Proposal:
    """A definition that is proposed.

    Attributes:
        id: of this proposal.
        fleet: the definition.
        before: the definition that counts now.
        ends_s: seconds for which it stands.
    """

    id: str
    fleet: Fleet
    before: Fleet
    ends_s: float


class Proposals:
    """The proposal of a fleet, in the store.

    Args:
        ledger: tables of the fleet.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def propose(self, fleet: Fleet) -> Proposal | None:
        """Propose a definition; None where it counts already.

        Raises:
            ConfigError: another one is proposed now, or no fleet of this name has ever run.
            StoreError: the store cannot be used.
        """
        key = secrets.token_hex(16)
        with self._ledger.begin() as table:
            if table.digest() == fleet.digest:
                return None
            before = _current(table, fleet)
            lease_ms = max(before.config.times.lease_ms, fleet.config.times.lease_ms)
            values = {
                "id": key,
                "definition": fleet.text,
                "secrets": json.dumps(fleet.secrets, sort_keys=True),
                "ends_ms": table.now_ms + _LEASES * lease_ms,
            }
            insert = table.insert()(_proposals).values(fleet=table.fleet, **values)
            is_over = _proposals.c.ends_ms <= table.now_ms
            statement = insert.on_conflict_do_update(
                index_elements=[_proposals.c.fleet], set_=values, where=is_over
            )
            table.connection.execute(statement)
            if _standing(table).id != key:
                raise ConfigError(
                    "another ecolite-stream fleet apply is under way; wait for its end, "
                    f"{_left_s(table)} s at most"
                )
        return Proposal(key, fleet, before, _LEASES * lease_ms / 1000)

    def settle(self, proposal: Proposal) -> list[str]:
        """Make a proposed definition the current one if all machines that are up agree.

        Returns:
            The machines that have not answered; none once the definition counts.

        Raises:
            ConfigError: a machine refuses it, or it does not stand any more; nothing has changed.
            StoreError: the store cannot be used; whether it counts is unknown.
        """
        with self._ledger.begin() as table:
            if table.digest() == proposal.fleet.digest:
                return []  # a settlement before whose answer was lost
            answers = _answers_to(table, proposal.id)
            up = [one for one in table.current(MACHINE) if not one.is_over(table.now_ms)]
            refused = {one.name: answers[one.process] for one in up if answers.get(one.process)}
            if refused:
                lines = "; ".join(f"{name}: {why}" for name, why in sorted(refused.items()))
                raise ConfigError(f"{lines}; nothing has changed")
            waiting = [one.name for one in up if one.process not in answers]
            if waiting:
                return sorted(waiting)
            mine = (_proposals.c.fleet == table.fleet, _proposals.c.id == proposal.id)
            standing = delete(_proposals).where(*mine, _proposals.c.ends_ms > table.now_ms)
            if not table.connection.execute(standing).rowcount:
                raise ConfigError("the proposal has ended; nothing has changed; apply it again")
            if not change(table, proposal.before.digest, proposal.fleet):
                raise ConfigError("the fleet was started with another definition meanwhile")
        return []

    def withdraw(self, proposal: Proposal) -> None:
        """Remove a proposal, if it is there.

        Raises:
            StoreError: the store cannot be used; it ends by itself.
        """
        with self._ledger.begin() as table:
            mine = (_proposals.c.fleet == table.fleet, _proposals.c.id == proposal.id)
            table.connection.execute(delete(_proposals).where(*mine))

    def answer(self, holder: Holder, config: Path, check: Callable[[Fleet], object]) -> None:
        """Answer the proposal that stands, once, for a machine.

        Args:
            holder: the machine's process.
            config: path of the machine's configuration.
            check: whether the machine can take a definition; raises an EcoliteError if not.

        Raises:
            StoreError: the store cannot be used.
        """
        with self._ledger.begin() as table:
            row = _standing(table)
            if row is None or holder.process in _answers_to(table, row.id):
                return
        try:
            check(fleet_from(row.definition, row.secrets, config))
            message = ""
        except StoreError:
            raise
        except EcoliteError as error:
            message = one_line(error)[:_MOST_MESSAGE] or type(error).__name__
        with self._ledger.begin() as table:
            values = {"proposal": row.id, "process": holder.process, "message": message}
            insert = table.insert()(_answers).values(
                fleet=table.fleet, machine=holder.machine, **values
            )
            keys = [_answers.c.fleet, _answers.c.machine]
            table.connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=values))


def _current(table: Transaction, fleet: Fleet) -> Fleet:
    current = None if table.digest() is None else current_fleet(table, fleet)
    if current is None:
        raise ConfigError(
            f"fleet {fleet.config.name!r} has not run in this store with this version of "
            "ecolite-stream; start it with ecolite-stream fleet"
        )
    return current


def _standing(table: Transaction) -> Any:
    """The row of the proposal that has not ended; None without one."""
    columns = (_proposals.c.id, _proposals.c.definition, _proposals.c.secrets)
    mine = (_proposals.c.fleet == table.fleet, _proposals.c.ends_ms > table.now_ms)
    return table.connection.execute(select(*columns).where(*mine)).first()


def _answers_to(table: Transaction, proposal: str) -> Mapping[str, str]:
    """Why not, or nothing, by the process that answers."""
    mine = (_answers.c.fleet == table.fleet, _answers.c.proposal == proposal)
    rows = table.connection.execute(select(_answers.c.process, _answers.c.message).where(*mine))
    return {row.process: row.message for row in rows}


def _left_s(table: Transaction) -> int:
    """Seconds until the proposal ends, rounded up."""
    ends = select(_proposals.c.ends_ms).where(_proposals.c.fleet == table.fleet)
    ends_ms = table.connection.execute(ends).scalar() or table.now_ms
    return max(1, -int((table.now_ms - ends_ms) // 1000))
