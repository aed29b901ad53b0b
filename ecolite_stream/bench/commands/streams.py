"""`ecolite-bench streams`."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path

import click

from ecolite_stream.bench.report.charts import Bar, BarChart
from ecolite_stream.bench.report.report import Report, Scope, Table
from ecolite_stream.bench.shared import BUNDLE, ENGINE, PRECISION, Output, publish, reported
from ecolite_stream.bench.speed import streams as streams_bench
from ecolite_stream.config.schema import SHORTEST_EVERY_S
from ecolite_stream.engines import choose_engine
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle


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
@reported
def streams(
    folder: Path | None,
    engine: str,
    precision: str | None,
    seconds: float,
    most: int,
    every_s: float,
    output: Output,
) -> None:
    """Find how many cameras this machine sustains, in one process and in one process each."""
    bundle = read_bundle(folder or demo_bundle_path())
    choose_engine(engine, bundle, precision=precision)  # report it here, once
    with tempfile.TemporaryDirectory() as scratch:
        video = Path(scratch) / "camera.mp4"
        streams_bench.write_camera_video(video, seconds)
        load = streams_bench.Load(bundle.path, engine, video, seconds, every_s, precision)
        found = streams_bench.compare(load, most, _tell)
    rows = [
        (
            name,
            count,
            f"{outcome.latency_ms:.0f}",
            f"{outcome.late_s:.2f}",
            f"{1e3 * outcome.cpu_s / (seconds * len(outcome.labels)):.1f}",
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
        streams_bench.what_counts(most),
        "processor: time on all cores, of a process or all of them, for a second of one camera.",
    )
    title = f"Cameras, 320x240, 25 frames and {1 / every_s:.3g} labels a second"
    table = Table(title, columns, rows, notes)
    results = {name: {"cameras": n, **dataclasses.asdict(o)} for name, (n, o) in found.items()}
    bars = [Bar(name, count, str(count)) for name, count, *_ in rows]
    report = Report(
        "streams",
        [bundle],
        Scope("no data set: a drawn video", len(rows), len(rows), "arrangements"),
        {
            "seconds": seconds,
            "every_s": every_s,
            "most": most,
            "engine": engine,
            "precision": precision,
        },
        [table],
        results,
        {"cameras.png": BarChart("Cameras sustained, by number of processes", bars)},
    )
    publish(report, output)
