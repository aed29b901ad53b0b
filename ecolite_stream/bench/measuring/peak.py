"""Peak memory of a process that opens and runs one engine."""

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
        before_mb: before the engine was opened: Python and this package.
        peak_mb: highest.
    """

    before_mb: float
    peak_mb: float


def peak_apart(open_bundle: Callable[[Bundle], Engine], bundle: Bundle) -> Peak | None:
    """Open a bundle in a new process and classify a clip a few times.

    Args:
        open_bundle: makes the engine; a module's own function or class, or a partial of it.
        bundle: read again from its folder.

    Returns:
        The peak; None if the system does not report it.

    Raises:
        EngineError: the engine cannot be opened or run, or ended its process.
    """
    context = multiprocessing.get_context(
        "spawn"
    )  # a fork would start with the memory of this process
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
