"""`ecolite-bench ucf101`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ecolite_stream.app.extras import require_extra
from ecolite_stream.archive.ray_workers import RayCrew
from ecolite_stream.archive.workers import Crew
from ecolite_stream.bench.accuracy import ucf101 as ucf101_bench
from ecolite_stream.bench.accuracy.checkpoint import exported
from ecolite_stream.bench.accuracy.offline import CROPS, check_crops
from ecolite_stream.bench.accuracy.on_workers import open_classifier
from ecolite_stream.bench.accuracy.scores import Scores
from ecolite_stream.bench.accuracy.splits import SPLITS, Selection
from ecolite_stream.bench.report.report import Report
from ecolite_stream.bench.shared import (
    BUNDLE,
    ENGINE,
    PATH,
    PRECISION,
    Output,
    closing_all,
    opened,
    progress,
    publish,
    reported,
)
from ecolite_stream.bench.speed.against import (
    TURNS,
    Against,
    check_against,
    measure_against,
    open_reference,
    video_files,
    with_against,
)
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, hash_file, read_bundle


@click.command()
@click.option("--data", type=PATH, required=True, help="UCF101, or any <class>/<clip> folder.")
@click.option(
    "--split", type=click.Choice(SPLITS), help="Official split; all evaluates every clip."
)
@click.option("--split-files", type=PATH, help="Official lists. [DATA/ucf101_splits]")
@click.option("--split-by", metavar="REGEX", help="Group in <class>/<file>: its first (...).")
@click.option("--test-groups", default="", metavar="A,B", help="Groups of --split-by to evaluate.")
@click.option("--crops", type=click.Choice(tuple(map(str, CROPS))), default="1", show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Decoding threads, or with --address workers. [2; one per core of the cluster]",
)
@click.option(
    "--address",
    metavar="auto|ray://HOST:PORT",
    help="Evaluate on a Ray cluster; data and bundle are at the same paths there.",
)
@click.option(
    "--limit", type=click.IntRange(1), help="Evaluate at most this many videos, spread evenly."
)
@click.option(
    "--against", metavar="LIBRARY", help="Also time a plain loop with this library: torch, ..."
)
@click.option("--against-clips", type=click.IntRange(1), default=10, show_default=True)
@click.option("--device", help="cpu, ascend, ascend:0, gpu:0. [engine default]")
@click.option("--checkpoint", type=PATH, help="Evaluate a .ckpt file in place of a bundle.")
@BUNDLE
@ENGINE
@PRECISION
@reported
def ucf101(
    folder: Path | None,
    checkpoint: Path | None,
    engine: str,
    device: str | None,
    precision: str | None,
    crops: str,
    test_groups: str,
    workers: int | None,
    output: Output,
    **options: Any,
) -> None:
    """Classify every video of a UCF101 split as published, or of any class folders.

    Repeat an interrupted command with the same --report to continue. Exit code 3 if a video is
    unreadable, missing or extra.
    """
    groups = tuple(filter(None, test_groups.split(",")))
    asked = ucf101_bench.Asked(
        crops=int(crops),
        test_groups=groups,
        report=output.folder,
        workers=workers or ucf101_bench.Asked.workers,
        **options,
    )
    if asked.address:
        require_extra("ucf101 --address", "ray", "fleet")
        if checkpoint:
            raise ConfigError(
                "--checkpoint and --address exclude each other; export the checkpoint, and name "
                "its --bundle"
            )
    if folder and checkpoint:
        raise ConfigError("--bundle and --checkpoint exclude each other; give one of them")
    if asked.against:
        check_against(asked.against)
    with ExitStack() as stack:
        if checkpoint:
            bundle, digest = stack.enter_context(exported(checkpoint)), hash_file(checkpoint)
        else:
            bundle, digest = read_bundle(folder or demo_bundle_path()), ""
        check_crops(asked.crops, bundle.spec.preprocessing)
        selection = ucf101_bench.select(asked, bundle.spec.labels)
        [backend] = stack.enter_context(opened(bundle, [engine], device, precision))
        model = ucf101_bench.Model(bundle, backend, device, checkpoint, digest, precision)
        crew = None
        if asked.address:
            crew = stack.enter_context(closing(_crew(asked, model, workers)))
        scores, report = _evaluated(asked, selection, model, crew)
    publish(report, output)
    click.echo(f"\n{scores.published_lines()}")
    _refuse_problems(asked, selection, scores)


def _crew(asked: ucf101_bench.Asked, model: ucf101_bench.Model, workers: int | None) -> RayCrew:
    engine = (model.engine.name, model.device, model.precision)
    open_job = open_classifier(model.bundle, *engine, asked.crops)
    return RayCrew(open_job, str(asked.address), workers)


def _evaluated(
    asked: ucf101_bench.Asked,
    selection: Selection,
    model: ucf101_bench.Model,
    crew: Crew | None,
) -> tuple[Scores, Report]:
    with progress("recognizing", len(selection.clips)) as step:
        scores, pace = ucf101_bench.run_evaluation(asked, selection, model, lambda: step(1), crew)
    against = _against(asked, selection.clips, scores, model.bundle, model.engine)
    if crew is not None:
        asked = replace(asked, workers=crew.workers)
    report = ucf101_bench.make_report(asked, selection, model, scores, pace)
    return scores, with_against(report, against) if against else report


def _refuse_problems(asked: ucf101_bench.Asked, selection: Selection, scores: Scores) -> None:
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
    """Run the reference last, so that it adds nothing to the memory of the evaluation."""
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
