"""Energies by hand, and the bound that gives up no more than its share."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.model.known import FEWEST_RIGHT, energy, fit_energy_bound, share_below


def test_energy_by_hand() -> None:
    assert energy(np.array([0.0, 0.0])) == pytest.approx(math.log(2))
    assert energy(np.array([1.0, 2.0, 3.0])) == pytest.approx(
        math.log(math.e + math.e**2 + math.e**3)
    )
    rows = energy(np.array([[1000.0, 0.0], [-1000.0, -1000.0]], np.float32))
    assert rows == pytest.approx([1000.0, math.log(2) - 1000])


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=FEWEST_RIGHT, max_size=300),
    st.sampled_from([0.0, 0.03, 0.5]),
)
def test_a_bound_gives_up_no_more_than_its_share(largest: list[float], share: float) -> None:
    logits = np.array([[value, value - 60] for value in largest])
    bound = fit_energy_bound(logits, np.ones(len(logits), np.bool_), share)
    assert bound is not None
    below = share_below(energy(logits), bound)
    assert below <= share
    higher = share_below(energy(logits), bound + 2e-4)
    assert higher > share - 1 / len(logits)  # no bound far above gives up so little


def test_only_right_predictions_count_and_a_few_are_too_few() -> None:
    logits = np.repeat([[5.0, 0.0], [-5.0, -9.0]], FEWEST_RIGHT, axis=0)
    right = np.arange(len(logits)) < FEWEST_RIGHT
    bound = fit_energy_bound(logits, right)
    assert bound is not None and 4.9 < bound <= energy(logits[0])
    right[0] = False
    assert fit_energy_bound(logits, right) is None
    assert share_below(np.zeros(0), 1.0) == 0
