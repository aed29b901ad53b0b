"""`ecolite-bench calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ecolite_stream.bench.accuracy import calibrate as calibrate_bench
from ecolite_stream.bench.accuracy import online as online_bench
from ecolite_stream.bench.accuracy import samples
from ecolite_stream.bench.accuracy.calibrate_report import calibration_figures, calibration_tables
from ecolite_stream.bench.accuracy.redescribe import redescribe
from ecolite_stream.bench.report.report import Report, Scope
from ecolite_stream.bench.shared import ENGINE, PATH, Output, opened, progress, publish, reported
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import BundleError, SourceError
from ecolite_stream.model.bundle import Bundle, read_bundle
from ecolite_stream.model.known import FEWEST_RIGHT


@click.command()
@click.option("--data", type=PATH, required=True, help="Held-out clips: <class>/<clip>.")
@click.option("--only", default="", help="Only clips whose <class>/<clip> contains this text.")
@click.option("--bundle", "folder", type=PATH, required=True, help="Model folder.")
@click.option("--out", type=PATH, help="Folder for a calibrated copy. [the bundle itself changes]")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=calibrate_bench.SHARE,
    show_default=True,
    help="Share of right labels at each threshold.",
)
@ENGINE
@reported
def calibrate(
    data: Path,
    only: str,
    folder: Path,
    out: Path | None,
    share: float,
    engine: str,
    output: Output,
) -> None:
    """Fit temperature, thresholds and the bound of what is known to held-out clips.

    They are written into the bundle. The bound gives up at most 3 % of the right predictions; with
    too few of them there is none.

    Nothing is written if a clip cannot be read.
    """
    bundle = read_bundle(folder)
    if out and out.exists():
        raise BundleError(f"{out} exists; name a new folder for the copy")
    spec = bundle.spec
    clips = online_bench.find_clips(data, spec.labels, only)
    with opened(bundle, [engine]) as [backend], progress("streaming", len(clips)) as step:
        collected = samples.collect(clips, backend, spec, StreamConfig(), lambda: step(1))
    _refuse_gaps(collected, len(clips))
    fitted = calibrate_bench.calibrate(collected.samples, spec, share, collected.half_full)
    counts = {"predictions": len(collected.samples.right), "clips": collected.clips}
    settings = {"data": str(data), "only": only, "engine": backend.name, "share": share}
    publish(_report(bundle, collected, fitted, settings, counts), output)
    if fitted.energy_bound is None:
        click.echo(
            f"no bound of what is known: fewer than {FEWEST_RIGHT} predictions are right; name more"
            " clips",
            err=True,
        )
    written = redescribe(bundle, fitted.applied(spec, counts), out)
    click.echo(f"wrote {written.path}, digest {written.digest[:12]}", err=True)


def _report(
    bundle: Bundle,
    collected: samples.Collected,
    fitted: calibrate_bench.Calibration,
    settings: dict[str, Any],
    counts: dict[str, int],
) -> Report:
    found = (collected, fitted, bundle.spec)
    content = {
        **fitted.to_json(),
        **counts,
        "thresholds": dict(fitted.thresholds),
        "too_short": list(collected.too_short),
    }
    return Report(
        "calibrate",
        [bundle],
        Scope(
            online_bench.split_of(settings["data"], settings["only"]),
            collected.clips,
            collected.clips + len(collected.too_short),
            "clips",
        ),
        settings,
        calibration_tables(*found),
        content,
        calibration_figures(*found),
    )


def _refuse_gaps(collected: samples.Collected, num_clips: int) -> None:
    for name in collected.too_short:
        click.echo(f"too short to fill the memory: {name}", err=True)
    for name, reason in collected.unreadable.items():
        click.echo(f"unreadable: {name}: {reason}", err=True)
    if collected.unreadable:
        raise SourceError(
            f"{len(collected.unreadable)} of {num_clips} clips cannot be read; nothing was written"
        )
