"""Teach new actions to a bundle: fit its last layer, or train all its layers.

python -m trainer.teach DIR --bundle BUNDLE --out BUNDLE2
python -m trainer.teach DIR --bundle BUNDLE --out BUNDLE2 --thorough

DIR holds `<action>/<clip>`, or long videos with their marks beside them: `evening.mp4` and
`evening.csv` (start_s,end_s,label), `.eaf` (ELAN) or `.json` (Label Studio). Before the new bundle
is written, clips are held out and judged, group by group. It needs the package `onnx`: pip install
'ecolite-stream[teach]'. --thorough needs MindSpore, too: pip install 'ecolite-stream[teach,train]'.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ecolite_stream.app.entry import run
from ecolite_stream.app.extras import require_extra
from ecolite_stream.archive.ray_workers import RayCrew
from ecolite_stream.archive.workers import ProcessCrew
from ecolite_stream.bench.shared import ENGINE
from ecolite_stream.config.printable import printable
from ecolite_stream.datasets.collected import read_collected
from ecolite_stream.datasets.labelled_clips import require_folder
from ecolite_stream.datasets.marked import SegmentFile
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from ecolite_stream.model.preprocess import FRAMINGS
from trainer.exporting.folders import require_replaceable, why_not_writable
from trainer.teaching.bundle import SHARE, engines_for
from trainer.teaching.clips import find_taught, no_progress
from trainer.teaching.curve import Curve, find_curve
from trainer.teaching.held_out import PENALTY
from trainer.teaching.on_workers import Hire
from trainer.teaching.report import Findings
from trainer.teaching.run import Teaching, conclude, hold_out, write
from trainer.teaching.thorough import (
    SETTINGS,
    WORK,
    Thorough,
    judge_trained,
    require_weights,
    without_faults,
    write_trained,
)
from trainer.weights.files import write_whole

PATH = click.Path(path_type=Path)
ALONE = (
    "warning: each clip is held out alone; clips of one person, place or recording make the score "
    "too good: name them with --groups or --group-pattern"
)


@click.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--bundle", "bundle_folder", type=PATH, help="Teach this bundle. [the embedded one]")
@click.option("--out", type=PATH, help="Write the taught bundle here. [only say how good it is]")
@click.option("--against", type=PATH, help="Compare with this bundle, which runs now. [--bundle]")
@click.option("--groups", type=PATH, help="Read groups from a CSV table: <action>/<clip>,group.")
@click.option("--group-pattern", default="", help="Group by the first group of this pattern.")
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Hold out in so many turns. [a group each; with --thorough one fifth once]",
)
@click.option(
    "--thorough", is_flag=True, help="Train all layers; takes longer and needs MindSpore."
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help=f"Epochs of each thorough training. [{SETTINGS['epochs']}]",
)
@click.option("--work", type=PATH, help=f"Keep thorough trainings here, to resume. [{WORK}]")
@click.option(
    "--framing",
    type=click.Choice(("auto", *FRAMINGS)),
    help="What the network sees; auto compares all by held-out clips. [the bundle's own]",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=SHARE,
    show_default=True,
    help="Set thresholds at which a label is right so often.",
)
@click.option(
    "--penalty",
    type=click.FloatRange(1e-6, 10),
    default=PENALTY,
    show_default=True,
    help="Shrink the last layer's weights so strongly; more for fewer clips.",
)
@click.option("--tier", help="Of ELAN files (.eaf) beside videos take this tier alone.")
@click.option("--curve", is_flag=True, help="Only measure how far 1, 2, 3, 5 and 10 clips get.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Compute features in so many processes, or with --address workers. [this process]",
)
@click.option(
    "--address", metavar="ADDRESS", help="Compute features on a Ray cluster: auto, ray://HOST:PORT."
)
@click.option("--progress", is_flag=True, help="Print a line for each clip and epoch on stderr.")
@click.option("--json", "json_file", type=PATH, help="Write the report to a JSON file, too.")
@ENGINE
def main(
    folder: Path,
    bundle_folder: Path | None,
    out: Path | None,
    against: Path | None,
    groups: Path | None,
    group_pattern: str,
    folds: int | None,
    thorough: bool,
    epochs: int | None,
    work: Path | None,
    framing: str | None,
    share: float,
    penalty: float,
    tier: str | None,
    curve: bool,
    workers: int | None,
    address: str | None,
    progress: bool,
    json_file: Path | None,
    engine: str,
) -> None:
    """Teach the actions in DIR to a bundle, and say how good it is before it runs."""
    if groups and group_pattern:
        raise click.UsageError("--groups and --group-pattern both group the clips; give one")
    if curve and (out or against or framing == "auto"):
        raise click.UsageError(
            "--curve only measures, with one framing; leave out --out, --against and --framing auto"
        )
    if not thorough and (epochs or work):
        raise click.UsageError("--epochs and --work are of --thorough; give that, too")
    if thorough:
        require_extra("trainer.teach --thorough", "mindspore", "train")
    require_folder(folder)
    if out is not None:
        require_replaceable(out)
    if json_file is not None and (reason := why_not_writable(json_file.resolve().parent)):
        raise ConfigError(f"--json {json_file} cannot be written: {reason}")
    bundle = read_bundle(bundle_folder or demo_bundle_path())
    now = bundle if against is None else read_bundle(against)
    deep = None
    if thorough:
        require_weights(bundle)
        on_epoch = _print_epochs if progress else _no_epochs
        deep = Thorough(folder, work or WORK, epochs or SETTINGS["epochs"], _say, on_epoch)
    on_clip = _print_progress if progress else no_progress
    files = find_taught(folder, tier)
    recorded = {name: row.group for name, row in read_collected(folder).items() if row.group}
    recorded |= {one.name: one.recording for one in files if isinstance(one, SegmentFile)}
    hire = _hire(workers, address)
    how = Teaching(
        *(groups, group_pattern, recorded, folds, framing, share, penalty, engine), hire=hire
    )
    if not (groups or group_pattern or recorded):
        click.echo(ALONE, err=True)
    if deep is not None:
        how, files = replace(how, once=folds is None), without_faults(files)
    if curve:
        _report(find_curve(files, bundle, how, on_clip, deep), json_file)
        return
    findings, seen_now = hold_out(files, bundle, now, how, on_clip)
    trainings = None
    if deep is not None:
        turns = len(findings.grouping.folds)
        trainings = deep.trainings(bundle, findings.chosen, turns, int(out is not None))
        findings = judge_trained(findings, files, trainings, engine)
    findings = conclude(findings, seen_now, bundle, now, share)
    _report(findings, json_file)
    if out is not None:
        if trainings is None:
            written = write(findings, bundle, penalty, out)
        else:
            written = write_trained(findings, files, bundle, trainings, out)
        engines = ", ".join(engines_for(written))
        click.echo(f"wrote {out}, digest {written.digest[:12]}, agrees on {engines}", err=True)
    click.echo(f"{sum(os.times()[:4]):.0f} s of processor time", err=True)


def _hire(workers: int | None, address: str | None) -> Hire | None:
    """How workers are hired, where some are asked for."""
    if address is not None:
        require_extra("trainer.teach --address", "ray", "fleet")
        return lambda open_job: contextlib.closing(RayCrew(open_job, address, workers))
    if workers is None:
        return None
    return lambda open_job: contextlib.closing(ProcessCrew(open_job, workers))


def _report(found: Findings | Curve, json_file: Path | None) -> None:
    click.echo("\n".join(map(printable, found.lines())))
    if json_file is not None:
        _write_json(json_file, found.to_json())


def _print_progress(done: int, total: int) -> None:
    click.echo(f"progress: {done}/{total}", err=True)


def _print_epochs(done: int, total: int, left_s: float | None) -> None:
    left = "" if left_s is None else f", {left_s:.0f} s left"
    click.echo(f"progress: {done}/{total} epochs{left}", err=True)


def _no_epochs(done: int, total: int, left_s: float | None) -> None:
    """Print nothing."""


def _say(line: str) -> None:
    click.echo(printable(line), err=True)


def _write_json(path: Path, facts: dict[str, Any]) -> None:
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    try:
        write_whole(path, lambda part: _write_text(part, text))
    except OSError as error:
        raise ConfigError(f"--json {path} cannot be written: {error.strerror}") from error


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    run(main)
