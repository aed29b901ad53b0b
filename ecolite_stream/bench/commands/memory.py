"""`ecolite-bench memory`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ecolite_stream.bench.report.charts import Axis, Chart, LineChart, Series
from ecolite_stream.bench.report.report import Report, Scope
from ecolite_stream.bench.shared import (
    ABOVE_ZERO,
    BUNDLE,
    ENGINE,
    Output,
    opened,
    progress,
    publish,
    reported,
)
from ecolite_stream.bench.speed import memory as memory_bench
from ecolite_stream.config.views import MOST_VIEWS
from ecolite_stream.errors import EcoliteError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from ecolite_stream.recognition.recognizer import Recognizer

VIEWS_S = 10.0
"""Stream time that each number of views is watched for, in seconds."""


@click.command()
@click.option("--minutes", type=ABOVE_ZERO, default=10, show_default=True, help="Of stream time.")
@click.option(
    "--limit-mb", type=ABOVE_ZERO, default=memory_bench.LIMIT_MB, show_default=True, help="Growth."
)
@click.option(
    "--views",
    type=click.IntRange(2, MOST_VIEWS),
    help="Measure the memory of a view instead: of so many views against one.",
)
@BUNDLE
@ENGINE
@reported
def memory(
    minutes: float,
    limit_mb: float,
    views: int | None,
    folder: Path | None,
    engine: str,
    output: Output,
) -> None:
    """Run a long test pattern and measure memory; fail if it grows."""
    if views is not None:
        _publish_views(views, read_bundle(folder or demo_bundle_path()), engine, output)
        return
    bundle, seconds = read_bundle(folder or demo_bundle_path()), 60 * minutes
    with opened(bundle, [engine]) as [backend], progress("streaming", round(seconds)) as step:
        recognizer = Recognizer(backend, bundle.spec)
        gauge = memory_bench.measure_memory(recognizer, seconds, on_progress=step)
    table = memory_bench.memory_table(backend.name, gauge, limit_mb)
    settings = {"minutes": minutes, "limit_mb": limit_mb, "engine": backend.name}
    scope = Scope("no data set: a test pattern", 1, 1, "streams")
    results, figures = memory_bench.memory_json(gauge), _memory_figures(gauge)
    publish(Report("memory", [bundle], scope, settings, [table], results, figures), output)
    if gauge.growth_mb > limit_mb:
        raise EcoliteError(f"memory grew by {gauge.growth_mb:.1f} MB, more than {limit_mb:g} MB")


def _publish_views(views: int, bundle: Bundle, engine: str, output: Output) -> None:
    with opened(bundle, [engine]) as [backend]:
        cost = memory_bench.measure_views(backend, bundle.spec, views, VIEWS_S)
    table = memory_bench.views_table(backend.name, cost)
    settings = {"views": views, "engine": backend.name}
    scope = Scope("no data set: a test pattern", 1, 1, "streams")
    results = {**asdict(cost), "each_mb": round(cost.each_mb, 3)}
    publish(Report("memory", [bundle], scope, settings, [table], results, {}), output)


def _memory_figures(gauge: memory_bench.Gauge) -> dict[str, Chart]:
    points = [(reading.stream_s, reading.resident_mb) for reading in gauge.readings]
    if not points[-1][0]:  # a single frame spans no time
        return {}
    most = 1.1 * max(resident_mb for _, resident_mb in points)
    axes = Axis("stream time, s", points[-1][0]), Axis("MB", most)
    return {"resident.png": LineChart("Resident memory", *axes, [Series("process", points)])}
