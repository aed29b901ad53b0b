"""How good a taught bundle will be: each part of the clips in turn is held out and judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ecolite_stream.bench.accuracy.samples import Samples
from ecolite_stream.types import FloatArray
from trainer.teaching.clips import TaughtClip
from trainer.teaching.features import VARIANTS, Windows
from trainer.teaching.head_graph import Classifier
from trainer.teaching.regression import fit, softmax

PENALTY = 0.01
"""Of the squared weights, for features of unit variance."""
Z_95 = 1.959964
"""Standard deviations of a normal distribution that 95 % of it lie within."""


@dataclass(frozen=True)
class Verdict:
    """What a held-out clip was taken for.

    Attributes:
        name: `<class>/<file>`.
        label: its class.
        taken_for: the label of highest mean probability over its windows.
        score: that probability, 0 to 1.
    """

    name: str
    label: str
    taken_for: str
    score: float

    @property
    def is_right(self) -> bool:
        return self.taken_for == self.label


@dataclass(frozen=True, eq=False)
class HeldOut:
    """All clips, each judged by a classifier that was fitted without its part.

    Attributes:
        framing: of the windows.
        labels: in the order of the logits.
        verdicts: of the clips that could be judged.
        unjudged: names of clips whose action no other part shows.
        samples: logits of the judged clips' windows, of a full memory where there are such.
        half_full: likewise, of a memory that was at least half full.
    """

    framing: str
    labels: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    unjudged: tuple[str, ...]
    samples: Samples = field(repr=False)
    half_full: Samples = field(repr=False)

    @property
    def right(self) -> int:
        return sum(verdict.is_right for verdict in self.verdicts)

    @property
    def total(self) -> int:
        return len(self.verdicts)

    @property
    def wrong(self) -> list[Verdict]:
        """Those that were wrong, the surest first."""
        found = [verdict for verdict in self.verdicts if not verdict.is_right]
        return sorted(found, key=lambda verdict: (-verdict.score, verdict.name))

    def confusion(self) -> Counter[tuple[str, str]]:
        """(label, taken for) -> clips."""
        return Counter((verdict.label, verdict.taken_for) for verdict in self.verdicts)


Learn = Callable[[Sequence[TaughtClip], list[TaughtClip]], tuple[Classifier, list[TaughtClip]]]
"""(clips that teach, held-out clips) -> a classifier, and the held-out clips as it sees them."""


def wilson(right: float, total: float, z: float = Z_95) -> tuple[float, float]:
    """The interval in which the true share lies, 0 to 1, at 95 % where `z` is left as it is.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).
    """
    if total == 0:
        return 0.0, 1.0
    share, extra = right / total, z * z / total
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * np.sqrt(share * (1 - share) / total + extra / (4 * total))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def wilson_by_groups(groups: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """The interval at 95 % where the clips of a group tend to be right or wrong together.

    It is that of as many independent clips as would vary like these groups.

    Args:
        groups: (clips right, clips) of each.

    Source: Korn and Graubard, "Confidence Intervals for Proportions with Small Expected Number of
    Positive Counts Estimated from Survey Data" (1998), with Wilson's interval.
    """
    right, totals = np.array(groups, np.float64).reshape(-1, 2).T
    total, count = totals.sum(), len(groups)
    if count < 2:
        return 0.0, 1.0
    share = right.sum() / total
    variance = count / (count - 1) * np.square(right - share * totals).sum() / total**2
    alone = share * (1 - share)
    like = total if variance == 0 else min(total, alone / variance)
    if alone == 0:  # all are right, or none: how groups differ is not known
        like = count
    return wilson(share * like, like)


def teach(
    clips: Sequence[TaughtClip],
    labels: Sequence[str],
    framing: str,
    penalty: float = PENALTY,
    variants: Sequence[str] = VARIANTS,
) -> Classifier:
    """A classifier of clips: every action counts the same, and every clip of an action."""
    pooled, numbers, weights = [], [], []
    counts = Counter(clip.label for clip in clips)
    for clip in clips:
        for variant in variants:
            windows_KD = clip.by_framing[framing][variant].pooled
            pooled.append(windows_KD)
            numbers += [labels.index(clip.label)] * len(windows_KD)
            weights += [1 / (counts[clip.label] * len(windows_KD))] * len(windows_KD)
    return fit(np.vstack(pooled), np.array(numbers), np.array(weights), len(labels), penalty)


def judge(
    clips: Sequence[TaughtClip],
    folds: Sequence[Sequence[str]],
    labels: Sequence[str],
    framing: str,
    penalty: float = PENALTY,
    choose: Callable[[Sequence[TaughtClip]], Sequence[TaughtClip]] = lambda clips: clips,
    learn: Learn | None = None,
) -> HeldOut:
    """Hold out each part of the clips in turn; see `HeldOut`.

    Args:
        clips: all of them.
        folds: names of the clips of each part; clips of no part only teach.
        labels: in the order of the logits.
        framing: of the windows.
        penalty: of the quick way.
        choose: picks those that teach among the clips of the other parts.
        learn: what makes a classifier of them; None is the quick way.
    """
    by_name = {clip.name: clip for clip in clips}
    judged: dict[str, tuple[TaughtClip, Classifier]] = {}
    for part in folds:
        held = {name for name in part if name in by_name}
        rest = choose([clip for clip in clips if clip.name not in held])
        known = {clip.label for clip in rest}
        seen = [by_name[name] for name in sorted(held) if by_name[name].label in known]
        if seen and len(known) > 1:
            if learn is None:
                classifier = teach(rest, labels, framing, penalty)
            else:
                classifier, seen = learn(rest, seen)
            judged |= {clip.name: (clip, classifier) for clip in seen}
    names = sorted(judged)
    plain = [(judged[name][1], _plain(judged[name][0], framing)) for name in names]
    full = [classifier.logits(windows.judged) for classifier, windows in plain]
    half_full = [classifier.logits(windows.half_full) for classifier, windows in plain]
    right = [labels.index(by_name[name].label) for name in names]
    return HeldOut(
        framing,
        tuple(labels),
        tuple(verdict_of(by_name[n], own, labels) for n, own in zip(names, full, strict=True)),
        tuple(sorted(by_name.keys() & {n for part in folds for n in part} - judged.keys())),
        _samples(full, right, len(labels)),
        _samples(half_full, right, len(labels)),
    )


def _samples(logits: Sequence[FloatArray], right: Sequence[int], classes: int) -> Samples:
    """The logits (K, classes) of each clip, and the number of its label, as samples."""
    counts = [len(own) for own in logits]
    return Samples(
        np.vstack([np.zeros((0, classes)), *logits]),
        np.repeat(np.array(right, np.int64), counts),
        np.repeat(np.arange(len(logits), dtype=np.int64), counts),
    )


def verdict_of(
    clip: TaughtClip,
    logits_KC: FloatArray,
    labels: Sequence[str],
) -> Verdict:
    """The predicted label of a clip, from the logits (K, C) of its windows."""
    mean_C = softmax(logits_KC).mean(axis=0)
    best = int(mean_C.argmax())
    return Verdict(clip.name, clip.label, labels[best], float(mean_C[best]))


def judge_as_it_is(
    clips: Sequence[TaughtClip], classifier: Classifier, labels: Sequence[str], framing: str
) -> list[Verdict]:
    """What the classifier of a bundle, as it is, takes clips for."""
    return [
        verdict_of(clip, classifier.logits(_plain(clip, framing).judged), labels) for clip in clips
    ]


def choose_framing(by_framing: Mapping[str, HeldOut], own: str) -> str:
    """The framing with most held-out clips right; the bundle's own unless another has more."""
    return max(by_framing, key=lambda framing: (by_framing[framing].right, framing == own))


def _plain(clip: TaughtClip, framing: str) -> Windows:
    return clip.by_framing[framing]["plain"]
