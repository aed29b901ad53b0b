"""One teaching: features, held-out clips, the last layer, the bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ecolite_stream.config.printable import printable
from ecolite_stream.config.strict import check_above_zero, check_between
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.model.bundle import Bundle, ModelSpec
from ecolite_stream.model.preprocess import FRAMINGS
from trainer.teaching.bundle import SHARE, fit_calibration, taught_spec, write_taught
from trainer.teaching.clips import TaughtClip, load_features, no_progress
from trainer.teaching.groups import Grouping, group_by, hold_out_once
from trainer.teaching.head_graph import read_classifier
from trainer.teaching.held_out import (
    PENALTY,
    HeldOut,
    choose_framing,
    judge,
    judge_as_it_is,
    teach,
)
from trainer.teaching.on_workers import Hire
from trainer.teaching.report import Comparison, Findings


@dataclass(frozen=True)
class Teaching:
    """The options of a teaching.

    Attributes:
        groups: CSV table of `<action>/<clip>` and group; None is none.
        group_pattern: in place of it, a regular expression whose first group counts.
        recorded: without both, clip -> source and day, as `ecolite-stream collect` notes them.
        folds: turns in which clips are held out; None is one a group.
        framing: one of `FRAMINGS`, `auto`, or None for the bundle's own.
        share: how often a label is right at its threshold, above 0 to 1.
        penalty: of the squared weights.
        engine: what computes features: `auto` or the name of one.
        once: without `folds`, hold out one part alone, about one clip in five.
        hire: opens a crew whose workers compute features; None computes them here.
    """

    groups: Path | None = None
    group_pattern: str = ""
    recorded: Mapping[str, str] = field(default_factory=dict)
    folds: int | None = None
    framing: str | None = None
    share: float = SHARE
    penalty: float = PENALTY
    engine: str = "auto"
    once: bool = False
    hire: Hire | None = None

    def __post_init__(self) -> None:
        check_between("share", self.share, 0, 1)
        check_above_zero("share", self.share)
        check_above_zero("penalty", self.penalty)

    def framings(self, bundle: Bundle) -> tuple[str, ...]:
        """Those to compare."""
        if self.framing == "auto":
            return FRAMINGS
        return (self.framing or bundle.spec.preprocessing.framing,)


def hold_out(
    files: dict[ClipFile, str],
    bundle: Bundle,
    now: Bundle,
    how: Teaching,
    on_clip: Callable[[int, int], None] = no_progress,
) -> tuple[Findings, list[TaughtClip]]:
    """Judge clips that are held out in turn, the quick way.

    Args:
        files: clips with the hashes of their bytes.
        bundle: to teach.
        now: the bundle that runs now, to compare with.
        how: the settings.
        on_clip: called after each clip with how many are done, and of how many.

    Returns:
        What was found, without comparison and calibration, and the clips with features of `now`.

    Raises:
        ConfigError: there are too few actions or groups.
        BundleError: the bundle cannot be taught.
        EngineError: the engine failed.
    """
    framings, own = how.framings(bundle), bundle.spec.preprocessing.framing
    wanted = tuple(dict.fromkeys((*framings, own)) if now is bundle else framings)
    clips = load_features(files, bundle, wanted, how.engine, on_clip=on_clip, hire=how.hire)
    labels = sorted({clip.label for clip in clips})
    grouping = group_taught(files, clips, how)
    judged = {one: judge(clips, grouping.folds, labels, one, how.penalty) for one in framings}
    seen_now = clips
    if now is not bundle:
        framing = now.spec.preprocessing.framing
        seen_now = load_features(files, now, (framing,), how.engine, on_clip=on_clip, hire=how.hire)
    return Findings(clips, grouping, judged, choose_framing(judged, own), own), seen_now


def conclude(
    findings: Findings,
    seen_now: Sequence[TaughtClip],
    bundle: Bundle,
    now: Bundle,
    share: float = SHARE,
) -> Findings:
    """What was found, compared with the bundle that runs now, and calibrated.

    Args:
        findings: of `hold_out`.
        seen_now: the clips with features of `now`.
        bundle: that was taught.
        now: the bundle that runs now.
        share: how often a label is right at its threshold.
    """
    held_out = findings.held_out
    draft = taught_spec(bundle, held_out.labels, findings.chosen, {})
    compared, fitted = compare(seen_now, held_out, now), fit_calibration(draft, held_out, share)
    return replace(findings, comparison=compared, calibration=fitted)


def write(findings: Findings, bundle: Bundle, penalty: float, folder: Path) -> Bundle:
    """Fit the last layer to all clips and write the bundle, its held-out scores with it.

    Raises:
        BundleError: the folder cannot be written.
        EngineError: an engine disagrees.
    """
    clips, labels = findings.clips, findings.held_out.labels
    facts = {"clips": len(clips), "penalty": penalty, "grouping": findings.grouping.how}
    spec = with_scores(taught_spec(bundle, labels, findings.chosen, facts), findings)
    classifier = teach(clips, labels, findings.chosen, penalty)
    return write_taught(bundle, spec, classifier, folder)


def with_scores(spec: ModelSpec, findings: Findings) -> ModelSpec:
    """A description that is not calibrated, with the calibration and the scores that were found."""
    held_out = findings.held_out
    if findings.calibration is not None:
        counts = {"predictions": len(held_out.samples.right), "clips": held_out.total}
        spec = findings.calibration.applied(spec, counts)
    return replace(spec, scores={**spec.scores, "held_out": findings.to_json()})


def compare(clips: Sequence[TaughtClip], held_out: HeldOut, now: Bundle) -> Comparison | None:
    """The judged clips by the bundle that runs now; None where no label is in both.

    Args:
        clips: with features of that bundle, in its own framing.
        held_out: verdicts of the taught one.
        now: the bundle that runs now.
    """
    shared = set(now.spec.labels) & set(held_out.labels)
    names = {verdict.name for verdict in held_out.verdicts if verdict.label in shared}
    both = [clip for clip in clips if clip.name in names]
    if not both:
        return None
    framing = now.spec.preprocessing.framing
    verdicts = judge_as_it_is(both, read_classifier(now), now.spec.labels, framing)
    there = {clip.name for clip in both}
    taught = [verdict for verdict in held_out.verdicts if verdict.name in there]
    labels = tuple(sorted({clip.label for clip in both}))
    return Comparison(printable(now.path.name), labels, taught, verdicts)


def group_taught(
    files: dict[ClipFile, str], clips: Sequence[TaughtClip], how: Teaching
) -> Grouping:
    """The groups of those files that became clips; errors as `groups.group_by`."""
    names = {clip.name for clip in clips}
    used = [file for file in files if file.name in names]
    grouping = group_by(used, how.groups, how.group_pattern, how.folds, how.recorded)
    return hold_out_once(grouping) if how.once and how.folds is None else grouping
