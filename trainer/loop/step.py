"""The compiled training step, with gradients of one batch or of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import mindspore.nn as nn
import mindspore.ops as ops

from trainer.data.loader import NO_CLASS
from trainer.loop.distributed import ALONE, Group, averaging
from trainer.network import Network

Step = Callable[[ms.Tensor, ms.Tensor], ms.Tensor]


@dataclass(frozen=True)
class Rules:
    """How gradients are computed.

    Attributes:
        clip_norm: largest global norm of the gradient; None never clips.
        smoothing: share of the target spread over all classes; all of it for `NO_CLASS`.
        group: the processes that gradients and loss are averaged over.
        scaler: loss scaler in mixed precision; a step that overflows changes nothing.
    """

    clip_norm: float | None = None
    smoothing: float = 0.0
    group: Group = ALONE
    scaler: Any = None


def make_step(network: Network, optimizer: nn.Optimizer, rules: Rules) -> Step:
    """A training step: inputs (B, N, 3, S, S) and labels (B,) -> mean loss."""
    loss_and_gradients = _gradients(network, optimizer, rules)
    move = _mover(optimizer, rules)

    @ms.jit  # type: ignore[untyped-decorator, unused-ignore]
    def step(inputs: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        loss, gradients = loss_and_gradients(inputs, labels)
        move(gradients)
        return loss

    return step  # type: ignore[no-any-return, unused-ignore]


class AccumulatingStep:
    """A training step that averages the gradients of `iter_size` calls.

    `flush` applies the last, incomplete group.
    """

    def __init__(
        self, network: Network, optimizer: nn.Optimizer, rules: Rules, iter_size: int
    ) -> None:
        self._iter_size = iter_size
        self._waiting = 0
        sums = optimizer.parameters.clone(prefix="sum", init="zeros")
        loss_and_gradients = _gradients(network, optimizer, rules)
        move_by = _mover(optimizer, rules)

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
            move_by(gradients)
            return share

        self._add, self._move, self._sums = add, move, sums

    def __call__(self, inputs: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        loss = self._add(inputs, labels)
        self._waiting += 1
        if self._waiting == self._iter_size:
            self.flush()
        return loss

    def flush(self) -> None:
        """Apply the waiting gradients, if any."""
        if self._waiting:
            self._move(ms.Tensor(1 / self._waiting, ms.float32))
            for total in self._sums:
                ops.assign(total, ops.zeros_like(total))
            self._waiting = 0


def _gradients(
    network: Network, optimizer: nn.Optimizer, rules: Rules
) -> Callable[..., tuple[Any, Any]]:
    """Inputs and labels -> unscaled loss and gradients; compiles."""
    scaler, smoothing = rules.scaler, rules.smoothing

    def loss_of(inputs: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        loss = cross_entropy(network(inputs), labels, smoothing)
        return loss if scaler is None else scaler.scale(loss)

    own = ms.value_and_grad(loss_of, None, optimizer.parameters)
    averaged = averaging(own, optimizer.parameters, rules.group)
    if scaler is None:
        return averaged

    def unscaled(inputs: ms.Tensor, labels: ms.Tensor) -> tuple[Any, Any]:
        loss, gradients = averaged(inputs, labels)
        return scaler.unscale(loss), scaler.unscale(gradients)

    return unscaled


def cross_entropy(logits: ms.Tensor, labels: ms.Tensor, smoothing: float) -> ms.Tensor:
    """Mean over a batch: logits (B, C) and labels (B,), C classes -> (); compiles.

    The target of `NO_CLASS` is the same share, 1 / C, for every class.
    """
    num_classes = logits.shape[1]
    column = labels.expand_dims(1)
    is_class = (column == ops.arange(num_classes)).astype(ms.float32)
    spread = ops.select(column == NO_CLASS, 1.0, smoothing)
    targets = is_class * (1 - spread) + spread / num_classes
    return -(targets * ops.log_softmax(logits.astype(ms.float32), 1)).sum(1).mean()


def _mover(optimizer: nn.Optimizer, rules: Rules) -> Callable[[Any], None]:
    """Moves the optimiser by gradients, clipped, unless they overflowed; compiles."""
    clip_norm, scaler = rules.clip_norm, rules.scaler

    def move(gradients: Any) -> None:
        if clip_norm is not None:
            gradients = ops.clip_by_global_norm(gradients, clip_norm)
        optimizer(gradients)

    if scaler is None:
        return move

    def move_if_finite(gradients: Any) -> None:
        finite = ms.amp.all_finite(gradients)
        scaler.adjust(finite)
        if finite:
            move(gradients)

    return move_if_finite


def frozen_norms(network: nn.Cell, kept: int = 1) -> list[nn.Cell]:
    """Freeze scale and shift of every batch norm but the first (ECO-pytorch's partial batch norm).

    Args:
        kept: how many of the first ones go on learning.

    Returns:
        Those batch norms; `set_train(False)` on each after every `set_train(True)` of the network
        also freezes their statistics.
    """
    norms = [c for _, c in network.cells_and_names() if isinstance(c, nn.BatchNorm2d)][kept:]
    for norm in norms:
        norm.gamma.requires_grad = norm.beta.requires_grad = False
    return norms
