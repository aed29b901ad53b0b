"""Dropout that is drawn outside the graph."""

from __future__ import annotations

import mindspore as ms
import mindspore.nn as nn
import numpy as np
import pytest

from trainer.loop.dropout import SeededDropout, seed_dropout
from trainer.loop.optimizer import build_optimizer
from trainer.loop.step import Rules, make_step
from trainer.network import NetworkConfig, build_network


def test_keeps_the_mean_and_drops_a_share() -> None:
    cell = SeededDropout("dropout", 0.6, (50, 400))
    cell.set_train(True)
    cell.draw(np.random.default_rng(0))
    out = cell(ms.Tensor(np.ones((50, 400), np.float32))).asnumpy()
    assert np.unique(out).tolist() == pytest.approx([0, 2.5])
    assert out.mean() == pytest.approx(1, abs=0.05)
    assert cell(ms.Tensor(np.ones((3, 400), np.float32))).shape == (3, 400)
    cell.set_train(False)
    assert np.array_equal(cell(ms.Tensor(np.full((50, 400), 7, np.float32))).asnumpy()[0, 0], 7)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("architecture", "count"),
    [("eco_lite", 1), pytest.param("eco_full", 2, marks=pytest.mark.slow)],
)
def test_a_seed_decides_what_a_step_drops(architecture: str, count: int) -> None:
    network = build_network(NetworkConfig(architecture, 4, 32, 3, 0.125), dropout=0.5)
    dropouts = seed_dropout(network, batch_size=2, num_segments=4)
    assert len(dropouts) == count
    assert not any(isinstance(cell, nn.Dropout) for _, cell in network.cells_and_names())
    network.set_train(True)
    optimizer = build_optimizer(network, 1e-30)
    assert not any("mask" in parameter.name for parameter in optimizer.parameters)
    step = make_step(network, optimizer, Rules())
    rng = np.random.default_rng(0)
    inputs = ms.Tensor(rng.standard_normal((2, 4, 3, 32, 32)).astype(np.float32))
    losses = []
    for seed in (1, 2, 1):
        for dropout in dropouts:
            dropout.draw(np.random.default_rng(seed))
        losses.append(float(step(inputs, ms.Tensor(np.array([0, 1], np.int32)))))
    assert losses[0] == losses[2] != losses[1]


def test_without_dropout_nothing_is_replaced() -> None:
    assert seed_dropout(build_network(NetworkConfig(width=0.125)), 2, 4) == []
