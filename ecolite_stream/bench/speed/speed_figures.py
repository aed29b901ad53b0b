"""The figures of `ecolite-bench speed`."""

from __future__ import annotations

from collections.abc import Sequence

from ecolite_stream.bench.report.charts import Bar, BarChart, Chart
from ecolite_stream.bench.speed.speed import ENCODER, HEAD, LIVE_STEP, NUMPY, OWN, RECOMPUTE, Row


def speed_figures(rows: Sequence[Row]) -> dict[str, Chart]:
    """A live step beside recomputing, and multiply-adds a second beside a matrix product's."""
    figures: dict[str, Chart] = {
        "live_step.png": BarChart(
            "p50 of a live step, and of recomputing all N frames",
            [bar for row in rows for bar in _steps(row)],
            kinds=("live step", "recompute all"),
        )
    }
    if rates := [bar for row in rows for bar in _rates(row)]:
        kinds = ("encoder", "head", "matrix product, own or numpy's")
        figures["limit.png"] = BarChart("10^9 multiply-adds a second", rates, kinds=kinds)
    return figures


def _steps(row: Row) -> list[Bar]:
    parts = {LIVE_STEP: "live", RECOMPUTE: "all"}
    times_ms = {what: row.timings[what].p50_ms for what in parts}
    return [
        Bar(f"{_who(row)}, {parts[what]}", ms, f"{ms:.1f} ms", kind)
        for kind, (what, ms) in enumerate(times_ms.items())
    ]


def _rates(row: Row) -> list[Bar]:
    limit = row.limit(OWN) or row.limit(NUMPY)
    rates = {"encoder": row.rate(ENCODER), "head": row.rate(HEAD), "product": limit}
    return [
        Bar(f"{_who(row)}, {what}", rate, f"{rate:.1f}", kind)
        for kind, (what, rate) in enumerate(rates.items())
        if rate is not None
    ]


def _who(row: Row) -> str:
    precision = "" if row.precision == "f32" else f" {row.precision}"
    return f"{row.bundle} {row.engine}{precision}"
