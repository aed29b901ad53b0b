"""The variants that the training benchmark measures compute what the network does."""

from __future__ import annotations

import pytest

from trainer.reference.training import Shape, mindspore_step
from trainer.reference.variants import VARIANTS

pytestmark = pytest.mark.timeout(300)


@pytest.mark.slow
def test_losses_of_two_steps_are_the_same() -> None:
    shape = Shape(3, 8, 48, 0.125)
    expected, *others = [mindspore_step(shape, variant) for variant in VARIANTS]
    losses = [expected(), expected()]
    assert losses[0] != losses[1]
    for step in others:
        found = [step(), step()]
        assert found[0] == pytest.approx(losses[0], rel=1e-5)
        assert found[1] == pytest.approx(losses[1], rel=1e-3)
