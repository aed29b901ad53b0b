"""What each machine of a fleet reports to the others: its bundle and what its streams show.

One row for each machine, written with the renewal of its leases. No machine connects to another.
"""

from __future__ import annotations

import dataclasses
import json
import math
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Column, Table, Text, delete, select

from ecolite_stream.fleet.ledger import Transaction, metadata
from ecolite_stream.observability.stream_health import Health
from ecolite_stream.types import Prediction, Sent

MOST_STREAMS = 256
"""Streams of a machine in its report; the others are in its leases only."""
MOST_VIEWS = 4
_LABEL_CHARACTERS = 100
_MOST_CHARACTERS = 1_000_000
_VIEW_KEPT_S = 10.0

_reports = Table(
    "ecolite_machine_reports",
    metadata,
    Column("fleet", Text, primary_key=True),
    Column("machine", Text, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),  # ms since 1970, the database's clock
    Column("report", Text, nullable=False),  # JSON
)


@dataclass(frozen=True)
class Newest:
    """The newest prediction of a view.

    Attributes:
        view: its name; empty in a stream with one view.
        label: the most probable action.
        score: its probability, 0 to 1.
        at: time of day of the frame, UTC, ISO 8601, on the machine's clock; None if unknown.
    """

    view: str
    label: str
    score: float
    at: str | None


@dataclass(frozen=True)
class StreamReport:
    """A stream of a machine.

    Attributes:
        state: one of `metrics.STATES`; empty before it begins.
        fps: frames read a second; None while unknown.
        newest: at most `MOST_VIEWS` predictions, one for each view.
    """

    state: str = ""
    fps: float | None = None
    newest: tuple[Newest, ...] = ()


@dataclass(frozen=True)
class MachineReport:
    """A machine.

    Attributes:
        bundle: digest of its bundle.
        streams: at most `MOST_STREAMS`, by name.
    """

    bundle: str
    streams: Mapping[str, StreamReport] = field(default_factory=dict)

    def as_json(self) -> str:
        """The report in ASCII, without spaces."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))


def report_from(text: str) -> MachineReport | None:
    """A report from its JSON; None where it is none, as one of another version."""
    if len(text) > _MOST_CHARACTERS:
        return None
    try:
        facts = json.loads(text)
        streams = {
            str(name): _stream_from(one)
            for name, one in list(facts["streams"].items())[:MOST_STREAMS]
        }
        return MachineReport(str(facts["bundle"])[:64], streams)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None


def _stream_from(facts: Mapping[str, Any]) -> StreamReport:
    newest = tuple(
        Newest(
            str(one["view"])[:_LABEL_CHARACTERS],
            str(one["label"])[:_LABEL_CHARACTERS],
            min(1.0, max(0.0, float(one["score"]))),
            None if one["at"] is None else str(one["at"])[:40],
        )
        for one in facts["newest"][:MOST_VIEWS]
    )
    fps = None if facts["fps"] is None else float(facts["fps"])
    if fps is not None and not math.isfinite(fps):
        raise ValueError("fps is no number")
    return StreamReport(str(facts["state"])[:20], fps, newest)


class Reporter:
    """Keeps what a machine reports.

    Args:
        bundle: gives the digest of its bundle.
        health: gives the health of streams, by their names.
    """

    def __init__(
        self,
        bundle: Callable[[], str],
        health: Callable[[Sequence[str]], Sequence[Health]],
    ) -> None:
        self._bundle = bundle
        self._health = health
        self._newest: dict[str, dict[str, Prediction]] = {}
        self._lock = threading.Lock()

    def note(self, outputs: Iterable[Sent]) -> Iterable[Sent]:
        """Remember the predictions among outputs, and pass all of them on."""
        outputs = tuple(outputs)
        with self._lock:
            for one in outputs:
                if isinstance(one, Prediction):
                    self._note(one)
        return outputs

    def text(self, streams: Collection[str]) -> str:
        """The report of these streams, as JSON; others are forgotten."""
        names = sorted(streams)[:MOST_STREAMS]
        with self._lock:
            self._newest = {key: self._newest[key] for key in names if key in self._newest}
            found = {name: _newest_of(views) for name, views in self._newest.items()}
        reports = {
            name: StreamReport(
                one.state, None if one.fps is None else round(one.fps, 1), found.get(name, ())
            )
            for name, one in zip(names, self._health(names), strict=True)
        }
        return MachineReport(self._bundle(), reports).as_json()

    def _note(self, prediction: Prediction) -> None:
        """Remember it; forget views of subjects that have gone, and the oldest of too many."""
        since_s = prediction.time_s - _VIEW_KEPT_S
        views = self._newest.get(prediction.stream, {})
        views = {
            name: one
            for name, one in views.items()
            if name != prediction.view and since_s <= one.time_s <= prediction.time_s
        }
        while len(views) >= MOST_VIEWS:
            del views[next(iter(views))]
        self._newest[prediction.stream] = {**views, prediction.view: prediction}


def _newest_of(views: Mapping[str, Prediction]) -> tuple[Newest, ...]:
    return tuple(
        Newest(view, one.label[:_LABEL_CHARACTERS], round(one.score, 4), one.at)
        for view, one in sorted(views.items())
    )


def write_report(table: Transaction, machine: str, text: str) -> None:
    """Set the report of a machine."""
    values = {"at_ms": table.now_ms, "report": text}
    statement = table.insert()(_reports).values(fleet=table.fleet, machine=machine, **values)
    keys = [_reports.c.fleet, _reports.c.machine]
    table.connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))


def read_reports(table: Transaction) -> dict[str, MachineReport]:
    """The newest report of each machine; without those that cannot be read."""
    found = select(_reports.c.machine, _reports.c.report).where(_reports.c.fleet == table.fleet)
    reports = {row.machine: report_from(row.report) for row in table.connection.execute(found)}
    return {machine: report for machine, report in reports.items() if report is not None}


def forget_reports(table: Transaction) -> None:
    """Delete all reports of the fleet."""
    table.connection.execute(delete(_reports).where(_reports.c.fleet == table.fleet))
