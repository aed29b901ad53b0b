"""Events found again: filters, pages, reviews."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    delete,
    func,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from ecolite_stream.config.strict import check_between, check_one_of
from ecolite_stream.errors import ConfigError
from ecolite_stream.store.rows import plain
from ecolite_stream.store.schema import events, pictures
from ecolite_stream.types import iso_utc

REVIEWS = ("none", "right", "wrong", "label")
"""A filter for events: not reviewed, right, wrong, or corrected with another label."""
MOST_PER_PAGE = 1000
_MOST_BRANCHES = 64
_RARE = 2000
"""So few matches are collected and sorted; more are met on a walk along the ids."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Filters:
    """Which events are wanted; an empty tuple and None want all.

    Attributes:
        since_ms: those that began then or later, ms since 1970.
        until_ms: those that began before, ms since 1970.
        streams: names of streams.
        labels: labels, as the model gave them.
        min_score: their best score is at least that, 0 to 1.
        review: one of `REVIEWS`.

    Raises:
        ConfigError: a value is out of its range.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    streams: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    min_score: float | None = None
    review: str | None = None

    def __post_init__(self) -> None:
        if self.min_score is not None:
            check_between("min_score", self.min_score, 0, 1)
        if self.review is not None:
            check_one_of("review", self.review, REVIEWS)


@dataclass(frozen=True)
class StoredEvent:
    """An event as the store has it.

    Attributes:
        id: a UUID of version 7.
        site: where it was seen.
        stream: name of the stream.
        view: name of the view; empty where the stream has one.
        label: the action.
        state: `open`, `ended`, `lost` or `interrupted`.
        live: whether its times of day are those of the scene.
        start_ms: ms since 1970; of a recording counted from when it was opened.
        end_ms: likewise; None while it lasts.
        start_s: stream time, in seconds.
        end_s: likewise; None while it lasts, and of an interrupted one.
        peak_score: its best score, 0 to 1.
        mean_score: the mean of its scores, 0 to 1.
        box: x, y, width, height in shares of the picture; None for all of it.
        bundle: digest of the model.
        clip: file name of its clip, if one was made.
        review: None, `right`, `wrong` or `label`.
        review_label: the right label, of the review `label`.
        note: what people wrote.
        keep: whether retention spares it.
        machine: of the fleet that saw it; None outside of fleets.
    """

    id: str
    site: str
    stream: str
    view: str
    label: str
    state: str
    live: bool
    start_ms: int
    end_ms: int | None
    start_s: float
    end_s: float | None
    peak_score: float
    mean_score: float
    box: tuple[float, ...] | None
    bundle: str
    clip: str | None
    review: str | None
    review_label: str | None
    note: str
    keep: bool
    machine: str | None

    @property
    def duration_s(self) -> float | None:
        """Seconds from its start to its end; None while it lasts."""
        return None if self.end_ms is None else (self.end_ms - self.start_ms) / 1000

    def as_dict(self) -> dict[str, Any]:
        """Plain containers for JSON, with times of day as ISO 8601."""
        facts = dataclasses.asdict(self)
        start_ms, end_ms = facts.pop("start_ms"), facts.pop("end_ms")
        facts["started_at"] = iso_utc(start_ms)
        facts["ended_at"] = None if end_ms is None else iso_utc(end_ms)
        return {**facts, "duration_s": self.duration_s}


_NAMES = [field.name for field in dataclasses.fields(StoredEvent)]
_FIELDS = [events.c[name] for name in _NAMES]


def page(
    connection: Connection, filters: Filters, limit: int = 50, before: str | None = None
) -> tuple[list[StoredEvent], str | None]:
    """A page of events, the newest first.

    Args:
        connection: to the store.
        filters: which events.
        limit: events on a page, 1 to `MOST_PER_PAGE`.
        before: the cursor that the page before came with; None for the first page.

    Returns:
        The events and the cursor of the next page; None at the end.

    Raises:
        ConfigError: the limit or the cursor makes no sense.
    """
    check_between("limit", limit, 1, MOST_PER_PAGE)
    branches = _branches(filters)
    if (rare := _rare(connection, filters)) is not None:
        # A limit keeps the database from walking along another index for want of an estimate.
        few = select(events).where(rare).limit(2 * _RARE).subquery().c
        wanted = _conditions(few, filters, before)
        statement = select(*(few[name] for name in _NAMES)).where(*wanted).order_by(few.id.desc())
        statement = statement.limit(limit + 1)
    else:
        wanted = _conditions(events.c, filters, before)
        ids = [
            select(events.c.id).where(*wanted, *branch).order_by(events.c.id.desc())
            for branch in branches
        ]
        statement = _newest(ids, limit + 1)
    rows = connection.execute(statement).mappings().all()
    found = [_stored(row) for row in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


def one(connection: Connection, event_id: str) -> StoredEvent | None:
    """An event by its id; None if there is none."""
    wanted = (events.c.id == event_id, events.c.deleted.is_(False))
    row = connection.execute(select(*_FIELDS).where(*wanted)).mappings().first()
    return None if row is None else _stored(row)


def picture(connection: Connection, event_id: str) -> bytes | None:
    """The JPEG of an event; None if there is none."""
    found = connection.execute(select(pictures.c.jpeg).where(pictures.c.event == event_id))
    return found.scalar()


def changed_since(connection: Connection, changed_ms: int, filters: Filters) -> list[StoredEvent]:
    """The events that were written at that time or later, by start; at most `MOST_PER_PAGE`."""
    conditions = [*_conditions(events.c, filters, None), events.c.changed_ms >= changed_ms]
    newest = select(*_FIELDS).where(*conditions).order_by(events.c.id.desc()).limit(MOST_PER_PAGE)
    return [_stored(row) for row in reversed(connection.execute(newest).mappings().all())]


def review(connection: Connection, event_id: str, verdict: str, label: str | None = None) -> bool:
    """Note whether an event's label is right; `none` takes a review back.

    Args:
        connection: to the store.
        event_id: which.
        verdict: one of `REVIEWS`.
        label: the right one, with `label` and only there.

    Returns:
        Whether there is such an event.

    Raises:
        ConfigError: there is no such verdict, or the label is missing or too much.
    """
    check_one_of("review", verdict, REVIEWS)
    if (verdict == "label") != bool(label):
        raise ConfigError("review 'label' needs the right label, and only that one takes one")
    values = {
        "review": None if verdict == "none" else verdict,
        "review_label": None if label is None else plain(label),
    }
    return _set(connection, event_id, values)


def keep(connection: Connection, event_id: str, kept: bool = True) -> bool:
    """Spare an event from retention, or no longer; return whether there is such an event."""
    return _set(connection, event_id, {"keep": kept})


def note(connection: Connection, event_id: str, words: str) -> bool:
    """Write a note beside an event; return whether there is such an event."""
    return _set(connection, event_id, {"note": plain(words)})


def remove(connection: Connection, event_id: str) -> bool:
    """Delete an event and its picture; return whether there was one.

    The row stays, hidden, until the process that made it has deleted its clip.
    """
    connection.execute(delete(pictures).where(pictures.c.event == event_id))
    return _set(connection, event_id, {"deleted": True})


def _set(connection: Connection, event_id: str, values: dict[str, Any]) -> bool:
    wanted = (events.c.id == event_id, events.c.deleted.is_(False))
    return connection.execute(update(events).where(*wanted).values(**values)).rowcount > 0


def _conditions(
    c: ReadOnlyColumnCollection[str, Any], filters: Filters, before: str | None
) -> list[ColumnElement[bool]]:
    """All that filters and a cursor ask of the columns of a table or of a part of it."""
    found: list[ColumnElement[bool]] = [c.deleted.is_(False)]
    if before is not None:
        if not _ID.fullmatch(before):
            raise ConfigError(f"cursor is {before[:40]!r}; expected the id of an event")
        found.append(c.id < before)
    if filters.since_ms is not None:  # ids begin with the time of the start
        found.append(c.id >= first_id(filters.since_ms))
    if filters.until_ms is not None:
        found.append(c.id < first_id(filters.until_ms))
    for column, values in ((c.stream, filters.streams), (c.label, filters.labels)):
        if values:
            found.append(column.in_([plain(value) for value in values]))
    if filters.min_score is not None:
        # Adding 0 keeps the database from sorting whatever the index of scores finds.
        found.append(c.peak_score + 0.0 >= filters.min_score)
    if filters.review == "none":
        found.append(c.review.is_(None))
    elif filters.review is not None:
        found.append(c.review == filters.review)
    return found


def first_id(unix_ms: int) -> str:
    """What no id of an event that began at that time, or later, sorts before."""
    digits = f"{min(max(unix_ms, 0), 2**48 - 1):012x}"
    return f"{digits[:8]}-{digits[8:]}"


def _rare(connection: Connection, filters: Filters) -> ColumnElement[bool] | None:
    """A condition that fewer than `_RARE` events meet, and that has an index; None if none is."""
    conditions: list[ColumnElement[bool]] = []
    if filters.review not in (None, "none"):
        conditions.append(events.c.review == filters.review)
    if filters.min_score is not None:
        conditions.append(events.c.peak_score >= filters.min_score)
    for condition in conditions:
        few = select(events.c.id).where(condition).limit(_RARE).subquery()
        count = connection.execute(select(func.count()).select_from(few)).scalar()
        if count is not None and count < _RARE:
            return condition
    return None


def _branches(filters: Filters) -> list[tuple[ColumnElement[bool], ...]]:
    """Conditions on stream and label, each of which an index has in the order of ids."""
    streams = [events.c.stream == plain(name) for name in dict.fromkeys(filters.streams)]
    labels = [events.c.label == plain(name) for name in dict.fromkeys(filters.labels)]
    if max(1, len(streams)) * max(1, len(labels)) > _MOST_BRANCHES:
        raise ConfigError(
            f"{len(streams)} streams and {len(labels)} labels; expected at most "
            f"{_MOST_BRANCHES} pairs of them"
        )
    sides = [side for side in (streams, labels) if side]
    return list(itertools.product(*sides))


def _newest(branches: Sequence[Select[Any]], limit: int) -> Select[Any]:
    """The newest events of all branches, each of which gives ids, the newest first."""
    some = [select(branch.limit(limit).subquery()) for branch in branches]
    ids = (some[0] if len(some) == 1 else union_all(*some)).subquery()
    found = select(*_FIELDS).join(ids, ids.c.id == events.c.id)
    return found.order_by(events.c.id.desc()).limit(limit)


def _stored(row: RowMapping) -> StoredEvent:
    box = None if row["box"] is None else tuple(json.loads(row["box"]))
    return StoredEvent(**{**row, "box": box})
