"""Multiply-adds: counted by formula, and by listening to the layers of the reference network."""

from __future__ import annotations

import pytest

from ecolite_stream.bench.speed.arithmetic import MultiplyAdds, multiply_adds
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import Preprocessing


def spec(size: int, width: float, num_segments: int, architecture: str = "eco_lite") -> ModelSpec:
    side = (size + 1) // 2
    for _ in range(2):
        side = -(-(side - 3) // 2) + 1
    channels = max(8, 8 * round(96 * width / 8))
    labels = tuple(map(str, range(101)))
    how = Preprocessing(size)
    return ModelSpec(architecture, width, num_segments, (channels, side, side), labels, 2.0, how)


def test_the_published_size():
    work = multiply_adds(spec(224, 1, 4))
    assert work is not None
    assert round(work.encoder / 1e9, 2) == 0.91 and round(work.head / 1e9, 1) == 8.0
    four_times = multiply_adds(spec(224, 1, 16))
    assert four_times is not None and four_times.head / work.head == pytest.approx(4, abs=1e-3)


def test_another_network_is_not_counted():
    assert multiply_adds(spec(224, 1, 4, "resnet")) is None


@pytest.mark.parametrize(
    ("size", "width", "num_segments"),
    [(224, 1, 4), (112, 0.25, 8), (80, 0.5, 5), (66, 0.25, 1), (75, 0.1, 3)],
)
def test_what_the_layers_do(size: int, width: float, num_segments: int):
    torch = pytest.importorskip("torch")
    from trainer.reference.torch_eco import TorchEco

    counts = {"encoder": 0, "head": 0}

    def listen(part: str):
        def hook(layer, inputs, output) -> None:
            each = layer.weight[0].numel()  # multiply-adds of one number of the output
            counts[part] += each * output[0].numel() * (len(output) if part == "encoder" else 1)

        return hook

    model = TorchEco(101, width=width).eval()
    for layer in model.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Linear)):
            is_2d = isinstance(layer, torch.nn.Conv2d)
            layer.register_forward_hook(listen("encoder" if is_2d else "head"))
    with torch.inference_mode():
        model(torch.zeros(1, num_segments, 3, size, size))
    expected = MultiplyAdds(counts["encoder"] // num_segments, counts["head"])
    assert multiply_adds(spec(size, width, num_segments)) == expected


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("architecture", "size", "width", "num_segments"),
    [("eco_lite", 64, 0.25, 4), ("eco_full", 64, 0.25, 4), ("eco_full", 74, 0.4, 8)],
)
def test_what_the_trainers_layers_do(
    architecture: str, size: int, width: float, num_segments: int
) -> None:
    ms = pytest.importorskip("mindspore")
    from trainer.network import NetworkConfig, build_network
    from trainer.network.blocks import PooledProjection

    network = build_network(NetworkConfig(architecture, num_segments, size, 101, width))
    counts = {"encoder": 0, "head": 0}

    def listen(part: str):
        def hook(layer, inputs, output) -> None:
            each = layer.weight[0].size
            counts[part] += each * output.size

        return hook

    def listen_projection(layer, inputs, output) -> None:
        counts["encoder"] += layer.conv.weight[0].size * output.size

    own: list[object] = []
    layers = (ms.nn.Conv2d, ms.nn.Conv3d, ms.nn.Dense)
    for part in counts:
        for _, layer in getattr(network, part).cells_and_names():
            if isinstance(layer, PooledProjection):  # it uses its convolution's weights itself
                layer.register_forward_hook(listen_projection)
                own.append(layer.conv)
            elif isinstance(layer, layers) and not any(layer is other for other in own):
                layer.register_forward_hook(listen(part))
    network.encoder(ms.ops.zeros((1, 3, size, size)))
    network.head(ms.ops.zeros((1, num_segments, *network.feature_shape)))
    expected = MultiplyAdds(counts["encoder"], counts["head"])
    assert multiply_adds(spec(size, width, num_segments, architecture)) == expected


def test_the_published_size_of_the_full_network() -> None:
    lite, full = multiply_adds(spec(224, 1, 4)), multiply_adds(spec(224, 1, 4, "eco_full"))
    assert lite is not None and full is not None
    assert full.head - lite.head == 1024 * 101  # the classifier sees 1024 numbers more
    assert 1.9e9 < full.encoder < 2.1e9  # BN-Inception takes 2.0 G multiply-adds
