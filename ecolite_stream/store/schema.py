"""Tables of the store, and the steps from each version of them to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
    update,
)

OPEN, ENDED, LOST, INTERRUPTED = "open", "ended", "lost", "interrupted"
"""States of an event: it lasts; it ended; its live stream fell silent; the run ended before it."""

metadata = MetaData()

_ID = String(36).with_variant(String(36, collation="C"), "postgresql")

version_table = Table("ecolite_schema", metadata, Column("version", Integer, nullable=False))

runs = Table(
    "ecolite_runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("site", Text, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),  # when it last wrote, ms since 1970
)

events = Table(
    "ecolite_events",
    metadata,
    Column("id", _ID, primary_key=True),  # a UUID of version 7: sorts by start
    Column("site", Text, nullable=False),
    Column("run", String(32), nullable=False),
    Column("stream", Text, nullable=False),
    Column("view", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("state", String(11), nullable=False),
    Column("start_ms", BigInteger, nullable=False),  # ms since 1970
    Column("end_ms", BigInteger),
    Column("start_s", Float, nullable=False),  # stream time
    Column("end_s", Float),
    Column("peak_score", Float, nullable=False),
    Column("mean_score", Float, nullable=False),
    Column("box", Text),  # JSON: [x, y, width, height]
    Column("bundle", String(64), nullable=False),
    Column("clip", Text),  # file name
    Column("machine", Text),  # of the fleet that saw it; NULL outside of fleets
    Column("review", String(5)),  # right, wrong or label
    Column("review_label", Text),
    Column("note", Text, nullable=False, default=""),
    Column("keep", Boolean, nullable=False, default=False),
    Column("deleted", Boolean, nullable=False, default=False),
    Column("size_bytes", Integer, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Index("ecolite_events_stream", "stream", "id"),
    Index("ecolite_events_label", "label", "id"),
    Index("ecolite_events_stream_label", "stream", "label", "id"),
    Index("ecolite_events_review", "review", "id"),
    Index("ecolite_events_score", "peak_score", "id"),
    Index("ecolite_events_state", "state"),
    Index("ecolite_events_size", "site", "size_bytes"),
    Index("ecolite_events_changed", "changed_ms"),
)

pictures = Table(
    "ecolite_pictures",
    metadata,
    Column("event", _ID, primary_key=True),
    Column("jpeg", LargeBinary, nullable=False),
)


def _first(connection: Connection) -> None:
    metadata.create_all(connection)


def _machine_of_events(connection: Connection) -> None:
    columns = {column["name"] for column in inspect(connection).get_columns("ecolite_events")}
    if "machine" not in columns:  # the first step makes the newest tables
        connection.execute(text("ALTER TABLE ecolite_events ADD COLUMN machine TEXT"))


MIGRATIONS: Sequence[Callable[[Connection], None]] = (_first, _machine_of_events)
"""Step n leads from version n to n + 1. A step that is released is never changed: later steps
spell out their own statements, for the tables above are those of the newest version."""


def current_version(connection: Connection) -> int:
    """The version of the tables; 0 where there are none."""
    if not connection.dialect.has_table(connection, version_table.name):
        return 0
    found = connection.execute(select(version_table.c.version)).scalar()
    return int(found or 0)


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest version, in the transaction of the connection."""
    before = current_version(connection)
    for step in MIGRATIONS[before:]:
        step(connection)
    values = {"version": len(MIGRATIONS)}
    if before == 0:
        connection.execute(insert(version_table).values(values))
    elif before < len(MIGRATIONS):
        connection.execute(update(version_table).values(values))
