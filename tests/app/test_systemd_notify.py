"""What systemd is told, and the unit it is told by."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.app.systemd import notify_systemd
from ecolite_stream.config.includes import load_stream_config
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import opened
from ecolite_stream.types import FloatArray
from tests.conftest import ROOT, installed
from tests.fakes import ListSink, ListSource, NumberEngine, frames, spec_of

pytestmark = pytest.mark.timeout(60)

CONSTRAINTS = ROOT / "scripts" / "constraints.txt"
UNIT = ROOT / "configs" / "systemd" / "ecolite-stream.service"


class Manager:
    """The end of the socket that systemd has."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + path[1:] if path.startswith("@") else path)

    def hears(self, timeout_s: float = 30.0) -> str:
        self._socket.settimeout(timeout_s)
        return self._socket.recv(100).decode()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    path = f"@ecolite-test-{os.getpid()}" if request.param == "abstract" else f"{tmp_path}/notify"
    manager = Manager(path)
    yield manager
    manager.close()


def environ(manager: Manager, watchdog_s: float | None = 0.2) -> dict[str, str]:
    watchdog = {} if watchdog_s is None else {"WATCHDOG_USEC": str(round(watchdog_s * 1e6))}
    return {"NOTIFY_SOCKET": manager.path, **watchdog}


def test_ready_beats_and_the_end(manager: Manager) -> None:
    heartbeat: list[int | None] = [None]
    counting = iter(range(1, 10**6))
    with notify_systemd(lambda: heartbeat[0] and next(counting), environ(manager)):
        with pytest.raises(TimeoutError):
            manager.hears(0.5)
        heartbeat[0] = 1
        assert manager.hears() == "READY=1"
        assert [manager.hears() for _ in range(3)] == 3 * ["WATCHDOG=1"]
    said = manager.hears()
    while said == "WATCHDOG=1":
        said = manager.hears()
    assert said == "STOPPING=1"


def test_no_beat_while_nothing_gets_on(manager: Manager) -> None:
    heartbeat = [7]
    with notify_systemd(lambda: heartbeat[0], environ(manager)):
        assert manager.hears() == "READY=1"
        with pytest.raises(TimeoutError):
            manager.hears(0.5)
        heartbeat[0] += 1
        assert manager.hears() == "WATCHDOG=1"


@pytest.mark.parametrize(
    "watchdog", [{}, {"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}]
)
def test_no_watchdog(manager: Manager, watchdog: dict[str, str]) -> None:
    counting = iter(range(10**6))
    with notify_systemd(lambda: next(counting), {**environ(manager, None), **watchdog}):
        assert manager.hears() == "READY=1"
        with pytest.raises(TimeoutError):
            manager.hears(0.4)
    assert manager.hears() == "STOPPING=1"


def test_nobody_who_listens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with notify_systemd(lambda: 1, {}):
        assert "service" not in {thread.name for thread in threading.enumerate()}
    with notify_systemd(lambda: 1, {"NOTIFY_SOCKET": f"{tmp_path}/gone"}):
        pass
    assert "to systemd" in caplog.text


class HangingEngine(NumberEngine):
    """Computes nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()
        self.may_end = threading.Event()

    def encode(self, images: FloatArray) -> FloatArray:
        self.began.set()
        assert self.may_end.wait(30)
        return super().encode(images)


def test_the_pulse_of_a_run_stands_still_while_the_engine_hangs() -> None:
    engine = HangingEngine()
    ended = threading.Event()
    source = ListSource("door", frames(50, 25, "door"), live=True, at_end=lambda: ended.wait(30))
    pipeline = Pipeline([opened(source)], lambda: engine, spec_of(), [ListSink()])
    assert pipeline.heartbeat() is None
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    try:
        assert engine.began.wait(30)
        before = pipeline.heartbeat()
        assert before is not None
        assert not ended.wait(1.5)
        assert pipeline.heartbeat() == before
        engine.may_end.set()
        # Nothing is left to do, and yet it turns: idle is not dead.
        while (pipeline.heartbeat() or 0) < before + 3:
            assert not ended.wait(0.05)
    finally:
        engine.may_end.set()
        ended.set()
        thread.join(20)
    assert not thread.is_alive()


def test_a_real_run(manager: Manager) -> None:
    installed("openvino")
    source = ["--source", "pattern:fps=5,size=160x120", "--realtime", "--every", "1"]
    # WATCHDOG_PID is not ours but its own, so it is left out.
    run = subprocess.Popen(
        [sys.executable, "-m", "ecolite_stream", *source],
        env={**os.environ, **environ(manager, 4)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert manager.hears() == "READY=1"
        assert manager.hears() == "WATCHDOG=1"
        run.send_signal(signal.SIGTERM)
        said = manager.hears()
        assert said == "STOPPING=1" or manager.hears() == "STOPPING=1"
        assert run.wait(20) == 130
    finally:
        run.kill()
        run.wait(10)


# The unit


def analyze(*args: object) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(
        [program, *map(str, args)], capture_output=True, text=True, timeout=60, check=False
    )


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With a program and a user that this machine has in the place of those of the service."""
    unit = tmp_path / UNIT.name
    text = UNIT.read_text().replace("/opt/ecolite-stream/.venv/bin/ecolite-stream", "/bin/true")
    unit.write_text(re.sub(r"(User|Group)=ecolite", r"\1=root", text))
    result = analyze("verify", "--man=no", unit)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_unit_is_hardened() -> None:
    """systemd's own rating: 0 is safe, 10 is not; from 5 on it calls it "medium"."""
    result = analyze("security", "--offline=true", "--threshold=25", "--no-pager", UNIT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Overall exposure level" in result.stdout


def test_the_unit_leaves_memory_to_the_machine() -> None:
    limits = [line for line in UNIT.read_text().splitlines() if line.startswith("MemoryMax=")]
    assert limits == ["MemoryMax=80%"]


def test_the_unit_runs_what_there_is() -> None:
    lines = [line.partition("=") for line in UNIT.read_text().splitlines()]
    (start,) = [value.split() for key, _, value in lines if key.startswith("Exec")]
    assert start[1:] == ["--config", "/etc/ecolite-stream/stream.yaml"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert Path(start[0]).name in project["scripts"]


# The image and the instructions


def test_the_image_installs_the_package_with_its_dependencies() -> None:
    text = (ROOT / "configs" / "docker" / "Dockerfile").read_text()
    (command,) = [line for line in text.splitlines() if "pip install" in line]
    assert "--no-deps" not in text and "--constraint scripts/constraints.txt" in command
    wanted = re.search(r'"\.\[(.*)\]"$', command)
    assert wanted is not None
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert set(wanted[1].split(",")) == {"openvino", "web", "mqtt"} <= set(extras)


def test_the_configuration_in_the_instructions_loads(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        name = re.match(r"# /etc/ecolite-stream/(\S+)", block)
        assert name is not None
        path = tmp_path / name[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text(block)
    config = load_stream_config(tmp_path / "stream.yaml", RunConfig)
    assert len(config.source) == 2 and config.metrics == "9464"
