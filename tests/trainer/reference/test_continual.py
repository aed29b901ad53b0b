"""The continual heads: streams, spans and costs."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ecolite_stream.bench.speed.arithmetic import multiply_adds as counted  # noqa: E402
from ecolite_stream.model.preprocess import Preprocessing  # noqa: E402
from ecolite_stream.model.spec import ModelSpec  # noqa: E402
from trainer.reference.continual_heads import (  # noqa: E402
    FORMS,
    PER_LABEL,
    ContinualHead,
    WindowHead,
    multiply_adds,
)
from trainer.reference.torch_eco import TorchEco  # noqa: E402

CLASSES, SIDE, WIDTH = 5, 8, 0.125
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def eco() -> TorchEco:
    """ECO-Lite with random weights; its maps are (16, 8, 8)."""
    torch.manual_seed(0)
    eco = TorchEco(CLASSES, width=WIDTH)
    with torch.no_grad():
        eco(torch.zeros(1, 4, 3, 64, 64))
        for name, values in eco.state_dict().items():
            if "_bn." in name and values.is_floating_point():
                values.uniform_(0.5, 1.5)
    return eco.eval()


def random_maps(samples: int) -> torch.Tensor:
    return torch.rand(2, samples, 16, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_gives_the_labels_of_the_whole_sequence(eco: TorchEco, form: str) -> None:
    head, maps = ContinualHead(eco, FORMS[form]).eval(), random_maps(36)
    with torch.no_grad():
        expected = head(maps)
        for per_call in (PER_LABEL, 6):
            head.stream()
            found = torch.cat([head(part) for part in maps.split(per_call, 1)], 1)
            torch.testing.assert_close(found, expected)
    assert expected.shape == (2, 18, CLASSES)
    assert (expected.diff(dim=1).abs() > 1e-4).any()


@pytest.mark.parametrize("form", FORMS)
def test_a_label_depends_on_the_samples_of_its_span_alone(eco: TorchEco, form: str) -> None:
    head, span = ContinualHead(eco, FORMS[form]).eval().double(), FORMS[form].span
    maps = random_maps(span + span % PER_LABEL + 4).double().requires_grad_()
    head(maps)[:, -1].square().sum().backward()
    slopes = maps.grad.abs().amax((0, 2, 3, 4))
    assert (slopes[-span:] > 0).all()
    assert (slopes[:-span] == 0).all()


@pytest.mark.parametrize("num_segments", [4, 8])
def test_a_window_costs_what_the_benchmarks_count(eco: TorchEco, num_segments: int) -> None:
    labels = tuple("abcde")
    shape = (16, SIDE, SIDE)
    spec = ModelSpec("eco_lite", WIDTH, num_segments, shape, labels, 1.6, Preprocessing(64))
    work = counted(spec)
    assert work is not None
    assert multiply_adds(WindowHead(eco, num_segments), random_maps(2)[:1]) == work.head


def test_a_label_of_the_continual_head_costs_its_new_steps_alone(eco: TorchEco) -> None:
    head = ContinualHead(eco, FORMS["short"]).eval()
    head.stream()
    res3 = 2 * 8**2 * 9 * 2 * 3 * 16 * 16  # two samples, two taps, three convolutions
    res4 = 4**2 * 9 * (3 * 2 * 16 * 32 + 3 * 32 * 32)
    res5 = 2**2 * 9 * (2 * 32 * 64 + 3 * 64 * 64)
    for _ in range(2):
        assert multiply_adds(head, random_maps(2)[:1]) == res3 + res4 + res5 + 64 * CLASSES


@pytest.mark.parametrize("num_segments", [4, 8])
def test_a_window_sees_the_newest_samples(eco: TorchEco, num_segments: int) -> None:
    head, maps = WindowHead(eco, num_segments).eval(), random_maps(10)
    with torch.no_grad():
        pooled = eco.pool(maps[:, 8 - num_segments : 8])
        torch.testing.assert_close(head(maps)[:, 3], eco.new_fc(pooled))
        early = torch.cat([maps[:, :1].expand(-1, num_segments - 2, -1, -1, -1), maps[:, :2]], 1)
        torch.testing.assert_close(head(maps)[:, 0], eco.new_fc(eco.pool(early)))
