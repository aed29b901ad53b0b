"""`ecolite-bench streams`."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ecolite_stream.bench.report.charts import Bar, BarChart
from ecolite_stream.bench.report.report import Report, Scope, Table
from ecolite_stream.bench.shared import BUNDLE, ENGINE, PRECISION, Output, publish, reported
from ecolite_stream.bench.speed import streams as streams_bench
from ecolite_stream.bench.speed.idle import (
    CAMERAS,
    IdleCost,
    idle_table,
    measure_idle,
    write_idle_video,
)
from ecolite_stream.config.schema import SHORTEST_EVERY_S
from ecolite_stream.engines import choose_engine
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle


def _tell(processes: str, cameras: int) -> None:
    """No bar: the number of trials depends on their results."""
    if sys.stderr.isatty():
        click.echo(f"processes: {processes}; trying {cameras} cameras", err=True)


@click.command()
@BUNDLE
@ENGINE
@PRECISION
@click.option("--seconds", type=click.FloatRange(3), default=8, show_default=True, help="A trial.")
@click.option("--most", type=click.IntRange(1), default=64, show_default=True, help="Cameras.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(SHORTEST_EVERY_S, 1),
    default=0.5,
    show_default=True,
    help="Seconds between the labels of a camera.",
)
@click.option(
    "--idle",
    is_flag=True,
    help="Measure cameras that show nothing, with the gate on and off, in place of the search: 18 "
    "of 20, or of --most where that is less.",
)
@reported
def streams(
    folder: Path | None,
    engine: str,
    precision: str | None,
    seconds: float,
    most: int,
    every_s: float,
    idle: bool,
    output: Output,
) -> None:
    """Find how many cameras this machine sustains, in one process and in one process each."""
    bundle = read_bundle(folder or demo_bundle_path())
    choose_engine(engine, bundle, precision=precision)  # report it here, once
    if idle and (most < 2 or bundle.spec.idle_label is None):
        raise click.UsageError(
            "--idle needs --most 2 or more, and a bundle with a label idle: without one the gate "
            "never acts"
        )
    settings = {
        "seconds": seconds,
        "every_s": every_s,
        "most": most,
        "engine": engine,
        "precision": precision,
    }
    with tempfile.TemporaryDirectory() as scratch:
        video = Path(scratch) / "camera.mp4"
        streams_bench.write_camera_video(video, seconds)
        load = streams_bench.Load(bundle.path, engine, video, seconds, every_s, precision)
        if idle:
            idle_video = Path(scratch) / "idle.mp4"
            write_idle_video(idle_video, seconds)
            load = dataclasses.replace(load, idle_video=idle_video)
            costs = measure_idle(load, min(most, CAMERAS), on_trial=_tell)
            publish(_idle_report(bundle, costs, load, settings), output)
            return
        found = streams_bench.compare(load, most, _tell)
    publish(_report(bundle, found, load, settings), output)


def _idle_report(
    bundle: Bundle,
    costs: Sequence[IdleCost],
    load: streams_bench.Load,
    settings: dict[str, Any],
) -> Report:
    return Report(
        "streams",
        [bundle],
        Scope("no data set: drawn videos", len(costs), len(costs), "settings of the gate"),
        {**settings, "idle": True},
        [idle_table(costs, load)],
        {"idle": [cost.to_json() for cost in costs]},
        {},
    )


def _report(
    bundle: Bundle,
    found: dict[str, tuple[int, streams_bench.Outcome]],
    load: streams_bench.Load,
    settings: dict[str, Any],
) -> Report:
    rows = [
        (
            name,
            count,
            f"{outcome.latency_ms:.0f}",
            f"{outcome.late_s:.2f}",
            f"{1e3 * outcome.cpu_s / (load.video_s * len(outcome.labels)):.1f}",
            "-" if outcome.peak_mb is None else f"{outcome.peak_mb:.0f}",
        )
        for name, (count, outcome) in found.items()
    ]
    columns = (
        "processes",
        "cameras sustained",
        "latency p95 ms",
        "late s",
        "processor ms/s, a camera",
        "peak resident MB, in all",
    )
    notes = (
        streams_bench.what_counts(settings["most"]),
        "processor: time on all cores, of a process or all of them, for a second of one camera.",
    )
    title = f"Cameras, 320x240, 25 frames and {1 / load.every_s:.3g} labels a second"
    table = Table(title, columns, rows, notes)
    results = {name: {"cameras": n, **dataclasses.asdict(o)} for name, (n, o) in found.items()}
    bars = [Bar(name, count, str(count)) for name, count, *_ in rows]
    return Report(
        "streams",
        [bundle],
        Scope("no data set: a drawn video", len(rows), len(rows), "arrangements"),
        settings,
        [table],
        results,
        {"cameras.png": BarChart("Cameras sustained, by number of processes", bars)},
    )
