"""Expected calibration error and reliability diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ecolite_stream.bench.report.charts import Axis, LineChart, Panels, Series

NUM_BINS = 15

BIN_COLUMNS = ("score", "predictions", "mean score", "share right")
"""Of a table of `bin_rows`."""

Doubles = npt.NDArray[np.float64]


class Bin(NamedTuple):
    """Predictions whose scores lie in one bin; scores and shares from 0 to 1."""

    low: float
    high: float
    predictions: int
    mean_score: float
    share_right: float


def calibration_error(scores: Doubles, is_right: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error: the gap between score and share right, mean over `NUM_BINS`.

    Args:
        scores: (K,) of the best labels, 0 to 1.
        is_right: (K,).
    """
    rows = reliability(scores, is_right)
    return sum(count * abs(score - share) for _, _, count, score, share in rows) / len(scores)


def reliability(scores: Doubles, is_right: npt.NDArray[np.bool_]) -> list[Bin]:
    """Bins that hold scores."""
    bins = np.minimum((scores * NUM_BINS).astype(int), NUM_BINS - 1)
    rows = []
    for number in range(NUM_BINS):
        inside = bins == number
        if count := int(inside.sum()):
            score, share = float(scores[inside].mean()), float(is_right[inside].mean())
            rows.append(Bin(number / NUM_BINS, (number + 1) / NUM_BINS, count, score, share))
    return rows


def bin_rows(bins: Sequence[Bin]) -> list[tuple[str, int, str, str]]:
    """Bins as cells under `BIN_COLUMNS`."""
    return [(f"{a:.2f} to {b:.2f}", n, f"{s:.3f}", f"{r:.3f}") for a, b, n, s, r in bins]


def reliability_figure(title: str, bins: Mapping[str, Sequence[Bin]]) -> Panels:
    """Share right over score, a panel for each name; calibrated scores lie on the diagonal.

    The area of a mark is the number of its predictions. Panels stand side by side, for lines over
    few predictions jump about.
    """
    axes = Axis("mean score", 1), Axis("share right", 1)
    return Panels(
        [
            LineChart(
                title,
                *axes,
                [
                    Series(
                        name,
                        [(b.mean_score, b.share_right) for b in own],
                        [b.predictions for b in own],
                    )
                ],
                diagonal=True,
            )
            for name, own in bins.items()
        ]
    )
