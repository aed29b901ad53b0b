"""Events get into the store, whatever the store does."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.media.clip_names import clip_name
from ecolite_stream.store import queries
from ecolite_stream.store.config import RetainConfig
from ecolite_stream.store.database import Database, StoreError
from ecolite_stream.store.queries import Filters
from ecolite_stream.types import Box, Frame
from tests.store.making import ZERO_MS, anchor, began, ended, eventually, sink_at, stored
from tests.store.postgres import Postgres

pytestmark = pytest.mark.timeout(120)
DAY_S = 86_400


def test_everything_of_an_event_is_kept(url: str, tmp_path: Path) -> None:
    box = Box(0.1, 0.2, 0.3, 0.4)
    start = dataclasses.replace(began(12.5), view="left", box=box)
    picture = np.full((240, 640, 3), 90, np.uint8)
    with sink_at(url, clips=tmp_path) as sink:
        sink.show(Frame("door", 0, 12.0, picture), True)  # type: ignore[attr-defined]
        sink.send(start)
        eventually(lambda: [event.state for event in stored(url)] == ["open"])
        sink.send(ended(start))
    (event,) = stored(url)
    assert (event.id, event.site, event.stream, event.view) == (start.id, "home", "door", "left")
    assert (event.label, event.state, event.live, event.bundle) == ("wave", "ended", True, "b" * 64)
    assert (event.start_ms, event.end_ms) == (ZERO_MS + 12_500, ZERO_MS + 14_500)
    assert (event.start_s, event.end_s, event.duration_s) == (12.5, 14.5, 2.0)
    assert (event.peak_score, event.mean_score, event.box) == (0.95, 0.8, (0.1, 0.2, 0.3, 0.4))
    assert (event.review, event.note, event.keep) == (None, "", False)
    assert event.clip == clip_name(start.id)
    assert event.as_dict()["started_at"] == start.started_at
    database = Database(url)
    with database.read() as connection:
        jpeg = queries.picture(connection, start.id)
    database.close()
    assert jpeg is not None and jpeg[:2] == b"\xff\xd8" and len(jpeg) < 20_000


def test_a_recordings_event_and_a_lost_one(url: str) -> None:
    start = began(1.0)
    recorded = dataclasses.replace(ended(began(5.0)), started_at=None, ended_at=None)
    with sink_at(url) as sink:
        sink.send(dataclasses.replace(ended(start), lost=True))
        sink.send(recorded)
    newer, older = stored(url)
    assert (newer.live, newer.state, newer.duration_s) == (False, "ended", 2.0)
    assert (older.live, older.state) == (True, "lost")


def test_text_that_a_database_refuses_is_escaped(url: str) -> None:
    place = anchor("caf\udce9\0")
    with sink_at(url) as sink:
        sink.send(ended(began(1.0, "wave", place), where=place))
    assert [event.stream for event in stored(url)] == ["caf\\udce9\\0"]


def test_what_a_killed_run_left_open_is_closed_by_the_next(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    first, elsewhere = began(1.0), began(2.0, where=anchor("garage"))
    killed = sink_at(url, streams=["door", "garage"])
    with killed:
        killed.send(first)
        killed.send(elsewhere)
    caplog.clear()
    with sink_at(url, streams=["door"], clock=lambda: ZERO_MS / 1000 + 110):
        pass
    states = {event.stream: (event.state, event.end_ms) for event in stored(url)}
    assert states == {
        "door": ("interrupted", ZERO_MS + 100_000),  # when the run last wrote
        "garage": ("open", None),  # its run may be alive
    }
    assert "1 events closed as interrupted" in caplog.text
    with sink_at(url, streams=["door"], clock=lambda: ZERO_MS / 1000 + 1000):
        pass
    assert {event.state for event in stored(url)} == {"interrupted"}


def test_another_site_closes_nothing_of_ours(url: str) -> None:
    with sink_at(url) as sink:
        sink.send(began(1.0))
        eventually(lambda: stored(url))
        with sink_at(url, site="away"):
            pass
        assert [event.state for event in stored(url)] == ["open"]


def test_a_queue_that_is_full_raises_and_the_rest_is_stored(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While another process holds the database locked."""
    events = [ended(began(float(i))) for i in range(12)]
    sink = sink_at(sqlite_url, queue=10)
    lock = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    with sink:
        for event in events[:10]:
            sink.send(event)
        sink.send(events[3])  # an event that waits already takes no more room
        with pytest.raises(OSError, match="10 events wait already"):
            sink.send(events[10])
        eventually(lambda: "database is locked; trying again until it works" in caplog.text)
        lock.execute("COMMIT")
        eventually(lambda: len(stored(sqlite_url)) == 10)
        sink.send(events[11])
    lock.close()
    assert len(stored(sqlite_url)) == 11
    assert caplog.text.count("trying again") == 1
    assert f"{tmp_path}/events.db: works" in caplog.text


