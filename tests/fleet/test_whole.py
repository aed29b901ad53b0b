"""Two real machines: each shows both on its page, in its API and in its metrics."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.app.runs import Started, unused_port
from tests.conftest import ROOT, installed
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)
pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

CAMERAS = ("gate", "yard")
MACHINES = ("box-1", "box-2")


@dataclass(frozen=True)
class Box:
    """A machine: its process, its file, and the ports of its page and its metrics."""

    process: Started
    file: Path
    page: int
    metrics: int


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Box]]:
    installed("openvino")
    tmp_path = tmp_path_factory.mktemp("fleet")
    fleet = {
        "name": "shop",
        "machines": {name: {"capacity": 1} for name in MACHINES},
        "settle_s": 0,
    }
    stream = {
        "source": [{"name": name, "url": "pattern:fps=5,size=160x120"} for name in CAMERAS],
        "store": {"url": f"sqlite:///{tmp_path}/events.db"},
        "engine": "openvino",
        "realtime": True,
    }
    found = {}
    for name in MACHINES:
        page, metrics = unused_port(), unused_port()
        own = {**stream, "web": {"address": str(page)}, "metrics": str(metrics)}
        file = tmp_path / f"{name}.yaml"
        file.write_text(json.dumps(own))
        path = tmp_path / f"fleet-{name}.yaml"
        path.write_text(json.dumps({**fleet, "config": f"{name}.yaml"}))
        command = [sys.executable, "-m", "ecolite_stream", "fleet", "--config", str(path)]
        process = Started(
            [*command, "--machine", name],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=(tmp_path / f"{name}.log").open("w"),
        )
        found[name] = Box(process, file, page, metrics)
    yield found
    for box in found.values():
        box.process.terminate()
    for box in found.values():
        box.process.wait(30)


def got(port: int, path: str) -> str:
    url = f"http://127.0.0.1:{port}{path}"
    with (
        suppress(urllib.error.URLError, ConnectionError, TimeoutError),
        urllib.request.urlopen(url, timeout=10) as answer,
    ):
        return str(answer.read().decode())
    return ""


def test_any_machine_shows_the_whole_fleet(boxes: dict[str, Box]) -> None:
    def whole(port: int) -> dict[str, Any] | None:
        found = json.loads(got(port, "/api/fleet") or "{}")
        cameras = found.get("cameras", ())
        machines = {one["machine"] for one in cameras if one["newest"] and one["state"] == "live"}
        return found if machines == set(MACHINES) else None

    for name, box in boxes.items():
        found = eventually(lambda port=box.page: whole(port), 100)
        assert found["answered_by"] == name and found["not_watched"] == []
        assert [one["state"] for one in found["machines"]] == ["up", "up"]
        assert all(len(one["bundle"]) == 64 for one in found["machines"])
        assert all(newest["label"] for one in found["cameras"] for newest in one["newest"])
        assert 'ecolite_fleet_cameras_watched{fleet="shop"} 2.0' in got(box.metrics, "/fleet")
        assert 'href="/fleet"' in got(box.page, "/")


def test_sighup_changes_the_streams_of_a_machine(boxes: dict[str, Box]) -> None:
    box = boxes["box-2"]
    log = box.file.with_suffix(".log")

    def periods() -> list[float]:
        streams = json.loads(got(box.page, "/api/streams") or "{}").get("streams", ())
        return [one["settings"]["every_s"] for one in streams if one["newest"]]

    eventually(periods, 100)
    before = json.loads(box.file.read_text())
    box.file.write_text(json.dumps({**before, "every_s": 1.5}))
    box.process.send_signal(signal.SIGHUP)
    eventually(lambda: periods() == [1.5])
    assert "configuration read again: changed gate, yard" in log.read_text()
    box.file.write_text(json.dumps({**before, "source": before["source"][:1]}))
    box.process.send_signal(signal.SIGHUP)
    eventually(lambda: "not applied, the run goes on" in log.read_text())
    assert periods() == [1.5] and box.process.poll() is None
