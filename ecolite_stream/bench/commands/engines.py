"""`ecolite-bench engines`."""

from __future__ import annotations

from pathlib import Path

import click

from ecolite_stream.bench.report.report import Report
from ecolite_stream.bench.shared import (
    BUNDLE,
    PRECISION,
    Output,
    progress,
    publish,
    reported,
)
from ecolite_stream.bench.speed import engines as engines_bench
from ecolite_stream.engines import ENGINE_NAMES, installed_engines
from ecolite_stream.engines.check import TOLERANCES, check_apart
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle


@click.command()
@BUNDLE
@click.option(
    "--engine",
    "asked",
    type=click.Choice(ENGINE_NAMES),
    multiple=True,
    help="Engine; repeat for more. [all installed]",
)
@click.option("--device", help="Compute on cpu, ascend:0, gpu:0, cuda:0, ... [engine default]")
@PRECISION
@reported
def engines(
    folder: Path | None,
    asked: tuple[str, ...],
    device: str | None,
    precision: str | None,
    output: Output,
) -> None:
    """Check engines against the bundle's golden numbers; fail if one is off."""
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
