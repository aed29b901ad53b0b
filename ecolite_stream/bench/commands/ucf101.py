"""`ecolite-bench ucf101`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ecolite_stream.bench import ucf101 as ucf101_bench
from ecolite_stream.bench.offline import CROPS, check_crops
from ecolite_stream.bench.shared import BUNDLE, ENGINE, PATH, opened, progress, publish
from ecolite_stream.bench.splits import SPLITS
from ecolite_stream.bundle import demo_bundle_path, read_bundle
from ecolite_stream.errors import SourceError


@click.command()
@click.option("--data", type=PATH, required=True, help="UCF101, or any <class>/<clip> folder.")
@click.option("--split", type=click.Choice(SPLITS), help="The official ones; all is every clip.")
@click.option("--split-files", type=PATH, help="Official lists. [DATA/ucf101_splits]")
@click.option("--split-by", metavar="REGEX", help="Group in <class>/<file>: its first (...).")
@click.option("--test-groups", default="", metavar="A,B", help="Groups of --split-by to test.")
@click.option("--crops", type=click.Choice(tuple(map(str, CROPS))), default="1", show_default=True)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Decoding threads."
)
@click.option("--limit", type=click.IntRange(1), help="At most so many videos, spread evenly.")
@click.option("--report", type=PATH, help="Folder for all results; goes on where it stopped.")
@click.option("--device", help="cpu, ascend, ascend:0, gpu:0. [the engine's own]")
@BUNDLE
@ENGINE
def ucf101(
    folder: Path | None,
    engine: str,
    device: str | None,
    crops: str,
    test_groups: str,
    **options: Any,
) -> None:
    """Recognize every video of a UCF101 split, as published; any other class folders too.

    Exit code 3 where a video is unreadable, missing or extra.
    """
    groups = tuple(filter(None, test_groups.split(",")))
    asked = ucf101_bench.Asked(crops=int(crops), test_groups=groups, **options)
    bundle = read_bundle(folder or demo_bundle_path())
    check_crops(asked.crops, bundle.spec.preprocessing)
    selection = ucf101_bench.select(asked, bundle.spec.labels)
    with (
        opened(bundle, [engine], device) as [backend],
        progress("recognizing", len(selection.clips)) as step,
    ):
        scores, pace = ucf101_bench.run_evaluation(
            asked, selection, bundle, backend, device, lambda: step(1)
        )
    report = ucf101_bench.make_report(asked, selection, bundle, backend, device, scores, pace)
    if asked.report:
        ucf101_bench.write_report(report, scores, asked.report)
    publish(report, None)
    click.echo(f"\n{scores.published_lines()}")
    if problems := ucf101_bench.problems(scores, selection):
        click.echo("\n".join(problems), err=True)
        raise SourceError(
            f"{len(problems)} problems with the videos of {asked.data}, listed above; "
            f"{len(scores.read)} of {scores.total} were evaluated"
        )
