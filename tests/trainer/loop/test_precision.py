"""Mixed precision: near to float32, and a step that overflows moves nothing."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from trainer.loop.optimizer import build_optimizer
from trainer.loop.precision import loss_scaler, restore_scaler, state_of_scaler, use_mixed_precision
from trainer.loop.step import AccumulatingStep, Rules, make_step
from trainer.network import Network, NetworkConfig, build_network
from trainer.weights.checkpoint import load_parameters, parameters_of

pytestmark = pytest.mark.timeout(300)


def small(architecture: str = "eco_lite") -> Network:
    return build_network(NetworkConfig(architecture, 4, 32, 3, 0.125))


def batch() -> tuple[ms.Tensor, ms.Tensor]:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((4, 4, 3, 32, 32)).astype(np.float32)
    return ms.Tensor(inputs), ms.Tensor(np.array([0, 1, 2, 0], np.int32))


def moved(network: Network, before: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value - before[name] for name, value in parameters_of(network).items()}


@pytest.mark.parametrize("architecture", ["eco_lite", "eco_full"])
def test_convolutions_round_and_the_rest_does_not(architecture: str) -> None:
    whole, mixed = small(architecture), small(architecture)
    load_parameters(mixed, parameters_of(whole))
    use_mixed_precision(mixed)
    inputs, _ = batch()
    expected, found = whole(inputs).asnumpy(), mixed(inputs)
    assert found.dtype == ms.float32
    assert not np.array_equal(found.asnumpy(), expected)
    np.testing.assert_allclose(found.asnumpy(), expected, atol=0.02 * np.abs(expected).max())
    assert {p.dtype for p in mixed.get_parameters()} == {ms.float32}


@pytest.mark.slow
def test_a_mixed_step_moves_as_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.loop.precision.FIRST_SCALE", 2.0**8)
    whole, mixed = small(), small()
    load_parameters(mixed, parameters_of(whole))
    before = parameters_of(whole)
    use_mixed_precision(mixed)
    scaler = loss_scaler("mixed")
    loss = make_step(whole, build_optimizer(whole, 0.1), Rules())(*batch())
    other = make_step(mixed, build_optimizer(mixed, 0.1), Rules(scaler=scaler))(*batch())
    assert float(other) == pytest.approx(float(loss), rel=0.01)
    assert state_of_scaler(scaler) == {"scale": 2.0**8, "steps": 1}
    name = "head.net3d.res5.b_2.conv.weight"
    one, two = moved(whole, before)[name], moved(mixed, before)[name]
    assert np.linalg.norm(one - two) < 0.05 * np.linalg.norm(one)


@pytest.mark.parametrize("accumulates", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_step_that_overflows_moves_nothing_and_halves_the_scale(accumulates: bool) -> None:
    network = small()
    use_mixed_precision(network)
    scaler = loss_scaler("mixed")
    restore_scaler(scaler, {"scale": 2.0**60, "steps": 3})
    rules = Rules(clip_norm=1.0, scaler=scaler)
    optimizer = build_optimizer(network, 0.1)
    before = parameters_of(network)
    if accumulates:
        waiting = AccumulatingStep(network, optimizer, rules, 2)
        waiting(*batch())
        waiting(*batch())
    else:
        make_step(network, optimizer, rules)(*batch())
    for name, change in moved(network, before).items():
        assert not change.any(), name
    assert state_of_scaler(scaler) == {"scale": 2.0**59, "steps": 0}


def test_float32_needs_no_scale() -> None:
    assert loss_scaler("float32") is None and state_of_scaler(None) == {}
