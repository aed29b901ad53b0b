"""Which clips belong together: of one person, one place or one recording."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.datasets.marked import SegmentFile
from ecolite_stream.errors import ConfigError
from trainer.config.schema import DataConfig
from trainer.data.splits import deal_folds, group_clips

MOST_FOLDS = 10
ONE_IN = 5
"""Where clips are held out once, about one in so many is."""
_RECORDED = ("source and day of clips.csv", "recordings")
ONE_RECORDING = "each clip alone: all are of one source and day, so the score is too good"


@dataclass(frozen=True)
class Grouping:
    """How clips are grouped, and in which parts they are held out.

    Attributes:
        how: for people: "groups of subjects.csv".
        groups: group -> names of its clips.
        folds: names of the clips that are held out together, one list a turn.
    """

    how: str
    groups: dict[str, list[str]]
    folds: list[list[str]]

    def group_of(self, name: str) -> str:
        return next(group for group, names in self.groups.items() if name in names)


def group_by(
    clips: Sequence[ClipFile],
    table: Path | None,
    pattern: str,
    folds: int | None,
    recorded: Mapping[str, str] | None = None,
) -> Grouping:
    """Group clips by a table `<class>/<file>,group`, by a pattern, or as they were recorded.

    Args:
        clips: those that can be used.
        table: as `trainer.train --data.groups` reads it; None is none.
        pattern: regular expression searched in `<class>/<file>`; its first group counts.
        folds: how many turns; None is one a group, at most `MOST_FOLDS`.
        recorded: without table and pattern, clip -> source and day; other clips stand alone, and
            so do all where they are of one source and day.

    Raises:
        ConfigError: a clip is in no group, or there are fewer groups than turns.
    """
    config = DataConfig(groups=str(table) if table else None, split_pattern=pattern, split="none")
    groups = group_clips(clips, config)
    how = f"groups of {table.name}" if table else f"groups by {pattern}" if pattern else "each clip"
    if recorded and not (table or pattern):
        together = _as_recorded(clips, recorded)
        if len(together) > 1:
            groups, how = together, _RECORDED[any(isinstance(c, SegmentFile) for c in clips)]
        else:  # the first evening: something is better than nothing, if it is said
            how = ONE_RECORDING
    if len(groups) < 2:
        raise ConfigError(
            f"all clips are of one group, {next(iter(groups), '')!r}: nothing can be held out; "
            "record at another place or of another person, or leave --groups away"
        )
    parts = deal_folds(groups, folds or min(len(groups), MOST_FOLDS))
    return Grouping(how, groups, parts)


def hold_out_once(grouping: Grouping) -> Grouping:
    """The same groups with one turn: about one clip in `ONE_IN`, of every action that allows it.

    The part that shows most actions on both sides is held out, without groups that leave none of
    their action to teach with. Where it lacks an action that another group can show, that is held
    out, too. The same groups give the same part.
    """
    groups = grouping.groups
    labels_of = {group: set(map(_label, names)) for group, names in groups.items()}
    shown = Counter(label for labels in labels_of.values() for label in labels)
    parts = deal_folds(groups, min(ONE_IN, len(groups)))
    best = max(parts, key=partial(_on_both_sides, groups=groups))
    taken: set[str] = set()
    for group in sorted(groups, key=lambda group: (len(groups[group]), group)):
        if groups[group][0] in best and _may_go(group, taken, labels_of, shown):
            taken.add(group)
    for label in sorted(shown):
        there = [group for group, labels in labels_of.items() if label in labels]
        free = [group for group in there if _may_go(group, taken, labels_of, shown)]
        if free and not taken.intersection(there):
            taken.add(min(free, key=lambda group: (len(groups[group]), group)))
    names = [name for group in taken for name in groups[group]]
    return replace(grouping, folds=[sorted(names or best)])


def _on_both_sides(part: Sequence[str], groups: Mapping[str, Sequence[str]]) -> int:
    """Count the actions that both a part and the rest show."""
    held = set(part)
    rest = {_label(name) for names in groups.values() for name in names if name not in held}
    return len(rest & set(map(_label, part)))


def _may_go(
    group: str,
    taken: Collection[str],
    labels_of: Mapping[str, Collection[str]],
    shown: Mapping[str, int],
) -> bool:
    """Whether each action of a group is left in another one where the group is held out, too."""
    out = Counter(label for one in {*taken, group} for label in labels_of[one])
    return group not in taken and all(out[label] < shown[label] for label in labels_of[group])


def _label(name: str) -> str:
    return name.partition("/")[0]


def _as_recorded(clips: Sequence[ClipFile], recorded: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        groups[recorded.get(clip.name) or clip.name].append(clip.name)
    return groups
