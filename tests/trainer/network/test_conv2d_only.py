"""The head with 2D convolutions only computes what the 3D one does, and carries less."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from ecolite_stream.engines.check import TOLERANCES
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from tests import golden
from trainer.network import Network, NetworkConfig, build_network
from trainer.network.conv2d_only import conv2d_only_head
from trainer.network.folded import fold_encoder
from trainer.reference.half import errors_in_half

pytestmark = pytest.mark.timeout(300)


def small(architecture: str, num_segments: int) -> Network:
    """Random weights, and batch norm that has seen something."""
    ms.set_seed(1)
    network = build_network(NetworkConfig(architecture, num_segments, 48, 7, 0.125))
    rng = np.random.default_rng(0)
    for parameter in network.get_parameters():
        if parameter.name.endswith(("gamma", "moving_variance")):
            parameter.set_data(ms.Tensor(rng.uniform(0.5, 2, parameter.shape).astype(np.float32)))
        elif parameter.name.endswith(("beta", "moving_mean", "bias")):
            parameter.set_data(ms.Tensor(rng.normal(0, 0.3, parameter.shape).astype(np.float32)))
    return network


def features(network: Network, num_segments: int) -> ms.Tensor:
    shape = (1, num_segments, *network.feature_shape)
    return ms.Tensor(np.random.default_rng(2).normal(0, 1, shape).astype(np.float32))


@pytest.mark.parametrize("num_segments", [4, 8, 12, 16, 20, 24, 32])
@pytest.mark.parametrize("architecture", ["eco_lite", "eco_full"])
def test_it_computes_the_same(architecture: str, num_segments: int) -> None:
    network = small(architecture, num_segments)
    inputs = features(network, num_segments)
    expected = network.head(inputs).asnumpy()
    found = conv2d_only_head(network, num_segments)(inputs).asnumpy()
    assert np.abs(expected).max() > 0.1
    assert golden.relative_error(found, expected) < 1e-4


def test_weights_that_no_tap_can_reach_are_left_out() -> None:
    """At N = 4 one step in time is left for most of res5."""

    def count(cell: ms.nn.Cell) -> int:
        return sum(parameter.size for parameter in cell.get_parameters())

    network = small("eco_lite", 4)
    assert count(conv2d_only_head(network, 4)) < 0.6 * count(network.head)


@pytest.mark.parametrize("architecture", ["eco_lite", "eco_full"])
def test_batch_norm_is_folded_into_the_encoder(architecture: str) -> None:
    network = small(architecture, 4)
    images = ms.Tensor(np.random.default_rng(2).normal(0, 1, (3, 3, 48, 48)).astype(np.float32))
    expected = network.encoder(images).asnumpy()
    encoder = fold_encoder(network)
    assert not any("bn" in parameter.name for parameter in encoder.get_parameters())
    assert golden.relative_error(encoder(images).asnumpy(), expected) < 1e-4


def test_float16_keeps_the_golden_numbers_within_what_is_allowed_of_it() -> None:
    features, logits = errors_in_half(read_bundle(demo_bundle_path()))
    assert 1e-5 < features < TOLERANCES["f16"]
    assert 1e-5 < logits < TOLERANCES["f16"]
