"""A pipeline, its sinks and the store under leases."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecolite_stream.bench.robustness.fleet_machines import Observer
from ecolite_stream.fleet.gate import LeaseGate
from ecolite_stream.fleet.leases import CAMERA
from ecolite_stream.fleet.ledger import Holder, LeaseFence, Ledger
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.store.config import StoreConfig
from ecolite_stream.store.database import Database
from ecolite_stream.store.sink import StoreSink
from ecolite_stream.types import Event, LeaseMark
from tests.fakes import ListSink, NumberEngine, OutputSink, spec_of
from tests.fleet.test_leases import TimedLedger, pass_time
from tests.pipeline.runs import ALWAYS
from tests.pipeline.test_changes import stream
from tests.store.making import began, ended, stored
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(60)
MARK = LeaseMark("box-1", 1, "a" * 32, 1)


def test_a_pipeline_without_streams_goes_on_and_its_gate_closes() -> None:
    held: dict[str, LeaseMark] = {"gate": MARK, "yard": MARK}
    plain, outputs = ListSink(), OutputSink()
    pipeline = Pipeline(
        [],
        NumberEngine,
        spec_of(),
        [plain, outputs],
        ALWAYS,
        admit=LeaseGate(held.get).admit,
        stays=True,
    )
    thread = threading.Thread(target=pipeline.run)
    thread.start()

    def seen(name: str) -> int:
        return sum(one.stream == name for one in list(plain.predictions))

    try:
        eventually(lambda: pipeline.heartbeat() is not None)
        for name in held:
            pipeline.add(stream(name))
        eventually(lambda: outputs.events("gate") and outputs.events("yard"))
        del held["gate"]  # its lease has ended; the pipeline has not noticed
        eventually(lambda: outputs.events("gate")[-1].kind == "end")
        last = outputs.events("gate")[-1]
        assert last.lost and last.lease == MARK and last.end_s is not None
        before = seen("gate")
        yard = seen("yard")
        eventually(lambda: seen("yard") > yard + 3)
        assert seen("gate") == before
        for name in ("gate", "yard"):
            pipeline.remove(name)
        held["gate"] = MARK
        pipeline.add(stream("gate"))
        eventually(lambda: [event.kind for event in outputs.events("gate")].count("start") == 2)
        assert seen("gate") > before
    finally:
        pipeline.stop()
        thread.join(20)
    assert not thread.is_alive()
    ids = [event.id for event in outputs.events("gate") if event.kind == "start"]
    ends = [event.id for event in outputs.events("gate") if event.kind == "end"]
    assert len(ids) == 2 and ids == ends


@pytest.fixture
def ledger(url: str) -> Iterator[TimedLedger]:
    database = Database(url, create=True)
    yield TimedLedger(database, "shop")
    database.close()


def marked(event: Event, mark: LeaseMark) -> Event:
    return dataclasses.replace(event, lease=mark)


def test_the_store_refuses_what_was_seen_too_late_and_writes_the_rest(
    ledger: Ledger, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with ledger.begin() as table:
        lease = table.acquire(CAMERA, "door", Holder("box-1", "p"), 8000)
    assert lease is not None
    in_time = LeaseMark("box-1", 1, lease.run, lease.begins_ms + 1)
    late = LeaseMark("box-1", 1, lease.run, lease.ends_ms + 1)
    sink = StoreSink(StoreConfig(url=url, site="home"), [], "b" * 64, fence=LeaseFence())
    good, refused = began(1.0), began(50.0)
    with caplog.at_level(logging.WARNING), sink:
        sink.send(marked(ended(good), in_time))
        sink.send(marked(ended(refused), late))
        eventually(lambda: "refused" in caplog.text)
    (event,) = stored(url)
    assert event.id == good.id
    assert f"event {refused.id} is refused: its lease had ended" in caplog.text


def test_open_events_of_leases_that_ended_are_closed(ledger: TimedLedger, url: str) -> None:
    with ledger.begin() as table:
        leases = [
            table.acquire(CAMERA, name, Holder("box-1", "p"), ms)
            for name, ms in (("door", 8000), ("yard", 60_000))
        ]
    sink = StoreSink(StoreConfig(url=url, site="home"), [], "b" * 64, fence=LeaseFence())
    with sink:
        for start_s, lease in enumerate(leases):
            assert lease is not None
            mark = LeaseMark("box-1", 1, lease.run, lease.begins_ms)
            sink.send(marked(began(float(start_s)), mark))
    pass_time(ledger, 9)
    with ledger.begin() as table:
        assert table.close_events() == 1
    newer, older = stored(url)
    assert leases[0] is not None
    assert (newer.state, older.state) == ("open", "interrupted")
    assert older.end_ms == max(older.start_ms, leases[0].ends_ms)


def test_the_observer_finds_two_that_watch_one_camera(tmp_path: Path) -> None:
    """The proof of a fleet rests on it."""

    def write(process: str, seconds: range, camera: str = "gate") -> None:
        folder = tmp_path / process
        folder.mkdir(exist_ok=True)
        with (folder / "seen.jsonl").open("a") as lines:
            for second in seconds:
                at = f"2026-11-28T12:00:{second:02}.000Z"
                lines.write(f'{{"stream": "{camera}", "at": "{at}"}}\n')

    observer = Observer(tmp_path)
    write("box-1-1", range(0, 10))
    write("box-2-1", range(10, 20))
    write("box-2-1", range(0, 10), "yard")
    write("box-1-1", range(25, 30))
    observer.read()
    assert observer.overlaps() == []
    spans = [(span.process, span.end_ms - span.begin_ms) for span in observer.spans("gate")]
    assert spans == [("box-1-1", 9000), ("box-2-1", 9000), ("box-1-1", 4000)]
    write("box-3-1", range(28, 32))
    (tmp_path / "box-3-1" / "seen.jsonl").open("a").write('{"stream": "gate", "at"')  # killed
    observer.read()
    ((one, other),) = observer.overlaps()
    assert {one.process, other.process} == {"box-1-1", "box-3-1"}
