"""How much memory a process needs at most that opens one engine and runs it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecolite_stream.bench.measuring.process_tree import peak_mb, resident_mb
from ecolite_stream.engines import Engine
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle, read_bundle

STEPS = 3


@dataclass(frozen=True)
class Peak:
    """Resident memory of a process, in 10^6 bytes.

    Attributes:
        before_mb: what it held before the engine was opened: Python and this package.
        peak_mb: the most at any time.
    """

    before_mb: float
    peak_mb: float


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
    before_mb = resident_mb()
    engine = open_bundle(bundle)
    size, spec = bundle.spec.preprocessing.image_size, bundle.spec
    images = np.zeros((spec.num_segments, 3, size, size), np.float32)
    for _ in range(STEPS):
        engine.classify(engine.encode(images)[None])
    most_mb = peak_mb()
    engine.close()
    return None if most_mb is None else Peak(before_mb, most_mb)
