"""What windows share, against a count of what each step depends on."""

from __future__ import annotations

import dataclasses
import math

import pytest

from ecolite_stream.bench.speed.arithmetic import multiply_adds
from ecolite_stream.bench.speed.shared_steps import (
    NET,
    continual_table,
    layer_table,
    saved,
    shared_steps,
    work_of,
)
from ecolite_stream.model.preprocess import Preprocessing
from tests.fakes import spec_of

BESIDE = -1


def dependences(first: int, num_segments: int) -> list[set[frozenset[int]]]:
    """For each layer, the frames (or `BESIDE`) that each step of a window depends on.

    A step with zeros beside the window among them belongs to that window alone.
    """
    outputs = [[frozenset({first + place}) for place in range(num_segments)]]
    for layer in NET:
        given = outputs[layer.depth]
        padded = [frozenset({BESIDE}), *given, frozenset({BESIDE})]
        steps = math.ceil(len(given) / layer.stride)
        outputs.append(
            [
                frozenset().union(*padded[place * layer.stride : place * layer.stride + 3])
                for place in range(steps)
            ]
        )
    return [{one for one in steps if BESIDE not in one} for steps in outputs[1:]]


@pytest.mark.parametrize("num_segments", [4, 8, 16, 32])
@pytest.mark.parametrize("slide", [1, 2, 3, 4, 8, 12])
def test_shared_steps_are_those_that_depend_on_the_same_frames(
    num_segments: int, slide: int
) -> None:
    before, after = dependences(0, num_segments), dependences(slide, num_segments)
    expected = [len(old & new) for old, new in zip(before, after, strict=True)]
    assert shared_steps(num_segments, slide) == expected


@pytest.mark.parametrize("num_segments", [4, 7, 16])
def test_the_work_is_that_of_the_head(num_segments: int) -> None:
    spec = dataclasses.replace(spec_of(num_segments), preprocessing=Preprocessing(224))
    counted = multiply_adds(spec)
    assert counted is not None
    total = sum(work.multiply_adds for work in work_of(num_segments, 28))
    assert counted.head == total + 512 * len(spec.labels)


def test_the_share_at_full_size() -> None:
    assert saved(16, 28, 2, layers=3) == pytest.approx(0.2935, abs=1e-3)
    assert saved(16, 28, 2) == pytest.approx(0.3370, abs=1e-3)
    assert saved(16, 28, 16) == 0


def test_tables() -> None:
    assert "res4a_1         8            1.39   0 (0.00)   3 (0.52)" in str(layer_table(16, 28))
    assert [row[-1] for row in continual_table(16, 28).rows] == ["1.99", "3.99", "7.98", "15.95"]