def test_a_server_that_is_away_at_the_start_and_later(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.new_database("away")
    postgres.stop()
    try:
        sink = sink_at(url)
        assert "trying again until it works" in caplog.text
        assert "secret" not in caplog.text and caplog.text.count("\n") == 1
        with sink:
            sink.send(began(1.0))
            postgres.start()
            eventually(lambda: ": works" in caplog.text)
            eventually(lambda: len(stored(url)) == 1)
            postgres.stop()
            for number in range(2, 6):
                sink.send(began(float(number)))
            eventually(lambda: caplog.text.count("trying again") == 2)
            postgres.start()
            eventually(lambda: len(stored(url)) == 5)
    finally:
        postgres.stop()
        postgres.start()


def test_what_cannot_be_written_at_the_end_is_counted(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = sink_at(sqlite_url)
    lock = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    with sink:
        for number in range(3):
            sink.send(began(float(number)))
    lock.close()
    assert "3 events were lost" in caplog.text


def test_a_disk_that_fills(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], stderr=subprocess.DEVNULL
    )
    if not mounted:
        pytest.skip("a disk of its own cannot be mounted here")
    try:
        url = f"sqlite:///{disk}/events.db"
        with sink_at(url) as sink:
            sink.send(ended(began(0.0)))
            eventually(lambda: len(stored(url)) == 1)
            filler = disk / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(b"x" * 4096):
                    pass
            for number in range(1, 400):
                sink.send(ended(began(float(number))))
            eventually(lambda: "full; trying again" in caplog.text)
            filler.unlink(missing_ok=True)
            eventually(lambda: len(stored(url)) == 400)
    finally:
        subprocess.call(["umount", "-l", disk])


def test_two_processes_write_one_postgresql(postgres: Postgres) -> None:
    url = postgres.new_database("shared")
    code = """
import sys
from tests.store.making import anchor, began, ended, sink_at
url, name = sys.argv[1:]
place = anchor(name, seed=len(name))
with sink_at(url, site=name, streams=[name]) as sink:
    for number in range(500):
        event = began(number / 10, "wave", place)
        sink.send(event)
        sink.send(ended(event, 0.05, place))
    while sink._rows:
        pass
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", code, url, name], stderr=subprocess.PIPE)
        for name in ("left", "right one")
    ]
    for writer in writers:
        _, problems = writer.communicate(timeout=100)
        assert (writer.returncode, problems) == (0, b"")
    found = stored(url)
    assert len(found) == 1000
    assert {(e.site, e.stream, e.state) for e in found} == {
        (name, name, "ended") for name in ("left", "right one")
    }


def test_retention_by_label_and_stream_and_day(url: str, tmp_path: Path) -> None:
    rules = (
        RetainConfig(None, label="fall"),
        RetainConfig(1, stream="yard"),
    )
    events = {}
    for name, start_s, label, stream in (
        ("old", 0, "wave", "door"),
        ("old but kept", 1, "wave", "door"),
        ("old fall", 2, "fall", "yard"),
        ("young", 6 * DAY_S, "wave", "door"),
        ("young yard", 6 * DAY_S, "wave", "yard"),
    ):
        place = anchor(stream)
        events[name] = ended(began(float(start_s), label, place), where=place)
        (tmp_path / clip_name(events[name].id)).write_bytes(b"clip")
    other = tmp_path / "holiday.mp4"
    other.write_bytes(b"film")
    now = {"s": ZERO_MS / 1000 + 6 * DAY_S}
    how = {"days": 5.0, "retain": rules, "clock": lambda: now["s"], "retain_every_s": 0.1}
    with sink_at(url, clips=tmp_path, **{**how, "retain_every_s": 3600.0}) as sink:
        now["s"] = ZERO_MS / 1000
        for event in events.values():
            sink.send(event)
        eventually(lambda: len(stored(url)) == 5)
        database = Database(url)
        with database.begin() as connection:
            assert queries.keep(connection, events["old but kept"].id)
        database.close()
    now["s"] = ZERO_MS / 1000 + 7.5 * DAY_S
    kept = {events[name].id for name in ("old but kept", "old fall", "young")}
    with sink_at(url, clips=tmp_path, **how):
        eventually(lambda: {event.id for event in stored(url)} == kept)
        left = {clip_name(one) for one in kept} | {"holiday.mp4"}
        eventually(lambda: {path.name for path in tmp_path.glob("*.mp4")} == left)
    mode = (tmp_path / clip_name(events["old but kept"].id)).stat().st_mode
    assert not mode & 0o222  # so that clips.max_bytes spares it


def test_retention_by_size(url: str) -> None:
    events = [ended(began(float(i))) for i in range(40)]
    with sink_at(url, days=None, max_bytes=10 * 512, retain_every_s=0.1) as sink:
        for event in events:
            sink.send(event)
        wanted = [event.id for event in reversed(events[-10:])]
        eventually(lambda: [event.id for event in stored(url)] == wanted)


def test_what_people_delete_goes_with_its_clip(url: str, tmp_path: Path) -> None:
    event = ended(began(1.0))
    clip = tmp_path / clip_name(event.id)
    clip.write_bytes(b"clip")
    with sink_at(url, clips=tmp_path, retain_every_s=0.1) as sink:
        sink.send(event)
        eventually(lambda: stored(url))
        database = Database(url)
        with database.begin() as connection:
            assert queries.remove(connection, event.id)
            assert not queries.remove(connection, event.id)
        assert stored(url) == []
        eventually(lambda: not clip.exists())
        database.close()


def test_reviews_outlast_what_is_still_reported(url: str) -> None:
    event = began(1.0)
    with sink_at(url) as sink:
        sink.send(event)
        eventually(lambda: stored(url))
        database = Database(url)
        with database.begin() as connection:
            assert queries.review(connection, event.id, "label", "jump")
            assert queries.note(connection, event.id, "the postman")
            assert queries.keep(connection, event.id)
            assert not queries.review(connection, "0" * 36, "right")
        database.close()
        sink.send(ended(event))
        eventually(lambda: stored(url)[0].state == "ended")
    (found,) = stored(url, Filters(review="label"))
    assert (found.review, found.review_label) == ("label", "jump")
    assert (found.note, found.keep) == ("the postman", True)


def test_an_id_that_is_no_uuid_is_refused(sqlite_url: str) -> None:
    with sink_at(sqlite_url) as sink, pytest.raises(ValueError):
        sink.send(dataclasses.replace(began(1.0), id="door@1.000"))


def test_errors_at_the_start_are_one_line(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreError, match=r"is no SQLite database; choose another file$"):
        sink_at(sqlite_url)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(StoreError, match=r"is a database of another program"):
        sink_at(sqlite_url)
    path.unlink()
    with sink_at(sqlite_url):
        pass
    with sqlite3.connect(path) as newer:
        newer.execute("UPDATE ecolite_schema SET version = 99")
    with pytest.raises(StoreError, match=r"has version 99, this program knows 2; update"):
        sink_at(sqlite_url)
    with pytest.raises(StoreError, match=r"cannot be opened; check its folder") as caught:
        Database(f"sqlite:///{tmp_path}/none/events.db", create=True).prepare()
    assert "\n" not in str(caught.value)
    assert caught.value.permanent


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="a folder without room for files")
def test_a_path_that_can_never_be_written_is_refused_at_the_start() -> None:
    with pytest.raises(StoreError, match=r"/proc/ecolite.db cannot be opened; check its folder"):
        sink_at("sqlite:////proc/ecolite.db")


def test_a_read_only_store_is_named_as_such(sqlite_url: str, tmp_path: Path) -> None:
    with sink_at(sqlite_url) as sink:
        sink.send(ended(began(1.0)))
    code = """
import os, sys
import psycopg
from ecolite_stream.store.database import StoreError
from tests.store.making import sink_at
if os.geteuid() == 0:
    os.setuid(65534)  # nothing is read-only for root
try:
    sink_at(sys.argv[1])
except StoreError as error:
    print(error, error.permanent)
"""
    for path in (tmp_path, *tmp_path.iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in list(tmp_path.parents)[:3]:  # one more folder where tests run in parallel
        if parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", code, sqlite_url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    tmp_path.chmod(0o755)
    assert done.stdout.endswith("True\n") and "is read-only; change its rights" in done.stdout


def test_a_lost_event_of_the_log_is_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(StoreError):
        Database("sqlite:////nowhere/at/all.db")
