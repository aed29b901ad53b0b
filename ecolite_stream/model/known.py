"""Whether a prediction is of something like the training: the energy of its logits.

Energy is the log-sum-exp of the logits that the head gives, before the temperature: low where no
class stands out (Liu et al. 2020, "Energy-based Out-of-distribution Detection", there with the
opposite sign).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

LEAST_FILL = 0.5
"""Share of the memory that must be filled to say anything: a stream that has just begun is unlike
the training whatever it shows. No event begins below it by default."""
SHARE_GIVEN_UP = 0.03
"""Of the right predictions, so many may be called unknown."""
FEWEST_RIGHT = math.ceil(1 / SHARE_GIVEN_UP)
"""Right predictions that a bound is fitted to, at least: of fewer, the share is less than one."""


def energy(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Log-sum-exp of logits (..., classes), as (...) float64."""
    values = np.asarray(logits, np.float64)
    largest = values.max(axis=-1)
    total = np.exp(values - largest[..., None]).sum(axis=-1)
    return np.asarray(largest + np.log(total))


def fit_energy_bound(
    logits: npt.NDArray[np.floating[Any]],
    is_right: npt.NDArray[np.bool_],
    share: float = SHARE_GIVEN_UP,
) -> float | None:
    """The highest bound below which at most that share of the right predictions lies.

    Args:
        logits: (K, classes), of clips that the model was not trained on, with a memory that is
            filled to `LEAST_FILL` or more.
        is_right: (K,) whether the best class is that of the clip.
        share: 0 to below 1.

    Returns:
        The bound, rounded down to four digits; None where fewer than `FEWEST_RIGHT` are right.
    """
    of_right = np.sort(energy(logits[is_right]))
    if len(of_right) < FEWEST_RIGHT:
        return None
    return math.floor(1e4 * float(of_right[math.floor(share * len(of_right))])) / 1e4


def share_below(values: npt.NDArray[np.float64], bound: float) -> float:
    """Share of energies (K,) below a bound, 0 to 1; 0 of none."""
    return float((values < bound).mean()) if len(values) else 0.0
