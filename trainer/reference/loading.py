"""Time the making of a batch by threads, as in the trainer, and by processes.

python -m trainer.reference.loading [--batches 40]

The embedded model's batch: 8 clips of 8 frames of 112 px, cropped, flipped and relit, out of
clips of noise in memory. Compare it with a training step (`trainer.reference.training`).
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import click
import numpy as np

from ecolite_stream.app.entry import run
from ecolite_stream.bench.measuring.machine import machine_facts
from ecolite_stream.model.preprocess import Preprocessing
from ecolite_stream.types import FloatArray
from trainer.config.schema import AugmentationConfig
from trainer.data.augment import training_sample
from trainer.data.clips import Clip, HeldClip
from trainer.data.loader import training_batches

BATCH, SEGMENTS, WORKERS, FPS = 8, 8, 2, 25.0
HOW = Preprocessing(112, scale=0.0172)
AUGMENTATION = AugmentationConfig(
    window_s=(1.4, 1.8), segment_jitter=0.5, partial_memory=0.3, brightness=30, contrast=0.3
)
_clips: Sequence[Clip] = ()


def make_clips() -> list[Clip]:
    """Ten clips of noise of the size of the Weizmann set's, resized as the trainer holds them."""
    rng = np.random.default_rng(0)
    return [
        HeldClip(f"a/{i}", "a", rng.integers(0, 256, (60, 128, 160, 3), np.uint8), FPS)
        for i in range(10)
    ]


def _begin() -> None:
    global _clips
    _clips = make_clips()


def _sample(place: int) -> FloatArray:
    rng = np.random.default_rng(place)
    return training_sample(_clips[place % len(_clips)], SEGMENTS, HOW, AUGMENTATION, rng)


def by_threads(num_batches: int) -> float:
    """Seconds a batch, by the trainer's own loader."""
    clips = make_clips() * (num_batches * BATCH // 10 + 1)
    clips = clips[: num_batches * BATCH]
    start_s = time.perf_counter()
    made = training_batches(clips, ["a"], SEGMENTS, HOW, AUGMENTATION, BATCH, (0, 1), WORKERS)
    assert sum(1 for _ in made) == num_batches
    return (time.perf_counter() - start_s) / num_batches


def by_processes(num_batches: int) -> float:
    """Seconds a batch, by processes that send samples back; starting them is not counted."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, spawn, _begin) as pool:
        list(pool.map(_sample, range(4 * WORKERS)))
        start_s = time.perf_counter()
        samples = pool.map(_sample, range(num_batches * BATCH))
        for _ in range(num_batches):
            np.stack([next(samples) for _ in range(BATCH)])
        return (time.perf_counter() - start_s) / num_batches


@click.command()
@click.option("--batches", default=40, show_default=True, type=click.IntRange(1))
def main(batches: int) -> None:
    """Time the making of batches by threads and by processes."""
    click.echo(", ".join(f"{key} {value}" for key, value in machine_facts().items()))
    ways: dict[str, Callable[[int], float]] = {"threads": by_threads, "processes": by_processes}
    for name, way in ways.items():
        click.echo(
            f"  {WORKERS} {name:10} {1e3 * min(way(batches) for _ in range(3)):.1f} ms a batch"
        )


if __name__ == "__main__":
    run(main)
