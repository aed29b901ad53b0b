"""The compiled training step, with gradients of one batch or of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore as ms
import mindspore.nn as nn
import mindspore.ops as ops

from trainer.network import Network

Step = Callable[[ms.Tensor, ms.Tensor], ms.Tensor]


def make_step(
    network: Network, optimizer: nn.Optimizer, clip_norm: float | None, smoothing: float
) -> Step:
    """A step that moves the optimiser: inputs (B, N, 3, S, S) and labels (B,) -> mean loss."""
    loss_and_gradients = _gradients(network, optimizer, smoothing)

    @ms.jit  # type: ignore[untyped-decorator, unused-ignore]
    def step(inputs: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        loss, gradients = loss_and_gradients(inputs, labels)
        if clip_norm is not None:
            gradients = ops.clip_by_global_norm(gradients, clip_norm)
        optimizer(gradients)
        return loss

    return step  # type: ignore[no-any-return, unused-ignore]


class AccumulatingStep:
    """A step like `make_step`'s that moves the optimiser once in `iter_size` calls.

    It takes the mean of the gradients of those calls. Until `flush` the last ones may wait.
    """

    def __init__(
        self,
        network: Network,
        optimizer: nn.Optimizer,
        clip_norm: float | None,
        smoothing: float,
        iter_size: int,
    ) -> None:
        self._iter_size = iter_size
        self._waiting = 0
        sums = optimizer.parameters.clone(prefix="sum", init="zeros")
        loss_and_gradients = _gradients(network, optimizer, smoothing)

        @ms.jit  # type: ignore[untyped-decorator, unused-ignore]
        def add(inputs: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
            loss, gradients = loss_and_gradients(inputs, labels)
            for total, gradient in zip(sums, gradients):  # noqa: B905 - graph mode has no strict
                ops.assign_add(total, gradient)
            return loss

        @ms.jit  # type: ignore[untyped-decorator, unused-ignore]
        def move(share: ms.Tensor) -> ms.Tensor:
            gradients: tuple[ms.Tensor, ...] = ()
            for total in sums:
                gradients = (*gradients, total * share)
            if clip_norm is not None:
                gradients = ops.clip_by_global_norm(gradients, clip_norm)
            optimizer(gradients)
            return share

        self._add, self._move, self._sums = add, move, sums

    def __call__(self, inputs: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        loss = self._add(inputs, labels)
        self._waiting += 1
        if self._waiting == self._iter_size:
            self.flush()
        return loss

    def flush(self) -> None:
        """Move the optimiser by what is waiting, if anything is."""
        if self._waiting:
            self._move(ms.Tensor(1 / self._waiting, ms.float32))
            for total in self._sums:
                ops.assign(total, ops.zeros_like(total))
            self._waiting = 0


def _gradients(
    network: Network, optimizer: nn.Optimizer, smoothing: float
) -> Callable[..., tuple[Any, Any]]:
    def loss_of(inputs: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        return ops.cross_entropy(network(inputs), labels, label_smoothing=smoothing)

    return ms.value_and_grad(loss_of, None, optimizer.parameters)


def frozen_norms(network: nn.Cell) -> list[nn.Cell]:
    """Freeze scale and shift of every batch norm but the first (ECO-pytorch's partial batch norm).

    Returns:
        Those batch norms; `set_train(False)` on each after every `set_train(True)` of the network
        also freezes their statistics.
    """
    norms = [c for _, c in network.cells_and_names() if isinstance(c, nn.BatchNorm2d)][1:]
    for norm in norms:
        norm.gamma.requires_grad = norm.beta.requires_grad = False
    return norms
