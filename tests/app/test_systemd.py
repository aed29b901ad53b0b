"""The unit under a real systemd, which runs as the first process of namespaces of its own.

As root, where unshare, nsenter and systemd are (Debian: util-linux, systemd). The unit as it stands
but for what its drop-in says: this program, this user, these folders, and no wait for the network.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

SYSTEMD = Path("/lib/systemd/systemd")
UNIT = "ecolite-stream.service"
DROP_IN = """[Unit]
DefaultDependencies=no
Wants=
After=
[Service]
WatchdogSec=4
RestartSec=0.5
ExecStart=
ExecStart={python} -m ecolite_stream --config {config}
User=root
Group=root
ProtectHome=no
PrivateTmp=no
ReadWritePaths={root}
StateDirectory=
CacheDirectory=
WorkingDirectory={root}
StandardOutput=append:{log}
StandardError=append:{log}
"""
TARGET = f"[Unit]\nDefaultDependencies=no\nWants={UNIT}\n"
START = """
mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs tmpfs /run &&
mkdir -p /run/systemd/system /run/lock && cp -r "$1"/. /run/systemd/system/ &&
exec env -i PATH="$PATH" container=tests "$2" --system --unit=try.target --log-target=null
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Systemd:
    """systemd with this unit alone; `systemctl` speaks to it."""

    def __init__(self, folder: Path, config: str) -> None:
        self.log = folder / "log"
        path = folder / "stream.yaml"
        path.write_text(config)
        units = folder / "units"
        (units / f"{UNIT}.d").mkdir(parents=True)
        shutil.copy(ROOT / "configs" / "systemd" / UNIT, units)
        drop_in = DROP_IN.format(python=sys.executable, config=path, root=ROOT, log=self.log)
        (units / f"{UNIT}.d" / "test.conf").write_text(drop_in)
        (units / "try.target").write_text(TARGET)
        namespaces = ["unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--kill-child"]
        self._unshare = subprocess.Popen(
            [*namespaces, "sh", "-c", START, "sh", units, SYSTEMD],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *words: str) -> str:
        """Stdout of a command in its namespaces, empty as long as it is not up."""
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        first = children.read_text().split()
        if not first:
            return ""
        command = ["nsenter", "-t", first[0], "-p", "-m", "-u", "-i", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def show(self, name: str) -> str:
        return self.run("systemctl", "show", UNIT, "--property", name, "--value")

    def said(self) -> str:
        return self.log.read_text() if self.log.is_file() else ""

    def close(self) -> None:
        self._unshare.send_signal(signal.SIGKILL)
        self._unshare.wait()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Callable[[str], Systemd]]:
    if os.geteuid() != 0 or not SYSTEMD.exists() or not shutil.which("nsenter"):
        pytest.skip("needs root, unshare, nsenter and systemd")
    probe = subprocess.run(["unshare", "--pid", "--mount", "--fork", "true"], check=False)
    if probe.returncode:
        pytest.skip("namespaces cannot be made here")
    started: list[Systemd] = []

    def start(config: str) -> Systemd:
        started.append(Systemd(tmp_path, config))
        return started[-1]

    yield start
    for each in started:
        each.close()


def until(happens: Callable[[], bool], systemd: Systemd, seconds: float = 60.0) -> None:
    end_s = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > end_s:
            state = systemd.run("systemctl", "status", "--no-pager", UNIT)
            pytest.fail(f"did not happen in {seconds:g} s: {state}\n{systemd.said()[-2000:]}")
        time.sleep(0.2)


def test_it_starts_is_watched_and_stops(systemd: Callable[[str], Systemd]) -> None:
    running = systemd('source: ["pattern:"]\nevery_s: 5\n')
    until(lambda: running.show("ActiveState") == "active", running)
    assert running.show("NRestarts") == "0"
    before = running.show("MainPID")
    until(lambda: "idle" in running.said(), running)

    running.run("kill", "-STOP", before)  # it no longer gets on, nor says so
    until(lambda: running.show("NRestarts") == "1", running)
    until(lambda: running.show("ActiveState") == "active", running)
    assert running.show("MainPID") not in (before, "0")

    running.run("systemctl", "stop", UNIT)
    assert running.show("ActiveState") == "inactive"
    assert running.show("Result") == "success"


def test_what_another_start_cannot_help_stays_down(systemd: Callable[[str], Systemd]) -> None:
    wrong = systemd("sourcs: camera\n")
    until(lambda: wrong.show("ActiveState") == "failed", wrong)
    assert wrong.show("ExecMainStatus") == "2"
    assert wrong.show("NRestarts") == "0"
    assert "sourcs" in wrong.said() and "Traceback" not in wrong.said()
