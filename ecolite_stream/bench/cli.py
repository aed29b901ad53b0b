"""The command line `ecolite-bench`."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

from ecolite_stream import __version__
from ecolite_stream.bench import engines as engines_bench
from ecolite_stream.bench import memory as memory_bench
from ecolite_stream.bench.commands.calibrate import calibrate
from ecolite_stream.bench.commands.online import online
from ecolite_stream.bench.commands.speed import speed
from ecolite_stream.bench.commands.streams import streams
from ecolite_stream.bench.commands.ucf101 import ucf101
from ecolite_stream.bench.drawing.plots import Axis, Series, line_figure
from ecolite_stream.bench.report import Report, Scope
from ecolite_stream.bench.shared import (
    ABOVE_ZERO,
    BUNDLE,
    ENGINE,
    PRECISION,
    Output,
    opened,
    progress,
    publish,
    reported,
)
from ecolite_stream.bundle import (
    demo_bundle_path,
    read_bundle,
)
from ecolite_stream.commands import run
from ecolite_stream.engines import ENGINE_NAMES, installed_engines
from ecolite_stream.engines.check import TOLERANCES, check_apart
from ecolite_stream.errors import EcoliteError
from ecolite_stream.recognizer import Recognizer
from ecolite_stream.types import Image


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="ecolite-stream")
def bench() -> None:
    """Measure what a bundle is worth on this machine.

    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 a limit is exceeded,
    2 usage or configuration, 3 a clip or video, 4 bundle, 5 engine, 130 interrupted.
    """


for command in (calibrate, online, speed, streams, ucf101):
    bench.add_command(command)


@bench.command()
@BUNDLE
@click.option(
    "--engine",
    "asked",
    type=click.Choice(ENGINE_NAMES),
    multiple=True,
    help="Again for more. [all that are installed]",
)
@click.option("--device", help="cpu, ascend, ascend:0, gpu:0. [each engine's own]")
@PRECISION
@reported
def engines(
    folder: Path | None,
    asked: tuple[str, ...],
    device: str | None,
    precision: str | None,
    output: Output,
) -> None:
    """Check engines against the bundle's golden numbers; fails where one is off."""
    bundle = read_bundle(folder or demo_bundle_path())
    names = list(dict.fromkeys(asked)) or installed_engines()
    outcomes = []
    with progress("checking", len(names)) as step:
        for name in names:
            outcomes.append(check_apart(name, bundle, device, precision))
            step(1)
    report = Report(
        "engines",
        [bundle],
        engines_bench.engines_scope(outcomes),
        {"device": device, "precision": precision, "tolerance": TOLERANCES},
        [engines_bench.engines_table(outcomes)],
        engines_bench.engines_json(outcomes),
        engines_bench.engines_figures(outcomes),
    )
    publish(report, output)
    engines_bench.require_agreement(outcomes)


@bench.command()
@click.option("--minutes", type=ABOVE_ZERO, default=10, show_default=True, help="Of stream time.")
@click.option(
    "--limit-mb", type=ABOVE_ZERO, default=memory_bench.LIMIT_MB, show_default=True, help="Growth."
)
@BUNDLE
@ENGINE
@reported
def memory(
    minutes: float, limit_mb: float, folder: Path | None, engine: str, output: Output
) -> None:
    """Watch a long test pattern and see whether the process grows; fails where it does."""
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


def _memory_figures(gauge: memory_bench.Gauge) -> dict[str, Image]:
    points = [(reading.stream_s, reading.resident_mb) for reading in gauge.readings]
    if not points[-1][0]:  # a single frame: there is no time to draw
        return {}
    most = 1.1 * max(resident_mb for _, resident_mb in points)
    axes = Axis("stream time, s", points[-1][0]), Axis("MB", most)
    return {"resident.png": line_figure("Resident memory", *axes, [Series("process", points)])}


def main() -> NoReturn:
    """Entry point of `ecolite-bench`."""
    run(bench)


if __name__ == "__main__":
    main()
