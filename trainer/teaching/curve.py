"""How far few clips get: teaching with at most so many clips an action, the other people judged."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

import numpy as np

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.model.bundle import Bundle
from trainer.teaching.clips import TaughtClip, load_features, no_progress
from trainer.teaching.groups import Grouping
from trainer.teaching.held_out import Learn, judge
from trainer.teaching.run import Teaching, group_taught
from trainer.teaching.thorough import Thorough, learn_with

COUNTS = (1, 2, 3, 5, 10)
DRAWS = 10
"""How often clips are drawn, since some teach more than others."""


@dataclass(frozen=True)
class CurvePoint:
    """Held-out clips that are right after so many clips an action.

    Attributes:
        each: clips of each action at most; None is all of them.
        right: clips right, for each draw.
        total: clips that were judged in each draw.
        fewer: actions that had fewer clips than `each` to teach with, in some turn.
    """

    each: int | None
    right: tuple[int, ...]
    total: int
    fewer: tuple[str, ...] = ()

    def __str__(self) -> str:
        right = mean(self.right)
        share = f" {100 * right / self.total:5.1f} %" if self.total else ""
        name = "all" if self.each is None else str(self.each)
        spread = f", {min(self.right)} to {max(self.right)} in {len(self.right)} draws"
        fewer = f"; fewer of {', '.join(self.fewer)}" if self.fewer else ""
        return (
            f"{name:>3} clips an action: {right:6.1f} of {self.total} clips right{share}"
            f"{spread if len(self.right) > 1 else ''}{fewer}"
        )


@dataclass(frozen=True)
class Curve:
    """Points in the order of the clips that were taught.

    Attributes:
        grouping: how clips were held out.
        framing: of the windows.
        points: of `COUNTS`, as far as there are clips, and of all clips.
    """

    grouping: Grouping
    framing: str
    points: tuple[CurvePoint, ...]

    def lines(self) -> Iterator[str]:
        """The report, line by line."""
        groups, turns = len(self.grouping.groups), len(self.grouping.folds)
        yield (
            f"framing {self.framing}, {groups} groups ({self.grouping.how}), held out in {turns} "
            "turns; the others teach, with at most"
        )
        yield from map(str, self.points)

    def to_json(self) -> dict[str, Any]:
        """Plain containers, as --json writes them."""
        points = [
            {"each": p.each, "right": list(p.right), "clips": p.total, "fewer": list(p.fewer)}
            for p in self.points
        ]
        return {"grouping": self.grouping.how, "framing": self.framing, "curve": points}


def find_curve(
    files: dict[ClipFile, str],
    bundle: Bundle,
    how: Teaching,
    on_clip: Callable[[int, int], None] = no_progress,
    thorough: Thorough | None = None,
) -> Curve:
    """The curve of a folder's clips; arguments and errors as those of `run.find_out`.

    `thorough` trains a network for each point and turn and draws
    once; None is the quick way.
    """
    framing = how.framings(bundle)[0]
    clips = load_features(files, bundle, (framing,), how.engine, on_clip=on_clip, hire=how.hire)
    grouping = group_taught(files, clips, how)
    if thorough is None:
        return Curve(grouping, framing, tuple(trace(clips, grouping, framing, how.penalty)))
    count = len(grouping.folds) * (1 + len(counts_of(clips, grouping)))
    trainings = thorough.trainings(bundle, framing, count, final=0)
    labels = sorted({clip.label for clip in clips})
    learn = learn_with(trainings, files, labels, framing, how.engine)
    points = trace(clips, grouping, framing, how.penalty, draws=1, learn=learn)
    return Curve(grouping, framing, tuple(points))


def counts_of(clips: Sequence[TaughtClip], grouping: Grouping) -> list[int]:
    """`COUNTS` as long as some action has more clips to teach with."""
    there = [_count(clips, part) for part in grouping.folds]
    most = max(max(counts.values(), default=0) for counts in there)
    return [each for each in COUNTS if each < most]


def trace(
    clips: Sequence[TaughtClip],
    grouping: Grouping,
    framing: str,
    penalty: float,
    draws: int = DRAWS,
    learn: Learn | None = None,
) -> Iterator[CurvePoint]:
    """The points of `counts_of`, then that of all clips; `learn` as `judge` takes it."""
    labels = sorted({clip.label for clip in clips})
    group_of = {name: group for group, names in grouping.groups.items() for name in names}
    held_out = partial(judge, clips, grouping.folds, labels, framing, penalty, learn=learn)
    there = [_count(clips, part) for part in grouping.folds]
    for each in counts_of(clips, grouping):
        found = [
            held_out(choose=partial(draw, group_of=group_of, each=each, seed=seed))
            for seed in range(draws)
        ]
        fewer = {label for counts in there for label in labels if counts[label] < each}
        right = tuple(one.right for one in found)
        yield CurvePoint(each, right, found[0].total, tuple(sorted(fewer)))
    everything = held_out()
    yield CurvePoint(None, (everything.right,), everything.total)


def draw(
    clips: Sequence[TaughtClip], group_of: Mapping[str, str], each: int, seed: int
) -> list[TaughtClip]:
    """At most `each` clips of every action, of as many groups as can be.

    The order of the groups is drawn once for all actions, so that the same few people show them.
    """
    rng = np.random.default_rng(seed)
    groups = rng.permutation(sorted({group_of[clip.name] for clip in clips}))
    place_of = {group: place for place, group in enumerate(groups)}
    by_label: dict[str, list[tuple[int, int, TaughtClip]]] = defaultdict(list)
    seen: Counter[tuple[str, str]] = Counter()
    for number in rng.permutation(len(clips)):
        clip = clips[number]
        group = group_of[clip.name]
        by_label[clip.label].append((seen[group, clip.label], place_of[group], clip))
        seen[group, clip.label] += 1
    in_turn = (sorted(own, key=lambda one: one[:2])[:each] for own in by_label.values())
    return [clip for own in in_turn for *_, clip in own]


def _count(clips: Sequence[TaughtClip], part: Sequence[str]) -> Counter[str]:
    """Action -> clips that teach while a part is held out."""
    held = set(part)
    return Counter(clip.label for clip in clips if clip.name not in held)
