"""Rows of events: made, written, closed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ecolite_stream.store.schema import ENDED, INTERRUPTED, LOST, OPEN, events, pictures, runs
from ecolite_stream.types import Event, unix_ms_of

_ROW_BYTES = 512
"""What a row and its entries in indexes take, about."""
STALE_MS = 300_000
"""A run that has not written for so long has ended."""
_BY_PEOPLE = {"review", "review_label", "note", "keep", "deleted"}


@dataclass(frozen=True)
class Origin:
    """What all events of a run have in common.

    Attributes:
        site: name of the place.
        run: 32 hexadecimal digits; no other run has them.
        bundle: digest of the model at the start of the run.
    """

    site: str
    run: str
    bundle: str


def row_of(event: Event, origin: Origin, clip: str | None, picture_bytes: int) -> dict[str, Any]:
    """The columns of an event, as it was last reported.

    Raises:
        ValueError: its id is no UUID, as outside of a pipeline.
    """
    start_ms = uuid.UUID(event.id).int >> 80
    end_ms = None
    if event.ended_at is not None:
        end_ms = unix_ms_of(event.ended_at)
    elif event.end_s is not None:
        end_ms = start_ms + round(1000 * (event.end_s - event.start_s))
    state = OPEN if event.kind != "end" else LOST if event.lost else ENDED
    return {
        "id": event.id,
        "site": plain(origin.site),
        "run": origin.run,
        "stream": plain(event.stream),
        "view": plain(event.view),
        "label": plain(event.label),
        "live": event.started_at is not None,
        "state": state,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "start_s": event.start_s,
        "end_s": event.end_s,
        "peak_score": event.peak_score,
        "mean_score": event.mean_score,
        "box": None if event.box is None else json.dumps(event.box.as_list()),
        "bundle": event.bundle or origin.bundle,
        "clip": clip,
        "machine": None if event.lease is None else plain(event.lease.machine),
        "note": "",
        "keep": False,
        "deleted": False,
        "size_bytes": _ROW_BYTES + picture_bytes,
    }


def plain(text: str) -> str:
    """Text that every database takes: what is no UTF-8, and NUL, escaped."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def write(
    connection: Connection, rows: Sequence[dict[str, Any]], jpegs: dict[str, bytes], now_ms: int
) -> None:
    """Insert events, or bring them up to date; reviews, notes and keep stay as they are."""
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(events)
    changing = {
        column.name: statement.excluded[column.name]
        for column in events.c
        if column.name not in {"id", "size_bytes", *_BY_PEOPLE}
    }
    larger = case(
        (statement.excluded.size_bytes > events.c.size_bytes, statement.excluded.size_bytes),
        else_=events.c.size_bytes,
    )
    statement = statement.on_conflict_do_update(
        index_elements=[events.c.id], set_={**changing, "size_bytes": larger}
    )
    connection.execute(statement, [{**row, "changed_ms": now_ms} for row in rows])
    if jpegs:
        found = [{"event": key, "jpeg": jpeg} for key, jpeg in jpegs.items()]
        connection.execute(insert(pictures).on_conflict_do_nothing(), found)


def note_run(connection: Connection, origin: Origin, now_ms: int) -> None:
    """Note that a run is alive."""
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {"id": origin.run, "site": plain(origin.site), "seen_ms": now_ms}
    statement = insert(runs).values(values)
    connection.execute(
        statement.on_conflict_do_update(index_elements=[runs.c.id], set_={"seen_ms": now_ms})
    )


def close_interrupted(
    connection: Connection, origin: Origin, streams: Sequence[str], now_ms: int
) -> int:
    """Close the open events of runs that have ended: they are interrupted.

    Those are the runs that watched the same streams at the same site, for this one does now, and
    all that have not written for `STALE_MS`. An event ends when its run last wrote.

    Returns:
        How many there were.
    """
    seen = select(runs.c.seen_ms).where(runs.c.id == events.c.run).scalar_subquery()
    mine = (events.c.site == plain(origin.site)) & events.c.stream.in_([plain(s) for s in streams])
    stale = seen.is_(None) | (seen < now_ms - STALE_MS)
    last_ms = case((seen > events.c.start_ms, seen), else_=events.c.start_ms)
    statement = (
        update(events)
        .where(events.c.state == OPEN, events.c.run != origin.run, mine | stale)
        .values(state=INTERRUPTED, end_ms=last_ms, changed_ms=now_ms)
    )
    return connection.execute(statement).rowcount
