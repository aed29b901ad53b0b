"""`ecolite-stream fleet apply` on a fleet of real processes, cameras and PostgreSQL."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from ecolite_stream.bench.robustness.fleet_cameras import CameraServer
from ecolite_stream.bench.robustness.fleet_machines import MachineProcess, Observer, write_fleet
from tests.app.runs import Command
from tests.conftest import ROOT, installed
from tests.store.postgres import Postgres
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(240)
_NUMBERS = itertools.count()
TIMES = {"lease_s": 6, "margin_s": 0.5, "tick_s": 0.5, "settle_s": 3}
BOXES: Mapping[str, Mapping[str, Any]] = {"box-1": {"capacity": 4}, "box-2": {"capacity": 4}}


class Running:
    """Two machines, each a process with files of its own.

    Args:
        folder: an empty folder.
        store: URL of the store.
        cameras: URL by name.
    """

    def __init__(self, folder: Path, store: str, cameras: Mapping[str, str]) -> None:
        self._folder, self._store = folder, store
        self.observer = Observer(folder / "seen")
        self.boxes = {
            name: MachineProcess(name, self.write(name, cameras), folder / "seen") for name in BOXES
        }

    def write(self, name: str, cameras: Mapping[str, str], boxes: Any = BOXES) -> Path:
        """Files of the fleet in a folder."""
        folder = self._folder / name
        folder.mkdir()
        return write_fleet(folder, self._store, cameras, boxes, **TIMES)

    def watchers(self, *cameras: str) -> list[int]:
        """How many processes watch each, by what they saw in the last 2 s."""
        self.observer.read()
        since_ms = round(1000 * time.time()) - 2000
        return [len(self.observer.watchers(camera, since_ms)) for camera in cameras]

    def found(self, words: str) -> list[str]:
        """The first column of a query of the store."""
        engine = create_engine(self._store)
        with engine.connect() as connection:
            rows = [str(row[0]) for row in connection.execute(text(words))]
        engine.dispose()
        return rows

    def log(self, name: str) -> str:
        """Log of the newest process of a machine."""
        return (self._folder / "seen" / self.boxes[name].current / "log").read_text()


@pytest.fixture
def servers() -> Iterator[tuple[CameraServer, CameraServer]]:
    with CameraServer() as one, CameraServer() as other:
        yield one, other


@pytest.fixture
def running(
    servers: tuple[CameraServer, CameraServer], postgres: Postgres, tmp_path: Path
) -> Iterator[Running]:
    installed("openvino")
    cameras = {name: servers[0].url(name) for name in ("gate", "yard")}
    running = Running(tmp_path, postgres.new_database(f"apply{next(_NUMBERS)}"), cameras)
    with contextlib.ExitStack() as stack:
        for box in running.boxes.values():
            stack.callback(box.end)
            box.start()
        yield running


def test_a_running_fleet_changes(
    running: Running, servers: tuple[CameraServer, CameraServer], ecolite: Command
) -> None:
    eventually(lambda: running.watchers("gate", "yard") == [1, 1])
    new = {name: servers[1].url(name) for name in ("gate", "door")}
    done = ecolite("fleet", "apply", "--config", running.write("new", new))
    changes = "added cameras door; removed cameras yard; changed cameras gate"
    assert (done.exit_code, done.out) == (0, f"fleet proof: {changes}\n"), done.err
    eventually(lambda: running.watchers("gate", "yard", "door") == [1, 0, 1])

    secret = {**new, "safe": "rtsp://me:hush@127.0.0.1:9/safe"}
    refused = ecolite("fleet", "apply", "--config", running.write("secret", secret))
    assert refused.exit_code == 2 and "hush" not in refused.err
    last = refused.err.splitlines()[-1]
    assert "box-1: safe: no user and password; name them under logins" in last
    assert last.endswith("nothing has changed")

    box_1, box_2 = running.boxes.values()
    fewer = running.write("fewer", new, {"box-1": {"capacity": 4}})
    done = ecolite("fleet", "apply", "--config", fewer)
    assert done.out == "fleet proof: removed machines box-2\n"
    assert box_2.wait(60) == 0
    eventually(lambda: running.watchers("gate", "door") == [1, 1])

    box_1.signal(signal.SIGTERM)
    box_1.wait(60)
    box_1.start()  # its files are those of the beginning
    eventually(lambda: "the files of this machine are an earlier version" in running.log("box-1"))
    eventually(lambda: running.watchers("gate", "door") == [1, 1])
    box_2.start()
    assert box_2.wait(60) == 2
    assert running.observer.overlaps() == []


def test_one_that_is_frozen_and_an_apply_that_is_killed(
    running: Running, servers: tuple[CameraServer, CameraServer], ecolite: Command
) -> None:
    eventually(lambda: running.watchers("gate", "yard") == [1, 1])
    new = running.write("new", {name: servers[1].url(name) for name in ("gate", "yard")})
    status = json.loads(ecolite("fleet", "status", "--config", new, "--json").out)
    name = next(one["machine"] for one in status["cameras"] if one["stream"] == "gate")
    frozen, before = running.boxes[name], running.found("SELECT digest FROM ecolite_fleets")

    frozen.signal(signal.SIGSTOP)
    words = [sys.executable, "-m", "ecolite_stream", "fleet", "apply", "--config", str(new)]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL) as applying:
        eventually(lambda: running.found("SELECT id FROM ecolite_fleet_proposals"))
        applying.kill()
    frozen.signal(signal.SIGCONT)
    eventually(lambda: len(running.found("SELECT machine FROM ecolite_fleet_answers")) == 2)
    frozen.signal(signal.SIGSTOP)
    refused = ecolite("fleet", "apply", "--config", new)
    assert refused.exit_code == 2 and "apply is under way" in refused.err
    assert running.found("SELECT digest FROM ecolite_fleets") == before

    eventually(lambda: ecolite("fleet", "apply", "--config", new).exit_code == 0)
    eventually(lambda: running.watchers("gate", "yard") == [1, 1])
    frozen.signal(signal.SIGCONT)
    eventually(lambda: "changed to definition" in running.log(name))
    eventually(lambda: running.watchers("gate", "yard") == [1, 1])
    assert running.observer.overlaps() == []
