"""Dropout that depends only on (seed, epoch, step), so that a resumed training repeats it.

MindSpore's own dropout keeps its generator inside the compiled graph, where it can neither be saved
nor set. Here NumPy draws each mask outside, and the graph reads it from a parameter.
"""

from __future__ import annotations

import mindspore as ms
import mindspore.nn as nn
import mindspore.ops as ops
import numpy as np

from trainer.loop.distributed import ALONE, Group
from trainer.network import Network


class SeededDropout(nn.Cell):
    """In training x * mask, else x; x is float32 of `shape`, or shorter in its first axis."""

    def __init__(self, name: str, p: float, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.p = p
        ones = ms.Tensor(np.ones(shape, np.float32))
        self.mask = ms.Parameter(ones, name=f"{name}.mask", requires_grad=False)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        if not self.training:
            return x
        return x * self.mask[: x.shape[0]]

    def draw(self, rng: np.random.Generator, group: Group = ALONE) -> None:
        """Draw the mask of the next step: this process's part of the group's batch."""
        size, *rest = self.mask.shape
        drawn = rng.random((group.size * size, *rest))
        kept = drawn[group.rank * size :][:size] >= self.p
        ops.assign(self.mask, ms.Tensor((kept / (1 - self.p)).astype(np.float32)))


def seed_dropout(network: Network, batch_size: int, num_segments: int) -> list[SeededDropout]:
    """Replace every dropout of a network; call `draw` of those returned before each step.

    Their masks are parameters; leave them out of checkpoints.
    """
    head = network.head
    pooled = (batch_size, head.net3d.out_channels)
    shapes: dict[str, tuple[int, ...]] = {"dropout": pooled, "pooled_dropout": pooled}
    if hasattr(head, "vector_dropout"):
        values = head.feature_values - head.map_values
        shapes["vector_dropout"] = (batch_size, num_segments, values)
    seeded = []
    for name, cell in list(head.name_cells().items()):
        if isinstance(cell, nn.Dropout) and cell.p > 0:
            seeded.append(SeededDropout(name, cell.p, shapes[name]))
            setattr(head, name, seeded[-1])
    return seeded
