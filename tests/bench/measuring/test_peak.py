"""Peak memory: of a process and of what it has started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ecolite_stream.bench.measuring.peak import Peak, peak_apart, peak_mb
from ecolite_stream.engines import Engine
from ecolite_stream.model.bundle import Bundle
from tests.fakes import NumberEngine

CHILD_MB = 200


def write_status(proc: Path, pid: int, parent: int, kibibytes: int) -> None:
    (proc / str(pid)).mkdir(parents=True)
    text = f"Name:\tx\nPPid:\t{parent}\nVmHWM:\t   {kibibytes} kB\nVmRSS:\t 1 kB\n"
    (proc / str(pid) / "status").write_text(text)


def test_what_a_process_started_counts_and_nothing_else(tmp_path: Path) -> None:
    write_status(tmp_path, 10, 1, 1000)
    write_status(tmp_path, 11, 10, 2000)
    write_status(tmp_path, 12, 11, 4000)  # of the one before
    write_status(tmp_path, 13, 1, 8000)
    assert peak_mb(tmp_path, 10) == pytest.approx(7000 * 1024 / 1e6)
    assert peak_mb(tmp_path, 12) == pytest.approx(4000 * 1024 / 1e6)
    assert peak_mb(tmp_path / "nowhere", 10) is None


class InAnotherProcess(NumberEngine):
    """An engine that keeps `CHILD_MB` in a process that it starts."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        code = f"x = bytearray({CHILD_MB} * 10**6); print(flush=True); input()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def close(self) -> None:
        self.process.communicate(b"\n", timeout=10)
        super().close()


class Here(NumberEngine):
    """The same without it."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()


@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
def test_an_engine_in_another_process_is_measured_whole(bundle: Bundle) -> None:
    def engine_mb(make: type[Engine]) -> float:
        peak = peak_apart(make, bundle)
        assert isinstance(peak, Peak)
        return peak.peak_mb - peak.before_mb

    assert engine_mb(InAnotherProcess) - engine_mb(Here) > CHILD_MB
