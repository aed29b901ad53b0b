"""The definition of a fleet in the store: the current one, and those before it.

Files of the machines name a definition by its digest. The row of the fleet says which one counts;
every renewal and every plan reads it in its transaction.
"""

from __future__ import annotations

import json

from sqlalchemy import Column, Integer, String, Table, Text, func, select

from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.config import Fleet, fleet_from
from ecolite_stream.fleet.leases import MACHINE
from ecolite_stream.fleet.ledger import Transaction, metadata
from ecolite_stream.fleet.reports import forget_reports

_versions = Table(
    "ecolite_fleet_versions",
    metadata,
    Column("fleet", Text, primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("version", Integer, nullable=False),  # of definitions that came back, the newest
    Column("definition", Text, nullable=False),  # JSON without credentials; its SHA-256 is `digest`
    Column("secrets", Text, nullable=False),  # JSON: what addresses lack, by camera
)


def define(table: Transaction, fleet: Fleet) -> Fleet:
    """The definition that counts: that of the store, or else this one, which it then gets.

    Raises:
        ConfigError: the fleet runs, and this definition was never one of it.
    """
    found = table.digest()
    if found == fleet.digest:
        if not _has_been(table, fleet.digest):  # of an older version of this program
            note_version(table, fleet)
        return fleet
    current = current_fleet(table, fleet)
    if current is not None and found is not None and _has_been(table, fleet.digest):
        return current
    there = [one.name for one in table.current(MACHINE) if not one.is_over(table.now_ms)]
    if found is not None and there:
        raise ConfigError(
            f"fleet {fleet.config.name!r} runs in this store with other machines, "
            f"cameras or times (on {', '.join(sorted(there))}); change it with "
            "ecolite-stream fleet apply, or give this fleet another name"
        )
    if not change(table, found, fleet):
        return define(table, fleet)  # another process was quicker
    forget_reports(table)
    return fleet


def change(table: Transaction, before: str | None, fleet: Fleet) -> bool:
    """Make a definition the current one, unless the one before is another than expected."""
    is_changed = table.define(before, fleet.digest, [camera.name for camera in fleet.cameras])
    if is_changed:
        note_version(table, fleet)
    return is_changed


def note_version(table: Transaction, fleet: Fleet) -> None:
    """Write the definition of a fleet as its newest version."""
    newest = select(func.max(_versions.c.version)).where(_versions.c.fleet == table.fleet)
    values = {
        "version": 1 + (table.connection.execute(newest).scalar() or 0),
        "definition": fleet.text,
        "secrets": json.dumps(fleet.secrets, sort_keys=True),
    }
    statement = table.insert()(_versions).values(fleet=table.fleet, digest=fleet.digest, **values)
    keys = [_versions.c.fleet, _versions.c.digest]
    table.connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))


def current_fleet(table: Transaction, fleet: Fleet) -> Fleet | None:
    """The fleet as the store defines it now.

    Args:
        table: of the fleet.
        fleet: an earlier definition, or this one; it is the answer where the store has none.

    Returns:
        None where the store has another definition's digest only, by an older program.

    Raises:
        ConfigError: this program cannot use the definition.
    """
    digest = table.digest()
    if digest in (None, fleet.digest):
        return fleet
    found = select(_versions.c.definition, _versions.c.secrets).where(
        _versions.c.fleet == table.fleet, _versions.c.digest == digest
    )
    row = table.connection.execute(found).first()
    return None if row is None else fleet_from(row.definition, row.secrets, fleet.config.config)


def _has_been(table: Transaction, digest: str) -> bool:
    found = select(_versions.c.version).where(
        _versions.c.fleet == table.fleet, _versions.c.digest == digest
    )
    return table.connection.execute(found).scalar() is not None
