"""Gradients of several batches in one step, and batch norms that stand still."""

from __future__ import annotations

import mindspore as ms
import mindspore.nn as nn
import numpy as np
import pytest

from trainer.data.loader import NO_CLASS
from trainer.loop.optimizer import build_optimizer
from trainer.loop.step import AccumulatingStep, Rules, cross_entropy, frozen_norms, make_step
from trainer.network import NetworkConfig, build_network
from trainer.weights.checkpoint import load_parameters, parameters_of

SMALL = NetworkConfig("eco_lite", 4, 32, 3, 0.125)
pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("clip_norm", [None, pytest.param(0.5, marks=pytest.mark.slow)])
def test_two_batches_of_two_move_like_one_of_four(clip_norm: float | None) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((8, 4, 3, 32, 32)).astype(np.float32)
    labels = rng.integers(0, 3, 8).astype(np.int32)
    one, other = build_network(SMALL), build_network(SMALL)  # training off: batch norm frozen
    load_parameters(other, parameters_of(one))
    before = parameters_of(one)

    step = make_step(one, build_optimizer(one, 0.1), Rules(clip_norm, 0.1))
    halves = AccumulatingStep(other, build_optimizer(other, 0.1), Rules(clip_norm, 0.1), 2)
    for start in (0, 4):
        step(ms.Tensor(inputs[start : start + 4]), ms.Tensor(labels[start : start + 4]))
        for half in (start, start + 2):
            halves(ms.Tensor(inputs[half : half + 2]), ms.Tensor(labels[half : half + 2]))
    halves.flush()  # nothing waits
    found, expected = parameters_of(other), parameters_of(one)
    assert set(found) == set(expected)
    moved = [np.abs(expected[name] - before[name]).max() for name in expected]
    assert max(moved) > 1e-3
    for name, value in expected.items():
        assert np.allclose(found[name], value, rtol=1e-4, atol=1e-5), name


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_target_of_no_class_is_every_class_alike(smoothing: float) -> None:
    logits = np.array([[2, 0, -1], [0.5, 1, 3], [1, 1, 4]], np.float32)
    log_shares = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    wanted = -np.array(
        [
            (1 - smoothing) * log_shares[0, 0] + smoothing * log_shares[0].mean(),
            (1 - smoothing) * log_shares[1, 2] + smoothing * log_shares[1].mean(),
            log_shares[2].mean(),
        ]
    ).mean()

    @ms.jit  # type: ignore[untyped-decorator, unused-ignore]
    def compiled(logits: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        return cross_entropy(logits, labels, smoothing)

    labels = ms.Tensor(np.array([0, 2, NO_CLASS], np.int32))
    assert float(compiled(ms.Tensor(logits), labels)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
def test_what_waits_at_the_end_of_an_epoch_counts_in_full() -> None:
    rng = np.random.default_rng(0)
    inputs = ms.Tensor(rng.standard_normal((2, 4, 3, 32, 32)).astype(np.float32))
    labels = ms.Tensor(np.array([0, 1], np.int32))
    one, other = build_network(SMALL), build_network(SMALL)
    load_parameters(other, parameters_of(one))
    before = parameters_of(other)
    make_step(one, build_optimizer(one, 0.1), Rules())(inputs, labels)
    waiting = AccumulatingStep(other, build_optimizer(other, 0.1), Rules(), 3)
    waiting(inputs, labels)
    assert all(np.array_equal(value, before[name]) for name, value in parameters_of(other).items())
    waiting.flush()
    for name, value in parameters_of(one).items():
        assert np.allclose(parameters_of(other)[name], value, rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize(
    "architecture", ["eco_lite", pytest.param("eco_full", marks=pytest.mark.slow)]
)
def test_all_batch_norms_but_the_first_stand_still(architecture: str) -> None:
    network = build_network(NetworkConfig(architecture, 4, 32, 3, 0.125))
    norms = frozen_norms(network)
    every = [c for _, c in network.cells_and_names() if isinstance(c, nn.BatchNorm2d)]
    assert len(norms) == len(every) - 1
    network.set_train(True)
    for norm in norms:
        norm.set_train(False)
    before = parameters_of(network)
    rng = np.random.default_rng(0)
    inputs = ms.Tensor(rng.standard_normal((2, 4, 3, 32, 32)).astype(np.float32))
    step = make_step(network, build_optimizer(network, 0.1), Rules())
    step(inputs, ms.Tensor(np.array([0, 1], np.int32)))
    after = parameters_of(network)
    changed = {n for n in after if ".bn." in n and not np.array_equal(before[n], after[n])}
    first = "encoder.stem.conv1.bn."
    assert changed == {first + leaf for leaf in ("gamma", "beta", "moving_mean", "moving_variance")}
    assert not np.array_equal(before["head.new_fc.weight"], after["head.new_fc.weight"])
