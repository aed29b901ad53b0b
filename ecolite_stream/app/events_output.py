"""Print stored events as text, JSON Lines or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ecolite_stream.types import iso_utc

if TYPE_CHECKING:
    from ecolite_stream.store.queries import StoredEvent


def print_json(found: Iterable[StoredEvent]) -> None:
    """Print JSON Lines."""
    for event in found:
        print(json.dumps(event.as_dict()), flush=True)


def print_csv(found: Iterable[StoredEvent]) -> None:
    """Print CSV with a header."""
    import dataclasses

    from ecolite_stream.store.queries import StoredEvent

    names = [field.name for field in dataclasses.fields(StoredEvent)]
    columns = [{"start_ms": "started_at", "end_ms": "ended_at"}.get(name, name) for name in names]
    writer = csv.writer(sys.stdout)
    writer.writerow([*columns, "duration_s"])
    for event in found:
        facts = event.as_dict()
        writer.writerow([_cell(facts[column]) for column in (*columns, "duration_s")])
        sys.stdout.flush()


def _cell(value: Any) -> Any:
    """A value for a spreadsheet; text that looks like a formula gets an apostrophe."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return json.dumps(value) if isinstance(value, tuple | list) else value


def print_text(found: Iterable[StoredEvent]) -> None:
    """Print a line for each event."""
    for event in found:
        lasted = "lasts" if event.duration_s is None else f"{event.duration_s:.1f} s"
        verdict = {"label": f"was {event.review_label}"}.get(event.review or "", event.review or "")
        where = f"{event.stream}/{event.view}" if event.view else event.stream
        marks = [event.state if event.state in ("lost", "interrupted") else "", verdict]
        marks.append("kept" if event.keep else "")
        tail = " ".join(mark for mark in marks if mark)
        line = (
            f"{iso_utc(event.start_ms)}  {event.id}  {where}  {event.label}  "
            f"{event.peak_score:.0%}  {lasted}  {tail}"
        )
        print(line.rstrip(), flush=True)
