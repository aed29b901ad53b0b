"""Nothing connects where nobody pointed it: no library reports that it is used.

Python's audit hooks note every connection and every look-up of a name, of the process and of those
that it forks or starts.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT, installed

pytestmark = pytest.mark.timeout(120)

WATCH = """
import os, sys

NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")

def note(event, args):
    if event in NETWORK:
        line = f"{event} {args[-1] if event == 'socket.connect' else args}\\n"
        file = os.open(os.environ["ATTEMPTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, line.encode())
        os.close(file)
        raise OSError("the test lets nobody out")

sys.addaudithook(note)
"""


SPARED = ("CI", "TF_BUILD", "JENKINS_URL")
"""Variables with which `openvino_telemetry` reports nothing."""


class Watched:
    """Starts Python with the watch, in a home of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(WATCH)
        self.home = folder / "home"
        self.home.mkdir()
        self.attempts_file = folder / "attempts"
        there = {key: value for key, value in os.environ.items() if key not in SPARED}
        self.environment = {
            **there,
            "HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join((str(folder / "site"), str(ROOT))),
            "ATTEMPTS": str(self.attempts_file),
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: str) -> None:
        with self.start(*words) as process:
            _, err = process.communicate()
        assert process.returncode == 0, err

    @property
    def attempts(self) -> list[str]:
        return self.attempts_file.read_text().splitlines() if self.attempts_file.exists() else []


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    installed("openvino")
    if find_spec("openvino_telemetry") is None and "openvino_telemetry" not in sys.modules:
        pytest.skip("openvino_telemetry is not installed")
    yield Watched(tmp_path)


def test_the_watch_sees_what_openvino_does_by_itself(watched: Watched) -> None:
    """Else the other tests would show nothing. A process that it forks does the reporting."""
    watched.run("-c", "import openvino")
    while not watched.attempts:
        time.sleep(0.05)
    assert (watched.home / "intel").is_dir()


def test_a_live_run_connects_nowhere(watched: Watched) -> None:
    words = ["-m", "ecolite_stream", "--source", "pattern", "--realtime", "--engine", "openvino"]
    with watched.start(*words) as process:
        assert process.stdout is not None
        assert " s  " in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (130, "")
    assert watched.attempts == []
    assert not (watched.home / "intel").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "ecolite_stream.bench.cli", "engines", "--engine", "openvino"],
        [
            "-c",
            "from ecolite_stream.engines import open_engine\n"
            "from ecolite_stream.model.bundle import demo_bundle_path, read_bundle\n"
            "open_engine('openvino', read_bundle(demo_bundle_path()))",
        ],
        [
            "-c",
            "from ecolite_stream.bench.speed.limit import library_product\n"
            "library_product('openvino', 'f32')",
        ],
    ],
    ids=["bench", "library", "product"],
)
def test_nothing_else_connects_anywhere(words: list[str], watched: Watched) -> None:
    watched.run(*words)
    assert watched.attempts == []
    assert not (watched.home / "intel").exists()


def test_openvino_is_imported_in_one_place() -> None:
    """Static imports would come before `block_telemetry`; so would those of NNCF."""
    pattern = re.compile(
        r"^\s*(import|from) (openvino|nncf)\b"
        r"|import(_library|_module|skip)\(\s*[\"'](openvino|nncf)\b",
        re.MULTILINE,
    )
    quantizing = ROOT / "trainer/quantizing/graphs.py"
    own = {ROOT / "ecolite_stream/engines/openvino.py", quantizing, Path(__file__).resolve()}
    files = {*ROOT.glob("ecolite_stream/**/*.py"), *ROOT.glob("trainer/**/*.py")}
    files |= set(ROOT.glob("tests/**/*.py"))
    assert files > own
    assert [path for path in files - own if pattern.search(path.read_text())] == []
    words = quantizing.read_text()
    assert len(pattern.findall(words)) == 1
    assert words.index("    block_telemetry()") < words.index("import nncf")
