"""Memory and processor time of this process and of those that it started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ecolite_stream.bench.measuring.process_tree import (
    cpu_s,
    high_water_bytes,
    peak_mb,
    resident_mb,
)

HOLD_MB = 100
HOLD = f"""
import sys
x = bytearray({HOLD_MB} * 10**6)
print(flush=True)
sys.stdin.readline()
"""
FREED = HOLD.replace("print", "del x\nprint")
GRANDCHILD = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {HOLD!r}])
child.wait()
"""
WORK = """
import sys, time
while time.process_time() < 1: pass
print(flush=True)
sys.stdin.readline()
"""


@contextmanager
def child(code: str) -> Iterator[None]:
    """Python that runs some code, once it has printed a line."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate(b"\n", timeout=10)


@pytest.mark.parametrize("code", [HOLD, GRANDCHILD])
def test_memory_of_what_a_process_started_counts_while_it_runs(code: str) -> None:
    before_mb = resident_mb()
    with child(code):
        assert resident_mb() - before_mb > HOLD_MB
    assert resident_mb() - before_mb < HOLD_MB


@pytest.mark.skipif(sys.platform == "darwin", reason="the system does not count it")
def test_a_peak_stays_when_the_memory_is_freed() -> None:
    before_mb, peak_before_mb = resident_mb(), peak_mb()
    with child(FREED):
        peak_after_mb = peak_mb()
        assert resident_mb() - before_mb < HOLD_MB
    assert peak_before_mb is not None and peak_after_mb is not None
    assert peak_after_mb - peak_before_mb > HOLD_MB


def test_the_time_of_what_a_process_started_counts_while_it_runs() -> None:
    before_s = cpu_s()
    with child(WORK):
        with_child_s = cpu_s()
    assert with_child_s - before_s > 0.9
    assert cpu_s() < with_child_s


def test_the_peak_that_linux_counts(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    assert high_water_bytes(tmp_path, 7) == high_water_bytes(tmp_path, 8) == 0
    (tmp_path / "7" / "status").write_text("Name: x\n")
    assert high_water_bytes(tmp_path, 7) == 0
    (tmp_path / "7" / "status").write_text("Name: x\nVmHWM:\t 2000 kB\nVmRSS:\t 1 kB\n")
    assert high_water_bytes(tmp_path, 7) == 2_048_000
