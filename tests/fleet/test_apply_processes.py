"""`ecolite-stream fleet apply` on a fleet of real processes, cameras and PostgreSQL."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ecolite_stream.bench.robustness.fleet_cameras import CameraServer
from ecolite_stream.bench.robustness.fleet_machines import MachineProcess, Observer, write_fleet
from tests.app.runs import Command
from tests.conftest import installed
from tests.store.postgres import Postgres
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(240)
TIMES = {"lease_s": 6, "margin_s": 0.5, "tick_s": 0.5, "settle_s": 3}
BOXES: Mapping[str, Mapping[str, Any]] = {"box-1": {"capacity": 4}, "box-2": {"capacity": 4}}


@pytest.fixture
def servers() -> Iterator[tuple[CameraServer, CameraServer]]:
    with CameraServer() as one, CameraServer() as other:
        yield one, other


def test_a_running_fleet_changes(
    servers: tuple[CameraServer, CameraServer],
    postgres: Postgres,
    tmp_path: Path,
    ecolite: Command,
) -> None:
    installed("openvino")
    store, here, there = postgres.new_database("apply"), *servers
    observer = Observer(tmp_path / "seen")

    def write(folder: str, boxes: Any = BOXES, **cameras: str) -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        return write_fleet(tmp_path / folder, store, cameras, boxes, **TIMES)

    def watchers(*cameras: str) -> list[int]:
        """How many processes watch each, by what they saw in the last 2 s."""
        observer.read()
        since_ms = round(1000 * time.time()) - 2000
        return [len(observer.watchers(camera, since_ms)) for camera in cameras]

    old = {"gate": here.url("gate"), "yard": here.url("yard")}
    boxes = {name: MachineProcess(name, write(name, **old), tmp_path / "seen") for name in BOXES}
    with contextlib.ExitStack() as stack:
        for box in boxes.values():
            stack.callback(box.end)
            box.start()
        eventually(lambda: watchers("gate", "yard") == [1, 1])
        new = {"gate": there.url("gate"), "door": there.url("door")}
        done = ecolite("fleet", "apply", "--config", write("new", **new))
        changes = "added cameras door; removed cameras yard; changed cameras gate"
        assert (done.exit_code, done.out) == (0, f"fleet proof: {changes}\n"), done.err
        eventually(lambda: watchers("gate", "yard", "door") == [1, 0, 1])

        secret = {**new, "safe": "rtsp://me:hush@127.0.0.1:9/safe"}
        refused = ecolite("fleet", "apply", "--config", write("secret", **secret))
        assert refused.exit_code == 2 and "hush" not in refused.err
        last = refused.err.splitlines()[-1]
        assert "box-1: safe: no user and password; name them under logins" in last
        assert last.endswith("nothing has changed")

        fewer = write("fewer", {"box-1": {"capacity": 4}}, **new)
        done = ecolite("fleet", "apply", "--config", fewer)
        assert done.out == "fleet proof: removed machines box-2\n"
        assert boxes["box-2"].wait(60) == 0
        eventually(lambda: watchers("gate", "door") == [1, 1])
        boxes["box-1"].signal(signal.SIGTERM)
        boxes["box-1"].wait(60)

        boxes["box-1"].start()  # its files are those of the beginning
        log = tmp_path / "seen" / boxes["box-1"].current / "log"
        eventually(lambda: "the files of this machine are an earlier version" in log.read_text())
        eventually(lambda: watchers("gate", "door") == [1, 1])
        boxes["box-2"].start()
        assert boxes["box-2"].wait(60) == 2
    observer.read()
    assert observer.overlaps() == []
