"""Taps in time that no step meets can go, and be put back."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from ecolite_stream.errors import BundleError
from tests import golden
from trainer.network import Network, NetworkConfig, build_network
from trainer.network.trimmed import TRIMMED, trim_taps, with_all_taps
from trainer.weights.checkpoint import load_parameters, parameters_of

pytestmark = pytest.mark.timeout(300)


def small(num_segments: int, width: float = 0.125) -> Network:
    network = build_network(NetworkConfig("eco_lite", num_segments, 32, 3, width))
    network.set_train(False)
    return network


def shapes_of(network: Network) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in parameters_of(network).items()}


def test_a_trimmed_network_computes_the_same_and_can_be_made_whole() -> None:
    network = small(4)
    rng = np.random.default_rng(0)
    shape = (2, 4, *network.feature_shape)
    features = ms.Tensor(rng.standard_normal(shape).astype(np.float32))
    expected = network.head(features).asnumpy()
    before = parameters_of(network)
    trim_taps(network, 4)
    assert golden.relative_error(network.head(features).asnumpy(), expected) < 1e-5

    trimmed = parameters_of(network)
    assert any(TRIMMED in name for name in trimmed)
    whole = with_all_taps(trimmed, shapes_of(small(4)))
    assert whole.keys() == before.keys()
    for name, value in before.items():
        is_left = whole[name] != 0
        np.testing.assert_array_equal(whole[name][is_left], value[is_left])
    again = small(4)
    load_parameters(again, whole)
    assert golden.relative_error(again.head(features).asnumpy(), expected) < 1e-5


def test_nothing_is_trimmed_where_every_tap_is_met() -> None:
    network = small(8)
    before = shapes_of(network)
    trim_taps(network, 8)
    assert shapes_of(network) == before


def test_the_weights_of_another_network_are_refused_by_name() -> None:
    network, wider = small(4), small(4, width=0.25)
    trim_taps(network, 4)
    with pytest.raises(BundleError, match=r"does not fit: .* misshapen \("):
        load_parameters(wider, with_all_taps(parameters_of(network), shapes_of(wider)))
