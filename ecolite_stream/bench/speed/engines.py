"""Check every engine on this machine against a bundle's golden numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ecolite_stream.bench.report.charts import Bar, BarChart, Chart
from ecolite_stream.bench.report.report import Cell, Scope, Table
from ecolite_stream.engines.check import AGREES, CANNOT_RUN, TOLERANCES, Outcome
from ecolite_stream.errors import EngineError


def engines_table(outcomes: Sequence[Outcome]) -> Table:
    """Engines below each other."""
    return Table(
        "Engines against the golden numbers of the bundle",
        ("engine", "outcome", "features off", "logits off", "label", "encode ms", "classify ms"),
        [_cells(outcome) for outcome in outcomes],
        notes=(
            "off: the largest error, relative to the largest value; at most "
            + ", ".join(f"{most:.0e} in {what}" for what, most in TOLERANCES.items())
            + " is allowed.",
            "encode ms: one frame. classify ms: one clip. Each engine in a process of its own.",
            *(outcome.detail for outcome in outcomes if outcome.detail),
        ),
    )


def _cells(outcome: Outcome) -> tuple[Cell, ...]:
    check = outcome.check
    if check is None:
        return (outcome.engine, outcome.state, None, None, None, None, None)
    return (
        outcome.engine,
        outcome.state,
        f"{check.feature_error:.1e}",
        f"{check.logit_error:.1e}",
        "same" if check.same_label else "other",
        f"{check.encode_ms:.2f}",
        f"{check.classify_ms:.2f}",
    )


def engines_scope(outcomes: Sequence[Outcome]) -> Scope:
    """How many installed engines gave numbers."""
    answered = sum(outcome.check is not None for outcome in outcomes)
    return Scope("the bundle's golden clip", answered, len(outcomes), "engines")


def engines_figures(outcomes: Sequence[Outcome]) -> dict[str, Chart]:
    """Latencies of the engines that gave numbers; nothing without any."""
    bars = [
        Bar(f"{outcome.engine}, {what}", ms, f"{ms:.2f} ms", kind)
        for outcome in outcomes
        if outcome.check
        for kind, (what, ms) in enumerate(
            {"frame": outcome.check.encode_ms, "clip": outcome.check.classify_ms}.items()
        )
    ]
    kinds = ("encode a frame", "classify a clip")
    title = "Latency of each engine"
    return {"latency.png": BarChart(title, bars, kinds=kinds)} if bars else {}


def engines_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Plain containers; an infinite error is None, which JSON has no number for."""
    rows = [asdict(outcome) for outcome in outcomes]
    for row in rows:
        if row["check"]:
            row["check"] = {
                key: None if value == math.inf else value for key, value in row["check"].items()
            }
    return {"engines": rows}


def require_agreement(outcomes: Sequence[Outcome]) -> None:
    """Check that at least one engine can run the bundle, and that all that can agree.

    Raises:
        EngineError: otherwise.
    """
    ran = [outcome for outcome in outcomes if outcome.state != CANNOT_RUN]
    if wrong := [outcome for outcome in ran if outcome.state != AGREES]:
        raise EngineError("; ".join(map(str, wrong)))
    if not ran:
        reasons = "; ".join(map(str, outcomes))
        raise EngineError(
            reasons
            or "no inference engine is installed; run pip install 'ecolite-stream[openvino]'"
        )
