"""Report of `ecolite-bench calibrate`: tables and a reliability diagram."""

from __future__ import annotations

import math

from ecolite_stream.bench.accuracy.calibrate import Calibration, cross_entropy, probabilities
from ecolite_stream.bench.accuracy.reliability import (
    BIN_COLUMNS,
    NUM_BINS,
    Bin,
    bin_rows,
    reliability,
    reliability_figure,
)
from ecolite_stream.bench.accuracy.samples import Collected, Samples
from ecolite_stream.bench.report.charts import Chart
from ecolite_stream.bench.report.report import Cell, Table
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.known import SHARE_GIVEN_UP, energy, share_below


def calibration_tables(
    collected: Collected, calibration: Calibration, spec: ModelSpec
) -> list[Table]:
    """Errors before and after, reliability after, and the thresholds."""
    samples, own = collected.samples, calibration
    rows: list[tuple[Cell, ...]] = [
        _row("before", samples, spec.temperature, own.before),
        _row("after", samples, own.temperature, own.after),
        ("after, other half of the clips", None, None, _error(own.held_out)),
    ]
    title = f"Calibration on {len(samples.right)} predictions of {collected.clips} clips"
    return [
        Table(
            title,
            ("what", "temperature", "cross entropy", "calibration error"),
            rows,
            notes=(
                f"calibration error: {NUM_BINS} bins. Predictions with a full memory.",
                "other half: fitted to one half of the clips, measured on the other, both ways.",
            ),
        ),
        Table(
            "Reliability after calibration",
            BIN_COLUMNS,
            bin_rows(_bins(samples, own.temperature)),
        ),
        Table(
            f"Lowest score at which a label is right {own.share:.0%} of the time",
            ("label", "threshold"),
            [(label, _threshold(own.thresholds.get(label))) for label in spec.labels],
            notes=("-: never the best label here. never: it is not right that often.",),
        ),
        _bound_table(collected.half_full, own),
    ]


def _bound_table(samples: Samples, own: Calibration) -> Table:
    """What the bound gives up of these predictions, right and wrong."""
    rows: list[tuple[Cell, ...]] = []
    if own.energy_bound is not None:
        of_all, right = energy(samples.logits), samples.is_right
        shares = (share_below(of_all[right], own.energy_bound), own.given_up)
        shown = [None if share is None else f"{share:.1%}" for share in shares]
        wrong = f"{share_below(of_all[~right], own.energy_bound):.1%}"
        rows = [(f"{own.energy_bound:.4f}", *shown, wrong)]
    return Table(
        f"Known: energy at or above a bound that gives up {SHARE_GIVEN_UP:.0%} of the right",
        ("bound", "right given up", "right given up, other half", "wrong caught"),
        rows,
        notes=(
            "Energy: log-sum-exp of the logits. Predictions with a memory at least half full.",
            "ecolite-bench unknown tries other footage.",
        ),
    )


def calibration_figures(
    collected: Collected, calibration: Calibration, spec: ModelSpec
) -> dict[str, Chart]:
    """The reliability diagram, before and after."""
    samples, own = collected.samples, calibration
    bins = {
        f"before, error {own.before:.4f}": _bins(samples, spec.temperature),
        f"after, error {own.after:.4f}": _bins(samples, own.temperature),
    }
    return {"reliability.png": reliability_figure("Reliability: full memory", bins)}


def _bins(samples: Samples, temperature: float) -> list[Bin]:
    scores = probabilities(samples.logits, temperature)
    return reliability(scores.max(axis=1), scores.argmax(axis=1) == samples.right)


def _row(what: str, samples: Samples, temperature: float, error: float) -> tuple[Cell, ...]:
    return (what, f"{temperature:g}", f"{cross_entropy(samples, temperature):.4f}", _error(error))


def _error(error: float | None) -> str | None:
    return None if error is None else f"{error:.4f}"


def _threshold(score: float | None) -> str | None:
    if score is None:
        return None
    # rounded down: no score reaches 1.000
    return "never" if score == 1 else f"{math.floor(1000 * score) / 1000:.3f}"
