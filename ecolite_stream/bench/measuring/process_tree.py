"""What the system tells about a process and those that it started.

An engine may run in a process of its own (MindSpore Lite does, where another Python has it), so
what an engine costs is measured over all of them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

PROC = Path("/proc")
_UTIME, _STIME = 11, 12
"""Places of the processor's ticks in /proc/PID/stat, counted from behind the program's name."""


def read_mb(name: str, proc: Path = PROC, pid: int | None = None) -> float | None:
    """The sum of a size over a process, this one if None, and those it started that still run.

    Args:
        name: of a line of /proc/PID/status: `VmRSS`, `VmHWM`.
        proc: where the system tells.
        pid: of the process.

    Returns:
        10^6 bytes; None where the system does not tell.
    """
    own = os.getpid() if pid is None else pid
    values = {number: _status(proc, number) for number in [own, *_started_by(own, proc)]}
    if name not in values[own]:
        return None
    return sum(values[number].get(name, 0) for number in values) * 1024 / 1e6


def cpu_s(proc: Path = PROC) -> float:
    """Time of the processor, on all cores, of this process and those it started that still run.

    Args:
        proc: where the system tells of the others; where it does not they are left out.
    """
    ticks = sum(_ticks(proc, number) for number in _started_by(os.getpid(), proc))
    return time.process_time() + (ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0)


def _started_by(pid: int, proc: Path) -> list[int]:
    """The processes that one has started, and those that they have."""
    children: dict[int, list[int]] = {}
    numbers = [int(folder.name) for folder in proc.glob("[0-9]*")]
    for number in numbers:
        children.setdefault(_status(proc, number).get("PPid", 0), []).append(number)
    found = [pid]
    for number in found:  # grows as it goes
        found += children.get(number, ())
    return found[1:]


def _status(proc: Path, pid: int) -> dict[str, int]:
    """What the system tells about a process, as far as it is a number; sizes in 1024 bytes."""
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except OSError:  # another system, or it has ended
        return {}
    pairs = (line.partition(":") for line in lines)
    words = ((name, text.split()) for name, _, text in pairs)
    return {name: int(word[0]) for name, word in words if word and word[0].isdigit()}


def _ticks(proc: Path, pid: int) -> int:
    """What a process had of the processor, 0 once it has ended."""
    try:
        words = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(words[_UTIME]) + int(words[_STIME])
