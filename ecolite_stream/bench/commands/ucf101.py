"""`ecolite-bench ucf101`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ecolite_stream.bench import ucf101 as ucf101_bench
from ecolite_stream.bench.against import (
    TURNS,
    Against,
    check_against,
    measure_against,
    open_reference,
    video_files,
    with_against,
)
from ecolite_stream.bench.offline import CROPS, check_crops
from ecolite_stream.bench.scores import Scores
from ecolite_stream.bench.shared import (
    BUNDLE,
    ENGINE,
    PATH,
    closing_all,
    opened,
    progress,
    publish,
)
from ecolite_stream.bench.splits import SPLITS
from ecolite_stream.bundle import Bundle, demo_bundle_path, read_bundle
from ecolite_stream.clips import ClipFile
from ecolite_stream.engines import Engine
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
@click.option("--against", metavar="LIBRARY", help="Also time a plain loop with it: torch, ...")
@click.option("--against-clips", type=click.IntRange(1), default=10, show_default=True)
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
    if asked.against:
        check_against(asked.against)
    check_crops(asked.crops, bundle.spec.preprocessing)
    selection = ucf101_bench.select(asked, bundle.spec.labels)
    with (
        opened(bundle, [engine], device) as [backend],
        progress("recognizing", len(selection.clips)) as step,
    ):
        scores, pace = ucf101_bench.run_evaluation(
            asked, selection, bundle, backend, device, lambda: step(1)
        )
        against = _against(asked, selection.clips, scores, bundle, backend)
    report = ucf101_bench.make_report(asked, selection, bundle, backend, device, scores, pace)
    if against:
        report = with_against(report, against)
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


def _against(
    asked: ucf101_bench.Asked,
    clips: Sequence[ClipFile],
    scores: Scores,
    bundle: Bundle,
    engine: Engine,
) -> Against | None:
    """Last, so that the reference has no part in the memory of the evaluation."""
    if not asked.against:
        return None
    chosen = video_files(clips, scores.outcomes, asked.against_clips)
    reference = open_reference(asked.against, bundle)
    doing = f"against {asked.against}"
    with closing_all([reference]), progress(doing, 2 * TURNS) as step:
        return measure_against(
            chosen,
            (engine, reference),
            bundle.spec,
            asked.workers,
            on_turn=lambda: step(1),
        )
