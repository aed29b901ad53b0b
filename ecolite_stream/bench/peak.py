"""How much memory a process needs at most that opens one engine and runs it.

An engine may run in a process of its own (MindSpore Lite does, where another Python has it), so the
processes that were started count too.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecolite_stream.bundle import Bundle, read_bundle
from ecolite_stream.engines import Engine
from ecolite_stream.errors import EngineError

STEPS = 3
PROC = Path("/proc")


@dataclass(frozen=True)
class Peak:
    """Resident memory of a process, in 10^6 bytes.

    Attributes:
        before_mb: what it held before the engine was opened: Python and this package.
        peak_mb: the most at any time.
    """

    before_mb: float
    peak_mb: float


def peak_mb(proc: Path = PROC, pid: int | None = None) -> float | None:
    """The most that this process has been resident so far, and those it started that still run.

    Each has its peak at a time of its own, so that the sum may be more than there ever was at once.
    None where the system does not tell.
    """
    return _read_mb("VmHWM", proc, pid)


def _read_mb(name: str, proc: Path = PROC, pid: int | None = None) -> float | None:
    own = os.getpid() if pid is None else pid
    values = {number: _status(proc, number) for number in [own, *_started_by(own, proc)]}
    if name not in values[own]:
        return None
    return sum(values[number].get(name, 0) for number in values) * 1024 / 1e6


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


def peak_apart(open_bundle: Callable[[Bundle], Engine], bundle: Bundle) -> Peak | None:
    """Open a bundle in a process of its own and compute all of a clip, a few times.

    Args:
        open_bundle: makes the engine; a module's own function or class, or a partial of it.
        bundle: read again from its folder.

    Returns:
        What it took; None where the system does not tell.

    Raises:
        EngineError: the engine cannot be opened or run, or took its process down.
    """
    context = multiprocessing.get_context("spawn")  # a fork begins with all that is here
    try:
        with ProcessPoolExecutor(1, context) as pool:
            return pool.submit(_peak, open_bundle, bundle.path).result()
    except BrokenProcessPool as error:
        raise EngineError(f"measuring its memory, an engine's process ended: {error}") from error


def _peak(open_bundle: Callable[[Bundle], Engine], folder: Path) -> Peak | None:
    bundle = read_bundle(folder)
    before_mb = _read_mb("VmRSS")
    engine = open_bundle(bundle)
    size, spec = bundle.spec.preprocessing.image_size, bundle.spec
    images = np.zeros((spec.num_segments, 3, size, size), np.float32)
    for _ in range(STEPS):
        engine.classify(engine.encode(images)[None])
    most_mb = peak_mb()
    engine.close()
    return None if before_mb is None or most_mb is None else Peak(before_mb, most_mb)
