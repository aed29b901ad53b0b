"""What the system tells about a process and those that it started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ecolite_stream.bench.measuring.process_tree import cpu_s
from tests.bench.measuring.test_peak import write_status


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no ticks")
def test_the_time_of_what_a_process_started_counts(tmp_path: Path) -> None:
    own, other = os.getpid(), 2**22 + 1
    for pid, parent in ((own, 1), (other, own), (other + 1, other), (other + 2, 1)):
        write_status(tmp_path, pid, parent, 1000)
        fields = ["S", *map(str, range(4, 14)), "1000", "500", "7"]
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a (b) c) {' '.join(fields)}\n")
    alone_s = cpu_s(tmp_path / "nowhere")
    started_s = 2 * 1500 / os.sysconf("SC_CLK_TCK")
    assert started_s <= cpu_s(tmp_path) - alone_s < started_s + 5
    (tmp_path / str(other) / "stat").unlink()  # it has just ended
    assert cpu_s(tmp_path) - alone_s < started_s
