"""Time a training step against PyTorch eager in one run; compare the ratio.

python -m trainer.reference.training [--size small|large] [--variant NAME ...] [--rounds 10]

    small   ECO-Lite x0.25, 8 frames of 112 px, batch 8: the embedded model's
    large   ECO-Lite, 4 frames of 224 px, batch 4: the published one

Both do forward, backward, gradient clipping and SGD with Nesterov momentum on the same shapes, in
turns, on an otherwise quiet machine (beside another busy process MindSpore is many times slower).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import click
import numpy as np

from ecolite_stream.app.extras import command_needs

with command_needs("mindspore", "train", __name__):
    import mindspore as ms

from ecolite_stream.app.entry import run
from ecolite_stream.bench.measuring.machine import machine_facts, versions
from ecolite_stream.errors import EngineError
from trainer.loop.optimizer import build_optimizer
from trainer.loop.step import Rules, make_step
from trainer.network import NetworkConfig, build_network
from trainer.reference.variants import VARIANTS, blocks_of

NUM_CLASSES = 11
CLIP_NORM = 40.0


@dataclass(frozen=True)
class Shape:
    """clips (batch, num_segments, 3, image_size, image_size) of a network of some width."""

    batch: int
    num_segments: int
    image_size: int
    width: float


SHAPES = {"small": Shape(8, 8, 112, 0.25), "large": Shape(4, 4, 224, 1.0)}


def mindspore_step(shape: Shape, variant: str = "as it is") -> Callable[[], float]:
    """The trainer's own step, or one of `VARIANTS`, as a function that gives the loss."""
    ms.set_seed(0)
    size, segments = shape.image_size, shape.num_segments
    with blocks_of(variant):
        network = build_network(NetworkConfig("eco_lite", segments, size, NUM_CLASSES, shape.width))
    network.set_train(True)
    clip_norm = None if variant == "no clipping" else CLIP_NORM
    step = make_step(network, build_optimizer(network, 1e-3), Rules(clip_norm))
    inputs, labels = (ms.Tensor(array) for array in batch_of(shape))
    return lambda: float(step(inputs, labels))


def torch_step(shape: Shape) -> Callable[[], float]:
    """The same in PyTorch eager.

    Raises:
        EngineError: PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise EngineError("PyTorch is not installed; run pip install '.[torch]'") from error
    from trainer.reference.torch_eco import TorchEco

    model = TorchEco(NUM_CLASSES, width=shape.width).train()
    optimizer = torch.optim.SGD(
        model.parameters(), 1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    inputs, labels = (torch.from_numpy(array) for array in batch_of(shape))
    labels = labels.long()

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        return float(loss)

    return step


def batch_of(shape: Shape) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], ...]:
    """Random inputs (B, N, 3, S, S) float32 and labels (B,) int32."""
    rng = np.random.default_rng(0)
    size = (shape.batch, shape.num_segments, 3, shape.image_size, shape.image_size)
    inputs = rng.standard_normal(size).astype(np.float32)
    return inputs, rng.integers(0, NUM_CLASSES, shape.batch).astype(np.int32)


def timed(step: Callable[[], float]) -> float:
    """Seconds that a step takes."""
    start_s = time.perf_counter()
    step()
    return time.perf_counter() - start_s


@click.command()
@click.option("--size", type=click.Choice(list(SHAPES)), multiple=True, help="[both]")
@click.option("--variant", type=click.Choice(VARIANTS), multiple=True, help="[as it is]")
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(1))
def main(size: tuple[str, ...], variant: tuple[str, ...], rounds: int) -> None:
    """Time training steps of MindSpore and of PyTorch eager in turns."""
    for facts in (machine_facts(), versions()):
        click.echo(", ".join(f"{key} {value}" for key, value in facts.items()))
    for name in size or SHAPES:
        shape = SHAPES[name]
        steps = {name: mindspore_step(shape, name) for name in variant or VARIANTS[:1]}
        steps["torch"] = torch_step(shape)
        for step in steps.values():  # the first compiles
            step()
            step()
        seconds: dict[str, list[float]] = {library: [] for library in steps}
        for _ in range(rounds):
            for library, step in steps.items():
                seconds[library].append(timed(step))
        quickest = {library: min(values) for library, values in seconds.items()}
        click.echo(f"\n{name}: {shape}")
        for name, values in seconds.items():
            ratio = quickest[name] / quickest["torch"]
            click.echo(
                f"  {name:14} {quickest[name]:.3f} s at best, {median(values):.3f} s median; "
                f"{ratio:.2f} times torch at best"
            )


if __name__ == "__main__":
    run(main)
