"""The published optimiser: SGD with Nesterov momentum; biases learn twice as fast, undecayed.

`set_learning_rate` moves the rate between two steps of a compiled training step: the rates are
MindSpore parameters, so assigning them compiles nothing again, whatever schedule they follow.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
import mindspore.nn as nn
import mindspore.ops as ops

BIAS_RATE = 2.0  # biases of convolutions and of the classifier learn at twice the rate


def parameter_groups(
    network: nn.Cell, weight_decay: float, learning_rate: float
) -> list[dict[str, Any]]:
    """ECO-pytorch's parameter groups, as MindSpore's optimisers take them.

    Weights of convolutions and the classifier decay. Their biases do not, and learn at
    `BIAS_RATE` times the rate. Scale and shift of batch norm do not decay either. The last entry
    keeps the order of `network.trainable_params()`.

    Raises:
        ValueError: the network has a trainable parameter that is none of these.
    """
    leaves: dict[str, list[ms.Parameter]] = {"weight": [], "bias": [], "gamma": [], "beta": []}
    for parameter in network.trainable_params():
        if _leaf(parameter) not in leaves:
            raise ValueError(f"no learning rule for parameter {parameter.name}")
        leaves[_leaf(parameter)].append(parameter)
    groups = [
        {"params": leaves["weight"], "lr": learning_rate, "weight_decay": weight_decay},
        {"params": leaves["bias"], "lr": BIAS_RATE * learning_rate, "weight_decay": 0.0},
        {"params": leaves["gamma"] + leaves["beta"], "lr": learning_rate, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]  # MindSpore refuses an empty group
    return [*groups, {"order_params": network.trainable_params()}]


def build_optimizer(
    network: nn.Cell,
    learning_rate: float,
    momentum: float = 0.9,
    nesterov: bool = True,
    weight_decay: float = 5e-4,
) -> nn.Optimizer:
    """SGD as published; call it with the gradients of `network.trainable_params()`.

    MindSpore's SGD equals PyTorch's, momentum's first step included. Its Momentum does not: on a
    CPU it ignores `use_nesterov`.
    """
    groups = parameter_groups(network, weight_decay, learning_rate)
    return nn.SGD(groups, learning_rate, momentum, nesterov=nesterov)


def set_learning_rate(optimizer: nn.Optimizer, learning_rate: float) -> None:
    """Set the rate of the next step of an optimiser from `build_optimizer`; biases get twice it."""
    rates = {}  # MindSpore lists a group's rate once for each of its parameters
    for rate, parameter in zip(optimizer.learning_rate, optimizer.parameters, strict=True):
        rates[rate.name] = (rate, BIAS_RATE if _leaf(parameter) == "bias" else 1.0)
    for rate, factor in rates.values():
        ops.assign(rate, ms.Tensor(factor * learning_rate, ms.float32))


def _leaf(parameter: ms.Parameter) -> str:
    return parameter.name.rsplit(".", 1)[-1]
