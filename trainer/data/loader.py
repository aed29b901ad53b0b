"""Batches for training and validation, made ahead by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecolite_stream.model.preprocess import Preprocessing
from ecolite_stream.types import FloatArray
from trainer.config.schema import AugmentationConfig
from trainer.data.augment import test_sample, training_sample
from trainer.data.clips import OTHER, Clip

BATCHES_AHEAD = 3
NO_CLASS = -1
"""In place of a class index: the clip shows none of the actions."""


@dataclass(frozen=True, eq=False)
class Batch:
    """inputs (B, N, 3, S, S) float32 and labels (B,) int32, which may be `NO_CLASS`."""

    inputs: FloatArray
    labels: npt.NDArray[np.int32]


def training_batches(
    clips: Sequence[Clip],
    labels: Sequence[str],
    num_segments: int,
    how: Preprocessing,
    config: AugmentationConfig,
    batch_size: int,
    seed: tuple[int, int],
    workers: int,
    part: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """One epoch in random order; the last, smaller batch is dropped unless it is the only one.

    The same `seed`, (run, epoch), gives the same batches, whatever the number of workers.

    Args:
        part: (rank, size) of the process; all share every batch of size * batch_size.
    """
    rank, size = part
    order = np.random.default_rng(seed).permutation(len(clips))
    whole = max(1, len(order) // (size * batch_size)) * size * batch_size

    def sample(place: int) -> FloatArray:
        rng = np.random.default_rng((*seed, place))
        return training_sample(clips[order[place]], num_segments, how, config, rng)

    places = [
        place for place in range(min(whole, len(order))) if place // batch_size % size == rank
    ]
    yield from _batches(
        places, sample, lambda i: clips[order[i]].label, labels, batch_size, workers
    )


def test_batches(
    clips: Sequence[Clip],
    labels: Sequence[str],
    num_segments: int,
    how: Preprocessing,
    batch_size: int,
    workers: int,
) -> Iterator[Batch]:
    """Every clip once, in order; the last batch may be smaller."""

    def sample(place: int) -> FloatArray:
        return test_sample(clips[place], num_segments, how)

    places = range(len(clips))
    yield from _batches(places, sample, lambda i: clips[i].label, labels, batch_size, workers)


def _batches(
    places: Sequence[int],
    sample: Callable[[int], FloatArray],
    label: Callable[[int], str],
    labels: Sequence[str],
    batch_size: int,
    workers: int,
) -> Iterator[Batch]:
    numbers = {OTHER: NO_CLASS} | {name: number for number, name in enumerate(labels)}
    pending: deque[tuple[Sequence[int], list[Future[FloatArray]]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(places), batch_size):
            members = places[start : start + batch_size]
            pending.append((members, [pool.submit(sample, i) for i in members]))
            if len(pending) > BATCHES_AHEAD:
                yield _finish(*pending.popleft(), numbers, label)
        while pending:
            yield _finish(*pending.popleft(), numbers, label)


def _finish(
    members: Sequence[int],
    samples: list[Future[FloatArray]],
    numbers: dict[str, int],
    label: Callable[[int], str],
) -> Batch:
    targets = np.array([numbers[label(i)] for i in members], np.int32)
    return Batch(np.stack([future.result() for future in samples]), targets)
