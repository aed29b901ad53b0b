"""Memory and processor time of this process and of those that it started.

An engine may run in its own process, as MindSpore Lite does under another Python.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil


def resident_mb() -> float:
    """Resident memory, in 10^6 bytes."""
    return _sum(_tree(), lambda process: process.memory_info().rss) / 1e6


def peak_mb() -> float | None:
    """Sum of the peak resident memory of each process, in 10^6 bytes.

    Peaks may be at different times, so the sum may exceed the peak of all. None on macOS, which
    does not count it.
    """
    if sys.platform == "win32":
        return _sum(_tree(), lambda process: process.memory_info().peak_wset) / 1e6
    if sys.platform == "linux":
        return _sum(_tree(), lambda process: high_water_bytes(Path("/proc"), process.pid)) / 1e6
    return None


def cpu_s() -> float:
    """Processor time on all cores, in seconds."""
    others = _tree()[1:]
    return time.process_time() + _sum(others, lambda process: sum(process.cpu_times()[:2]))


def children_cpu_s() -> float:
    """Time of the processor of processes that it started and that have ended; 0 on Windows."""
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def high_water_bytes(proc: Path, pid: int) -> int:
    """`VmHWM` of a process on Linux, which psutil does not give; 0 once it has ended."""
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    sizes = (line.split() for line in lines if line.startswith("VmHWM:"))
    return next((1024 * int(words[1]) for words in sizes), 0)


def _tree() -> list[psutil.Process]:
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def _sum(processes: list[psutil.Process], value: Callable[[psutil.Process], float]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):  # ended meanwhile
            total += value(process)
    return total
