"""`ecolite-bench ucf101`: classify every video of a split as published."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecolite_stream.archive.workers import Crew
from ecolite_stream.bench.accuracy.offline import Outcome, Pace, evaluate
from ecolite_stream.bench.accuracy.on_workers import evaluate_on
from ecolite_stream.bench.accuracy.published import published_for
from ecolite_stream.bench.accuracy.results import Results
from ecolite_stream.bench.accuracy.score_report import score_figures, score_tables
from ecolite_stream.bench.accuracy.scores import Scores
from ecolite_stream.bench.accuracy.splits import (
    Selection,
    find_lists,
    find_videos,
    select_by_groups,
    select_by_lists,
    select_by_pattern,
)
from ecolite_stream.bench.report.report import Report, Scope
from ecolite_stream.datasets.checked_clips import faults_of
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle

PROTOCOL = "N frames at floor(F/N/2 + i*F/N), softmax of the mean logits over the crops"


@dataclass(frozen=True)
class Asked:
    """Options of `ecolite-bench ucf101`.

    Attributes:
        data: folder of the data set.
        split: 1, 2, 3, all, or None with `split_by`.
        split_files: folder of official lists.
        split_by: regular expression on `<class>/<file>`.
        test_groups: values of its first group to test.
        crops: 1 or 10.
        workers: threads that decode, or, in a report, workers of the cluster.
        address: of the Ray cluster that evaluates; None evaluates in this process.
        limit: most videos.
        report: folder for the results.
        against: reference library that also classifies some clips.
        against_clips: most clips for it.
    """

    data: Path
    split: str | None = None
    split_files: Path | None = None
    split_by: str | None = None
    test_groups: tuple[str, ...] = ()
    crops: int = 1
    workers: int = 2
    address: str | None = None
    limit: int | None = None
    report: Path | None = None
    against: str | None = None
    against_clips: int = 10

    def __post_init__(self) -> None:
        if (self.split_by is None) != (not self.test_groups):
            raise ConfigError("--split-by and --test-groups go together; one of them is missing")
        if (self.split is None) == (self.split_by is None):
            raise ConfigError("name one of --split 1|2|3|all and --split-by REGEX")
        if self.split_by is not None and self.split_files is not None:
            raise ConfigError("--split-files belongs to --split, not to --split-by")


def select(asked: Asked, labels: tuple[str, ...]) -> Selection:
    """The clips to evaluate.

    Raises:
        ConfigError: there are none, the split is unknown, or a class is not in `labels`.
    """
    clips = find_videos(asked.data)
    if asked.split_by is not None:
        selection = select_by_pattern(clips, asked.split_by, asked.test_groups)
    elif lists := find_lists(asked.data, asked.split_files):
        selection = select_by_lists(clips, lists, str(asked.split))
    else:
        selection = select_by_groups(clips, str(asked.split))
    if not selection.clips:
        raise ConfigError(
            f"{asked.data} has {len(clips)} clips, none of which is in {selection.note}"
        )
    if unknown := sorted({clip.label for clip in selection.clips} - set(labels)):
        raise ConfigError(
            f"the bundle has no label {', '.join(unknown)}; name a --bundle that was trained on "
            f"the classes of {asked.data}; its labels: {', '.join(labels)}"
        )
    return selection.limited(asked.limit)


@dataclass(frozen=True)
class Model:
    """The model under evaluation.

    Attributes:
        bundle: has the labels.
        engine: of the bundle.
        device: as requested.
        checkpoint: the file that the bundle was made from, if any.
        digest: SHA-256 of that checkpoint; empty without one.
        precision: as requested.
    """

    bundle: Bundle
    engine: Engine
    device: str | None = None
    checkpoint: Path | None = None
    digest: str = ""
    precision: str | None = None


def run_evaluation(
    asked: Asked,
    selection: Selection,
    model: Model,
    on_clip: Callable[[], None] = lambda: None,
    crew: Crew | None = None,
) -> tuple[Scores, Pace]:
    """Evaluate a selection, without what an earlier run has written to the report folder.

    Folders of frames are checked first, every picture of them; videos are decoded whole anyway.

    Args:
        asked: crops, workers and the report folder.
        selection: clips.
        model: to evaluate.
        on_clip: called after each clip, kept ones too.
        crew: hires workers that open a `ClipClassifier`; None evaluates in this process.

    Raises:
        ConfigError: the report folder has results of something else, or cannot be written.
        EngineError: the engine failed.
    """
    pace = Pace()
    with ExitStack() as stack:
        results = None
        if asked.report is not None:
            results = stack.enter_context(Results(asked.report, results_key(asked, model)))
        known = dict(results.known) if results else {}
        todo = [clip for clip in selection.clips if clip.name not in known]
        for _ in range(len(selection.clips) - len(todo)):
            on_clip()
        faults = faults_of([clip.path for clip in todo if clip.path.is_dir()], asked.workers)
        whole = [clip for clip in todo if clip.path not in faults]
        spec = model.bundle.spec
        unreadable = [
            Outcome(clip.name, clip.label, error=faults[clip.path])
            for clip in todo
            if clip.path in faults
        ]

        def keep(outcome: Outcome) -> None:
            known[outcome.clip] = outcome
            if results:
                results.add(outcome)
            on_clip()

        for outcome in unreadable:
            keep(outcome)
        if crew is not None:
            evaluate_on(crew, whole, keep, pace)
        else:
            for outcome in evaluate(whole, model.engine, spec, asked.crops, asked.workers, pace):
                keep(outcome)
        if results:
            results.finish()
    outcomes: list[Outcome] = [known[clip.name] for clip in selection.clips]
    return Scores(outcomes, selection.missing, selection.unnamed), pace


def results_key(asked: Asked, model: Model) -> dict[str, Any]:
    """Key of results that can be combined; plain containers."""
    return {
        "bundle": model.digest or model.bundle.digest,
        "crops": asked.crops,
        "protocol": PROTOCOL,
        "engine": model.engine.name,
        "device": model.device,
        **({"precision": model.precision} if model.precision else {}),
        "data": str(asked.data.resolve()),
    }


def make_report(
    asked: Asked, selection: Selection, model: Model, scores: Scores, pace: Pace
) -> Report:
    """The report."""
    spec = model.bundle.spec
    return Report(
        "ucf101",
        [model.bundle],
        Scope(selection.note, len(scores.read), selection.of, "videos", asked.crops),
        _settings(asked, model),
        score_tables(scores, selection, spec, pace),
        {
            **scores.to_json(),
            "of_split": selection.of,
            "missing": list(selection.missing),
            "missing_unnamed": selection.unnamed,
            "extra": list(selection.extra),
            "speed": pace.to_json(),
            "published": [vars(other) for other in published_for(spec)],
        },
        score_figures(scores),
    )


def _settings(asked: Asked, model: Model) -> dict[str, Any]:
    made_from = {}
    if model.checkpoint is not None:
        made_from = {"checkpoint": f"{model.checkpoint}, SHA-256 {model.digest}"}
    return {
        "data": str(asked.data),
        **made_from,
        "limit": asked.limit,
        "engine": model.engine.name,
        "device": model.device,
        "precision": model.precision,
        "workers": asked.workers,
        **({"address": asked.address} if asked.address else {}),
        "protocol": PROTOCOL,
    }


def problems(scores: Scores, selection: Selection) -> list[str]:
    """A line for each video that is unreadable, missing or extra."""
    lines = [f"unreadable: {outcome.clip}: {outcome.error}" for outcome in scores.unreadable]
    lines += [f"missing: {name}" for name in selection.missing]
    if selection.unnamed:
        lines.append(f"missing: {selection.unnamed} more, by the published count")
    return lines + [f"extra: {name}" for name in selection.extra]
