"""Events of an archive in a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")

from sqlalchemy import select

from ecolite_stream.archive.store_events import event_of
from ecolite_stream.model.bundle import demo_bundle_path
from ecolite_stream.store.database import Database
from ecolite_stream.store.schema import events
from ecolite_stream.types import Box, Event
from tests.app.runs import Command, Result
from tests.archive.test_archive import always
from tests.conftest import installed
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(120)


def stored(path: Path) -> list[tuple[str, str, str]]:
    database = Database(f"sqlite:///{path}")
    try:
        with database.read() as connection:
            query = select(events.c.id, events.c.stream, events.c.state)
            return sorted(map(tuple, connection.execute(query)))
    finally:
        database.close()


def test_each_event_is_stored_once_however_often_the_archive_runs(
    ecolite: Command, tmp_path: Path
) -> None:
    installed("openvino")
    films = [write_numbered_video(tmp_path / f"{name}.mp4", 60) for name in "ab"]
    config, database = always(tmp_path), tmp_path / "events.sqlite"

    def run(out: str, *options: object) -> Result:
        words = ("--config", config, "--bundle", demo_bundle_path(), "--engine", "openvino")
        return ecolite("archive", *films, "--out", tmp_path / out, *words, *options)

    store = ("--store", f"sqlite:///{database}")
    assert run("out").exit_code == 0
    assert not database.exists()
    assert run("out", *store).exit_code == 0  # finished already; its events are stored
    found = stored(database)
    assert {stream for _, stream, _ in found} == {str(film) for film in films}
    lines = [
        json.loads(line)
        for path in (tmp_path / "out" / "results").glob("*.events.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert {line["event"] for line in lines} == {name for name, _, _ in found}
    assert run("out", *store).exit_code == 0
    assert run("another", *store).exit_code == 0
    assert stored(database) == found


def test_a_store_that_is_none(ecolite: Command, tmp_path: Path) -> None:
    installed("openvino")
    write_numbered_video(tmp_path / "a.mp4", 30)
    run = ecolite("archive", tmp_path, "--out", tmp_path / "out", "--store", "mysql://u:secret@h/d")
    assert run.exit_code == 2
    assert "expected sqlite:///FILE" in run.error and "secret" not in run.error


def test_an_event_comes_back_from_its_line() -> None:
    box = Box(0.25, 0.5, 0.125, 0.5)
    event = Event("id", "s", "jump", 1.5, 2.5, 0.75, 0.5, "end", view="door", box=box)
    assert event_of(json.dumps(event.as_dict()).encode()) == event
    going = Event("id", "s", "jump", 1.5, None, 0.75, 0.5, "start")
    assert event_of(json.dumps(going.as_dict()).encode()) == going
