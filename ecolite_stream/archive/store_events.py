"""Events of finished recordings in a store: however often they are written, they are there once."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from ecolite_stream.store.config import StoreConfig
from ecolite_stream.store.database import Database
from ecolite_stream.store.rows import Origin, note_run, row_of, write
from ecolite_stream.types import Box, Event

_BATCH = 500


class EventStore:
    """A store that is open for events of recordings.

    Args:
        url: of the store.
        bundle_digest: of the model.

    Raises:
        ConfigError: it cannot be opened.
    """

    def __init__(self, url: str, bundle_digest: str) -> None:
        self._database = Database(url, create=True)
        self._origin = Origin(StoreConfig(url).site_name, secrets.token_hex(16), bundle_digest)
        with self._database.begin() as connection:
            note_run(connection, self._origin, _now_ms())

    def write(self, lines: bytes) -> None:
        """Write the events of a recording, each as it was last reported, in one transaction.

        Args:
            lines: JSON Lines of events.

        Raises:
            ConfigError: the store does not take them.
        """
        newest = {event.id: event for event in map(event_of, lines.splitlines())}
        rows = [row_of(event, self._origin, None, 0) for event in newest.values()]
        with self._database.begin() as connection:
            for start in range(0, len(rows), _BATCH):
                write(connection, rows[start : start + _BATCH], {}, _now_ms())

    def close(self) -> None:
        """Close the store."""
        self._database.close()


def event_of(line: bytes) -> Event:
    """The event that a line of JSON holds, with the times of JSON: rounded to milliseconds."""
    values: dict[str, Any] = json.loads(line)
    box = values.get("box")
    return Event(
        values["event"],
        values["stream"],
        values["label"],
        values["start_s"],
        values["end_s"],
        values["peak_score"],
        values["mean_score"],
        values["kind"],
        view=values.get("view", ""),
        box=None if box is None else Box(*box),
        started_at=values.get("started_at"),
        ended_at=values.get("ended_at"),
        lost=values.get("lost", False),
    )


def _now_ms() -> int:
    return round(1000 * time.time())
