"""Versions of the tables, and a store that survives being killed."""

from __future__ import annotations

import dataclasses
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import Connection, inspect, text

from ecolite_stream.store import database as module
from ecolite_stream.store import schema
from ecolite_stream.store.database import Database, StoreError
from ecolite_stream.types import LeaseMark
from tests.store.making import began, sink_at, stored

pytestmark = pytest.mark.timeout(280)


def test_a_store_of_an_older_version_is_migrated_and_keeps_its_events(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sink_at(url) as sink:
        sink.send(began(1.0))

    def second(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE ecolite_events ADD COLUMN mood TEXT"))

    steps = (*schema.MIGRATIONS, second)
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    monkeypatch.setattr(module, "MIGRATIONS", steps)
    reader = Database(url)
    with pytest.raises(StoreError, match="has version 2, 3 is needed"):
        reader.prepare()
    reader.close()
    with sink_at(url):
        pass
    assert len(stored(url)) == 1
    opened = Database(url)
    with opened.read() as connection:
        assert schema.current_version(connection) == 3
        columns = [column["name"] for column in inspect(connection).get_columns("ecolite_events")]
    opened.close()
    assert "mood" in columns


def test_a_store_of_the_first_version_gets_the_machine_of_events(url: str) -> None:
    with sink_at(url) as sink:
        sink.send(began(1.0))
    opened = Database(url, create=True)
    with opened.begin() as connection:  # as it was before fleets named the machine
        connection.execute(text("ALTER TABLE ecolite_events DROP COLUMN machine"))
        connection.execute(text("UPDATE ecolite_schema SET version = 1"))
    opened.close()
    mark = LeaseMark("box-1", 1, "a" * 32, 1)
    with sink_at(url) as sink:
        sink.send(dataclasses.replace(began(2.0), lease=mark))
    assert [event.machine for event in stored(url)] == ["box-1", None]


def test_a_migration_that_fails_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with sink_at(url):
        pass

    def broken(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE ecolite_events ADD COLUMN mood TEXT"))
        connection.execute(text("SELECT no_such_column FROM ecolite_events"))

    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
        patched.setattr(module, "MIGRATIONS", schema.MIGRATIONS)
        opened = Database(url, create=True)
        with pytest.raises(StoreError):
            opened.prepare()
        opened.close()
    with sink_at(url):
        pass
    opened = Database(url)
    with opened.read() as connection:
        columns = [column["name"] for column in inspect(connection).get_columns("ecolite_events")]
    opened.close()
    assert "mood" not in columns


def test_processes_that_start_at_once_make_one_schema(url: str) -> None:
    problems: list[BaseException] = []

    def start() -> None:
        try:
            opened = Database(url, create=True)
            opened.prepare()
            opened.close()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert stored(url) == []


WRITER = """
import sys, time
from tests.store.making import anchor, began, ended, sink_at
url, seed = sys.argv[1], int(sys.argv[2])
place = anchor("door", seed=seed)
with sink_at(url, days=None, clock=time.time) as sink:
    print("writes", flush=True)
    for number in range(100_000):
        event = began(number / 10, "wave", place)
        sink.send(event)
        sink.send(ended(event, 1.0, place)) if number % 3 else None
        time.sleep(0.0005)
"""


def kill_and_look(url: str, times: int) -> None:
    """Kill a process that writes at a random moment; every event must be whole, again and again."""
    chance = random.Random(times)
    before = 0
    for number in range(times):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, str(number)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writes\n"
        time.sleep(chance.uniform(0, 0.4))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        found = stored(url)
        for event in found:
            assert (event.label, event.stream, event.bundle) == ("wave", "door", "b" * 64)
            assert event.state in ("open", "ended", "interrupted")
            assert (event.state == "ended") == (event.end_s is not None)
            assert event.state == "open" or event.duration_s is not None
        assert len(found) >= before  # nothing that was written is lost
        before = len(found)
    with sink_at(url, days=None, clock=time.time):
        pass
    states = {event.state for event in stored(url)}
    assert before > 10 and states == {"ended", "interrupted"}
    opened = Database(url)
    with opened.read() as connection:
        if opened.is_sqlite:
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    opened.close()


def test_a_process_that_is_killed_leaves_every_event_whole(url: str) -> None:
    kill_and_look(url, 3)


@pytest.mark.slow
def test_fifty_kills_at_random_leave_every_event_whole(sqlite_url: str) -> None:
    kill_and_look(sqlite_url, 50)
