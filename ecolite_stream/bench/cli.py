"""The command line `ecolite-bench`."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

from ecolite_stream import __version__
from ecolite_stream.bench import calibrate as calibrate_bench
from ecolite_stream.bench import engines as engines_bench
from ecolite_stream.bench import memory as memory_bench
from ecolite_stream.bench import online as online_bench
from ecolite_stream.bench.commands.online import online
from ecolite_stream.bench.commands.speed import speed
from ecolite_stream.bench.commands.streams import streams
from ecolite_stream.bench.commands.ucf101 import ucf101
from ecolite_stream.bench.redescribe import redescribe
from ecolite_stream.bench.report import Report
from ecolite_stream.bench.shared import (
    ABOVE_ZERO,
    BUNDLE,
    ENGINE,
    JSON,
    PATH,
    opened,
    progress,
    publish,
)
from ecolite_stream.bundle import (
    demo_bundle_path,
    read_bundle,
)
from ecolite_stream.commands import run
from ecolite_stream.config import StreamConfig
from ecolite_stream.engines import installed_engines
from ecolite_stream.engines.check import TOLERANCES, check_apart
from ecolite_stream.errors import BundleError, EcoliteError, SourceError
from ecolite_stream.recognizer import Recognizer


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="ecolite-stream")
def bench() -> None:
    """Measure what a bundle is worth on this machine.

    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 a limit is exceeded,
    2 usage or configuration, 3 a clip or video, 4 bundle, 5 engine, 130 interrupted.
    """


for command in (online, speed, streams, ucf101):
    bench.add_command(command)


@bench.command()
@BUNDLE
@click.option("--device", help="cpu, ascend, ascend:0, gpu:0. [each engine's own]")
@JSON
def engines(folder: Path | None, device: str | None, json_file: Path | None) -> None:
    """Check every installed engine against the bundle's golden numbers; fails where one is off."""
    bundle, names = read_bundle(folder or demo_bundle_path()), installed_engines()
    outcomes = []
    with progress("checking", len(names)) as step:
        for name in names:
            outcomes.append(check_apart(name, bundle, device))
            step(1)
    settings = {"device": device, "tolerance": TOLERANCES}
    table, results = engines_bench.engines_table(outcomes), engines_bench.engines_json(outcomes)
    publish(Report("engines", [bundle], settings, [table], results), json_file)
    engines_bench.require_agreement(outcomes)


@bench.command()
@click.option("--minutes", type=ABOVE_ZERO, default=10, show_default=True, help="Of stream time.")
@click.option(
    "--limit-mb", type=ABOVE_ZERO, default=memory_bench.LIMIT_MB, show_default=True, help="Growth."
)
@BUNDLE
@ENGINE
@JSON
def memory(
    minutes: float, limit_mb: float, folder: Path | None, engine: str, json_file: Path | None
) -> None:
    """Watch a long test pattern and see whether the process grows; fails where it does."""
    bundle, seconds = read_bundle(folder or demo_bundle_path()), 60 * minutes
    with opened(bundle, [engine]) as [backend], progress("streaming", round(seconds)) as step:
        recognizer = Recognizer(backend, bundle.spec)
        gauge = memory_bench.measure_memory(recognizer, seconds, on_progress=step)
    table = memory_bench.memory_table(backend.name, gauge, limit_mb)
    settings = {"minutes": minutes, "limit_mb": limit_mb, "engine": backend.name}
    results = memory_bench.memory_json(gauge)
    publish(Report("memory", [bundle], settings, [table], results), json_file)
    if gauge.growth_mb > limit_mb:
        raise EcoliteError(f"memory grew by {gauge.growth_mb:.1f} MB, more than {limit_mb:g} MB")


@bench.command()
@click.option("--data", type=PATH, required=True, help="Held-out clips: <class>/<clip>.")
@click.option("--only", default="", help="Only clips whose <class>/<clip> contains this text.")
@click.option("--bundle", "folder", type=PATH, required=True, help="Model folder.")
@click.option("--out", type=PATH, help="Folder for a calibrated copy. [the bundle itself changes]")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=calibrate_bench.SHARE,
    show_default=True,
    help="How often a label is to be right at its threshold.",
)
@ENGINE
@JSON
def calibrate(
    data: Path,
    only: str,
    folder: Path,
    out: Path | None,
    share: float,
    engine: str,
    json_file: Path | None,
) -> None:
    """Fit temperature and thresholds to held-out clips, and write them into the bundle.

    Nothing is written where a clip cannot be read.
    """
    bundle = read_bundle(folder)
    if out and out.exists():
        raise BundleError(f"{out} exists already; name a new folder for the copy")
    spec = bundle.spec
    clips = online_bench.find_clips(data, spec.labels, only)
    with opened(bundle, [engine]) as [backend], progress("streaming", len(clips)) as step:
        collected = calibrate_bench.collect(clips, backend, spec, StreamConfig(), lambda: step(1))
    _refuse_gaps(collected, len(clips))
    fitted = calibrate_bench.calibrate(collected.samples, spec, share)
    counts = {"predictions": len(collected.samples.right), "clips": collected.clips}
    settings = {"data": str(data), "only": only, "engine": backend.name, "share": share}
    content = {
        **fitted.to_json(),
        **counts,
        "thresholds": dict(fitted.thresholds),
        "too_short": list(collected.too_short),
    }
    tables = calibrate_bench.calibration_tables(collected, fitted, spec)
    publish(Report("calibrate", [bundle], settings, tables, content), json_file)
    written = redescribe(bundle, fitted.applied(spec, counts), out)
    click.echo(f"wrote {written.path}, digest {written.digest[:12]}", err=True)


def _refuse_gaps(collected: calibrate_bench.Collected, num_clips: int) -> None:
    for name in collected.too_short:
        click.echo(f"too short to fill the memory: {name}", err=True)
    for name, reason in collected.unreadable.items():
        click.echo(f"unreadable: {name}: {reason}", err=True)
    if collected.unreadable:
        raise SourceError(
            f"{len(collected.unreadable)} of {num_clips} clips cannot be read; nothing was written"
        )


def main() -> NoReturn:
    """Entry point of `ecolite-bench`."""
    run(bench)


if __name__ == "__main__":
    main()
