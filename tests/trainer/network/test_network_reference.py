"""The networks against a PyTorch reference: other N, other sizes, other widths than the golden."""

from __future__ import annotations

import mindspore as ms
import pytest

from tests import golden
from tests.golden_rule import golden_input, golden_parameter
from trainer.network import NetworkConfig, build_network
from trainer.weights.checkpoint import load_parameters
from trainer.weights.published import pytorch_name

torch = pytest.importorskip("torch")

from trainer.reference.torch_eco import TorchEco  # noqa: E402  needs torch

TOLERANCE = 1e-5
SMALL = 0.25  # width: quick, and unlike the paper's


@pytest.mark.parametrize("case", ["ecolite_pytorch_n4", "ecofull_pytorch_n4"])
def test_reference_gives_golden_numbers(case):
    reference = TorchEco(101, full="full" in case)
    state = {name: torch.from_numpy(value) for name, value in golden.entries(case).items()}
    load_reference(reference, {name.removeprefix("module."): x for name, x in state.items()})
    with torch.no_grad():
        logits = reference(torch.from_numpy(golden_input(4)[None]))
    expected = golden.numbers(case)
    assert golden.relative_error(logits, expected["logits"]) < TOLERANCE
    assert golden.relative_error(reference.pooled, expected["pooled"]) < TOLERANCE
    sampled = reference.features[:, ::8, ::4, ::4]
    assert golden.relative_error(sampled, expected["features"]) < TOLERANCE


def load_reference(reference, state) -> None:
    missing, unexpected = reference.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    reference.eval()


def pair(config: NetworkConfig):
    """Our network and the reference, with the same values by the golden rule."""
    network = build_network(config)
    values = {
        name: golden_parameter("module." + pytorch_name(name), tuple(parameter.shape))
        for name, parameter in network.parameters_and_names()
    }
    load_parameters(network, values)
    full = config.architecture == "eco_full"
    reference = TorchEco(config.num_classes, full=full, width=config.width)
    state = {pytorch_name(name): torch.from_numpy(value) for name, value in values.items()}
    load_reference(reference, state)
    return network, reference


def assert_agree(config: NetworkConfig, clips: int = 1) -> None:
    network, reference = pair(config)
    x = golden_input(clips * config.num_segments, config.image_size)
    x = x.reshape(clips, config.num_segments, *x.shape[1:])
    with torch.no_grad():
        expected = reference(torch.from_numpy(x)).numpy()
    assert golden.relative_error(network(ms.Tensor(x)).asnumpy(), expected) < TOLERANCE


@pytest.mark.parametrize("num_segments", [8, 12, 16, 20, 32])
def test_other_numbers_of_segments(num_segments):
    assert_agree(NetworkConfig("eco_lite", num_segments, 64, 7, SMALL))


@pytest.mark.parametrize("image_size", [45, 96, 112, 155, 160, 180, 200])
def test_other_sizes_of_eco_lite(image_size):
    """155, 180 and 200 px: maps of odd sizes on the way, where pooling must round up."""
    assert_agree(NetworkConfig("eco_lite", 4, image_size, 5, SMALL))


@pytest.mark.parametrize(("image_size", "num_segments"), [(96, 16), (128, 8), (160, 4)])
def test_other_sizes_of_eco_full(image_size, num_segments):
    """Where the branches of 3c and 4e agree in size as published: 3b's maps divide by 4."""
    assert_agree(NetworkConfig("eco_full", num_segments, image_size, 5, SMALL))


@pytest.mark.parametrize("architecture", ["eco_lite", "eco_full"])
def test_a_batch_of_clips(architecture):
    assert_agree(NetworkConfig(architecture, 8, 64, 51, SMALL), clips=3)


def test_paper_width():
    assert_agree(NetworkConfig("eco_lite", 8, 96, 51))
