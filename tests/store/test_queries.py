"""Filters and pages, held against a plain list."""

from __future__ import annotations

import dataclasses
import random
import uuid
from collections.abc import Iterator

import pytest

from ecolite_stream.errors import ConfigError
from ecolite_stream.store import queries
from ecolite_stream.store.database import Database
from ecolite_stream.store.queries import Filters, StoredEvent, page
from ecolite_stream.store.rows import Origin, row_of, write
from tests.store.making import ZERO_MS, anchor, began, ended

pytestmark = pytest.mark.timeout(200)
STREAMS, LABELS = ("door", "yard", "hall"), ("wave", "fall", "jump", "sit")
COUNT = 10_000
HOUR_MS = 3_600_000


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url, create=True)
    yield opened
    opened.close()


def fill(database: Database, count: int, seed: int) -> list[StoredEvent]:
    """Random events, written in a random order; returned as they must be found."""
    chance = random.Random(seed)
    origin = Origin("home", uuid.uuid4().hex, "b" * 64)
    rows = []
    for number in range(count):
        place = anchor(chance.choice(STREAMS), seed=number % 7)
        event = began(round(chance.uniform(0, 86_400), 2) + number * 1e-6, "wave", place)
        event = dataclasses.replace(event, label=chance.choice(LABELS))
        if chance.random() < 0.9:
            event = ended(event, chance.uniform(0, 60), place)
        event = dataclasses.replace(event, peak_score=round(chance.random(), 3))
        row = row_of(event, origin, None, 0)
        verdict = chance.choice([None, None, None, "right", "wrong"])
        rows.append({**row, "review": verdict, "review_label": None})
    chance.shuffle(rows)
    with database.begin() as connection:
        for start in range(0, count, 500):
            write(connection, rows[start : start + 500], {}, ZERO_MS)
    names = [field.name for field in dataclasses.fields(StoredEvent)]
    found = [StoredEvent(**{name: row[name] for name in names}) for row in rows]
    return sorted(found, key=lambda event: event.id, reverse=True)


def fits(event: StoredEvent, filters: Filters) -> bool:
    """What `Filters` says, once more and slowly."""
    return (
        (filters.since_ms is None or event.start_ms >= filters.since_ms)
        and (filters.until_ms is None or event.start_ms < filters.until_ms)
        and (not filters.streams or event.stream in filters.streams)
        and (not filters.labels or event.label in filters.labels)
        and (filters.min_score is None or event.peak_score >= filters.min_score)
        and (filters.review is None or (event.review or "none") == filters.review)
    )


def random_filters(chance: random.Random) -> Filters:
    since_ms = ZERO_MS + chance.randrange(24) * HOUR_MS
    return Filters(
        since_ms=chance.choice([None, since_ms]),
        until_ms=chance.choice([None, since_ms + chance.randrange(1, 12) * HOUR_MS + 1]),
        streams=tuple(chance.sample(STREAMS, chance.randrange(3))),
        labels=tuple(chance.sample(LABELS, chance.randrange(3))),
        min_score=chance.choice([None, 0.0, 0.5, 0.97, 1.0]),
        review=chance.choice([None, None, *queries.REVIEWS]),
    )


def test_ten_thousand_events_are_found_as_in_a_plain_list(database: Database) -> None:
    events = fill(database, COUNT, seed=1)
    chance = random.Random(2)
    sizes = []
    for _ in range(60):
        filters, limit = random_filters(chance), chance.choice([7, 100, 1000])
        wanted = [event for event in events if fits(event, filters)]
        found: list[StoredEvent] = []
        cursor, pages = None, 0
        while pages < 12:
            with database.read() as connection:
                some, cursor = page(connection, filters, limit, cursor)
            found, pages = found + some, pages + 1
            assert len(some) == limit or cursor is None
            if cursor is None:
                break
        assert found == wanted[: len(found)], filters
        assert (cursor is None) == (len(found) == len(wanted))
        sizes.append(len(wanted))
    assert min(sizes) == 0 and max(sizes) > 1000  # all kinds were tried


def test_a_page_stays_where_it_is_while_events_come(database: Database) -> None:
    before = fill(database, 100, seed=3)
    with database.read() as connection:
        _, cursor = page(connection, Filters(), 40)
    fill(database, 50, seed=4)
    with database.read() as connection:
        second, _ = page(connection, Filters(), 1000, cursor)
    assert {event.id for event in before[40:]} <= {event.id for event in second}
    assert all(event.id < before[39].id for event in second)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_score": 1.5}, "min_score is 1.5; expected 0 to 1"),
        ({"min_score": float("nan")}, "min_score is nan"),
        ({"review": "maybe"}, "review is 'maybe'; expected none, right, wrong, label"),
    ],
)
def test_filters_that_make_no_sense(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Filters(**values)  # type: ignore[arg-type]


def test_pages_that_make_no_sense(database: Database) -> None:
    with database.read() as connection:
        with pytest.raises(ConfigError, match='cursor is "\' OR 1=1"; expected the id'):
            page(connection, Filters(), 10, "' OR 1=1")
        with pytest.raises(ConfigError, match="limit is 1001; expected 1 to 1000"):
            page(connection, Filters(), 1001)
        with pytest.raises(ConfigError, match="expected at most 64 pairs"):
            page(connection, Filters(streams=tuple("abcdefghi"), labels=tuple("abcdefgh")), 10)
    with database.begin() as connection:
        with pytest.raises(ConfigError, match="review is 'so'"):
            queries.review(connection, "x", "so")
        with pytest.raises(ConfigError, match="needs the right label"):
            queries.review(connection, "x", "label")


def test_text_of_filters_is_data(database: Database) -> None:
    fill(database, 10, seed=5)
    with database.read() as connection:
        for name in ("'; DROP TABLE ecolite_events; --", "%", "d\0oor", "\udcff"):
            assert page(connection, Filters(streams=(name,), labels=(name,)))[0] == []
        assert len(page(connection, Filters())[0]) == 10
