"""Two real machines: each shows both on its page, in its API and in its metrics."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
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


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[dict[str, tuple[int, int]]]:
    """Ports of the page and of the metrics of each machine."""
    installed("openvino")
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
    found, processes = {}, []
    for name in MACHINES:
        found[name] = page, metrics = unused_port(), unused_port()
        own = {**stream, "web": {"address": str(page)}, "metrics": str(metrics)}
        (tmp_path / f"{name}.yaml").write_text(json.dumps(own))
        path = tmp_path / f"fleet-{name}.yaml"
        path.write_text(json.dumps({**fleet, "config": f"{name}.yaml"}))
        command = [sys.executable, "-m", "ecolite_stream", "fleet", "--config", str(path)]
        processes.append(
            Started(
                [*command, "--machine", name],
                cwd=ROOT,
                env=dict(os.environ),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
    yield found
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(30)


def got(port: int, path: str) -> str:
    url = f"http://127.0.0.1:{port}{path}"
    with (
        suppress(urllib.error.URLError, ConnectionError, TimeoutError),
        urllib.request.urlopen(url, timeout=10) as answer,
    ):
        return str(answer.read().decode())
    return ""


def test_any_machine_shows_the_whole_fleet(ports: dict[str, tuple[int, int]]) -> None:
    def whole(port: int) -> dict[str, Any] | None:
        found = json.loads(got(port, "/api/fleet") or "{}")
        cameras = found.get("cameras", ())
        machines = {one["machine"] for one in cameras if one["newest"] and one["state"] == "live"}
        return found if machines == set(MACHINES) else None

    for name, (page, metrics) in ports.items():
        found = eventually(lambda page=page: whole(page), 100)
        assert found["answered_by"] == name and found["not_watched"] == []
        assert [one["state"] for one in found["machines"]] == ["up", "up"]
        assert all(len(one["bundle"]) == 64 for one in found["machines"])
        assert all(newest["label"] for one in found["cameras"] for newest in one["newest"])
        assert 'ecolite_fleet_cameras_watched{fleet="shop"} 2.0' in got(metrics, "/fleet")
        assert 'href="/fleet"' in got(page, "/")
