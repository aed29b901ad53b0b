"""Events and sinks for tests of the store."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecolite_stream.recognition.event_id import event_id
from ecolite_stream.store import queries
from ecolite_stream.store.config import StoreConfig
from ecolite_stream.store.database import Database
from ecolite_stream.store.queries import Filters, StoredEvent
from ecolite_stream.store.sink import StoreSink
from ecolite_stream.types import Event, StreamAnchor

ZERO_MS = 1_790_000_000_000


def anchor(stream: str = "door", seed: int = 1, zero_ms: int = ZERO_MS) -> StreamAnchor:
    return StreamAnchor(stream, zero_ms, True, f"{seed:032x}")


def began(start_s: float, label: str = "wave", where: StreamAnchor | None = None) -> Event:
    place = where or anchor()
    return Event(
        event_id(place, "", start_s),
        *(place.stream, label, start_s, None, 0.9, 0.8, "start"),
        started_at=place.at(start_s),
    )


def ended(event: Event, lasted_s: float = 2.0, where: StreamAnchor | None = None) -> Event:
    end_s = event.start_s + lasted_s
    at = (where or anchor(event.stream)).at(end_s)
    return dataclasses.replace(event, kind="end", end_s=end_s, peak_score=0.95, ended_at=at)


def sink_at(url: str, clips: Path | None = None, **how: Any) -> StoreSink:
    """A sink whose clock stands at the events' time, unless told otherwise."""
    streams = how.pop("streams", ["door", "yard"])
    clock = how.pop("clock", lambda: ZERO_MS / 1000 + 100)
    every_s = how.pop("retain_every_s", 3600.0)
    config = StoreConfig(url=url, site=how.pop("site", "home"), **how)
    return StoreSink(config, streams, "b" * 64, clips, clock, every_s)


def stored(url: str, filters: Filters | None = None) -> list[StoredEvent]:
    """All events, the newest first, page by page."""
    database, found, cursor = Database(url), [], None
    try:
        while True:
            with database.read() as connection:
                some, cursor = queries.page(connection, filters or Filters(), 1000, cursor)
            found += some
            if cursor is None:
                return found
    finally:
        database.close()


def eventually(check: Callable[[], object]) -> None:
    """Wait until something is so; the test's own limit is the limit."""
    while not check():
        time.sleep(0.02)
