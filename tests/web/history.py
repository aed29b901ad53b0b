"""A store with events in it, for what the API and the page make of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ecolite_stream.recognition.event_id import event_id
from ecolite_stream.store.database import Database
from ecolite_stream.store.rows import Origin, row_of, write
from ecolite_stream.types import Box, Event, StreamAnchor

LABELS = ("walk", "run", "wave2", "jump")
START_MS = 1_795_860_000_000  # 2026-11-28T10:00:00Z
EVERY_MS = 60_000
ORIGIN = Origin("here", "0" * 32, "f" * 64)


def history(
    folder: Path,
    count: int,
    streams: Sequence[str] = ("door", "yard"),
    *,
    pictures: bool = True,
    labels: Sequence[str] = LABELS,
) -> tuple[str, list[str]]:
    """A new store with so many events, a minute apart; its URL and their ids, the newest first."""
    url = f"sqlite:///{folder}/events.db"
    anchors = [
        StreamAnchor(name, START_MS, True, f"{number:032x}") for number, name in enumerate(streams)
    ]
    found = [_event(anchors[n % len(anchors)], n, labels[n % len(labels)]) for n in range(count)]
    database = Database(url, create=True)
    try:
        for first in range(0, count, 1000):
            part = found[first : first + 1000]
            jpegs = {one.id: _jpeg(first + n) for n, one in enumerate(part)} if pictures else {}
            rows = [
                row_of(one, ORIGIN, f"{one.id}.mp4", len(jpegs.get(one.id, b""))) for one in part
            ]
            with database.begin() as connection:
                write(connection, rows, jpegs, START_MS)
    finally:
        database.close()
    return url, [one.id for one in reversed(found)]


def _event(anchor: StreamAnchor, number: int, label: str) -> Event:
    start_s = number * EVERY_MS / 1000
    score = round(0.6 + 0.4 * (number % 40) / 40, 3)
    event = Event(
        event_id(anchor, "", start_s),
        *(anchor.stream, label, start_s, start_s + 8.0, score, score - 0.1, "end"),
        started_at=anchor.at(start_s),
        ended_at=anchor.at(start_s + 8.0),
    )
    return dataclasses.replace(event, box=Box(0.25, 0.2, 0.4, 0.6)) if number % 3 == 0 else event


def _jpeg(number: int) -> bytes:
    image = np.full((180, 320, 3), (60 + number * 7 % 90, 70 + number * 13 % 80, 80), np.uint8)
    cv2.circle(image, (60 + number * 37 % 200, 60), 22, (180, 190, 200), -1)
    cv2.rectangle(
        image, (40 + number * 37 % 200, 82), (80 + number * 37 % 200, 160), (150, 150, 120), -1
    )
    cv2.putText(image, str(number), (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
    return cv2.imencode(".jpg", image)[1].tobytes()
