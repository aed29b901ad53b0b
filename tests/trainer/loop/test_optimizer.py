"""The optimiser against PyTorch's numbers, and its learning rate from step to step."""

from __future__ import annotations

import mindspore as ms
import mindspore.nn as nn
import mindspore.ops as ops
import numpy as np
import pytest

from tests import golden
from tests.golden_rule import golden_parameter
from trainer.loop.optimizer import build_optimizer, parameter_groups, set_learning_rate
from trainer.network import NetworkConfig, build_network
from trainer.weights.checkpoint import load_parameters
from trainer.weights.published import pytorch_name


def compiled_step(network: nn.Cell, optimizer: nn.Optimizer):
    def loss_of(x, labels):
        return ops.cross_entropy(network(x), labels)

    gradients_of = ms.value_and_grad(loss_of, None, optimizer.parameters)

    @ms.jit
    def step(x, labels):
        loss, gradients = gradients_of(x, labels)
        optimizer(gradients)
        return loss

    return step


@pytest.mark.slow
def test_six_training_steps_as_in_pytorch():
    expected = golden.description("ecolite_training_n4")
    network = build_network(NetworkConfig())
    published = {n: f"module.{pytorch_name(n)}" for n, _ in network.parameters_and_names()}
    values = {
        name: golden_parameter(published[name], tuple(parameter.shape))
        for name, parameter in network.parameters_and_names()
    }
    values["head.new_fc.weight"] *= np.float32(0.001)
    load_parameters(network, values)
    network.set_train(True)
    step = compiled_step(network, build_optimizer(network, 1e-3))

    x, labels = ms.Tensor(golden.training_input()), ms.Tensor([3, 77], ms.int32)
    losses = [float(step(x, labels).asnumpy()) for _ in expected["losses"]]
    assert losses == pytest.approx(expected["losses"], rel=1e-5)

    after = {published[name]: p.asnumpy() for name, p in network.parameters_and_names()}
    for name, first_eight in expected["after"].items():
        found = after[name.removesuffix("[:8]")][:8]
        assert golden.relative_error(found, first_eight) < 1e-4, name


class Line(nn.Cell):
    """(B, 1) -> (B, 1), with a batch norm, so that it has every kind of parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Dense(1, 1, weight_init="ones", bias_init="ones")
        self.bn = nn.BatchNorm1d(1)

    def construct(self, x):
        return self.bn(self.fc(x))


def test_groups_decay_weights_only():
    *groups, order = parameter_groups(Line(), 0.1, 1.0)
    assert [[p.name for p in group["params"]] for group in groups] == [
        ["fc.weight"],
        ["fc.bias"],
        ["bn.gamma", "bn.beta"],
    ]
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0, 0.0]
    assert [group["lr"] for group in groups] == [1.0, 2.0, 1.0]
    assert [p.name for p in order["order_params"]] == [
        "fc.weight",
        "fc.bias",
        "bn.gamma",
        "bn.beta",
    ]


def test_every_parameter_of_the_networks_has_a_group():
    for architecture in ("eco_lite", "eco_full"):
        network = build_network(NetworkConfig(architecture, width=0.125, image_size=32))
        *groups, _ = parameter_groups(network, 5e-4, 1e-3)
        grouped = sum(len(group["params"]) for group in groups)
        assert grouped == len(network.trainable_params())


def test_unknown_kind_of_parameter_is_refused():
    network = nn.Cell()
    network.scale = ms.Parameter(ms.Tensor([1.0]), name="scale")
    with pytest.raises(ValueError, match="scale"):
        parameter_groups(network, 0.1, 1.0)


def test_learning_rate_changes_between_compiled_steps():
    """Without momentum a step moves by lr * gradient, and a bias by twice that."""
    layer = nn.Dense(1, 1, weight_init="ones", bias_init="ones")
    optimizer = build_optimizer(layer, 1.0, momentum=0.0, nesterov=False, weight_decay=0.0)
    one = ms.Tensor([[1.0]])

    @ms.jit
    def step(gradient):
        return optimizer((gradient, gradient[0]))

    moved = []
    for rate in (0.5, 0.125, 0.0):
        set_learning_rate(optimizer, rate)
        before = layer.weight.asnumpy().item(), layer.bias.asnumpy().item()
        step(one)
        after = layer.weight.asnumpy().item(), layer.bias.asnumpy().item()
        moved.append((before[0] - after[0], before[1] - after[1]))
    assert moved == [(0.5, 1.0), (0.125, 0.25), (0.0, 0.0)]


def test_weight_decay_spares_biases():
    layer = nn.Dense(1, 1, weight_init="ones", bias_init="ones")
    optimizer = build_optimizer(layer, 0.5, weight_decay=0.5)
    optimizer((ms.Tensor([[0.0]]), ms.Tensor([0.0])))
    assert layer.weight.asnumpy().item() == pytest.approx(1 - 0.5 * 0.5 * 1.9)  # Nesterov: 1 + .9
    assert layer.bias.asnumpy().item() == 1
