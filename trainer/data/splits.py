"""Split clips into training and validation."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ecolite_stream.datasets.labelled_clips import ClipFile, listed_name
from ecolite_stream.datasets.marked import SegmentFile
from ecolite_stream.datasets.text_files import (
    printable,
    read_lines,
    read_rows,
    with_slashes,
    wrong_line,
)
from ecolite_stream.errors import ConfigError
from trainer.config.schema import DataConfig
from trainer.data.folders import expand_folder


def split_clips(
    clips: Sequence[ClipFile], config: DataConfig, seed: int
) -> tuple[list[ClipFile], list[ClipFile]]:
    """(training, validation) clips; every clip is in exactly one of them.

    Raises:
        ConfigError: one side of the split is empty.
    """
    held_out = _held_out(clips, config, seed)
    training = [clip for clip in clips if clip.name not in held_out]
    validation = [clip for clip in clips if clip.name in held_out]
    if clips and not training:
        raise ConfigError(f"the split {config.split!r} leaves no clip to train on")
    if clips and config.split != "none" and not validation:
        raise ConfigError(f"the split {config.split!r} holds out no clip to validate on")
    return training, validation


def _held_out(clips: Sequence[ClipFile], config: DataConfig, seed: int) -> set[str]:
    if config.split == "random":
        return _random_share(clips, config.val_fraction, seed)
    if config.split == "pattern":
        groups = group_clips(clips, config)
        return {name for group in config.val_groups for name in groups.get(group, ())}
    if config.split == "fold":
        groups = group_clips(clips, config)
        return set(deal_folds(groups, config.folds)[config.fold - 1])
    if config.split == "list":
        assert config.val_list is not None  # DataConfig checks it
        return _listed(clips, config.val_list, "val_list")
    return set()


def _random_share(clips: Sequence[ClipFile], fraction: float, seed: int) -> set[str]:
    """About `fraction` of every class, at least one clip of each that has two."""
    by_label: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        by_label[clip.label].append(clip.name)
    rng = np.random.default_rng(seed)
    chosen: set[str] = set()
    for names in by_label.values():
        count = min(len(names) - 1, max(1, round(fraction * len(names))))
        chosen.update(str(name) for name in rng.permutation(names)[:count])
    return chosen


def group_clips(clips: Sequence[ClipFile], config: DataConfig) -> dict[str, list[str]]:
    """Group -> names of its clips; without a grouping each clip is its own group.

    Raises:
        ConfigError: a clip is in no group, or the table of groups cannot be read.
    """
    table = _read_groups(config.groups) if config.groups else None
    groups: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        if table is not None:
            named = clip.name
            if named not in table and isinstance(clip, SegmentFile):
                named = clip.recording
            if named not in table:
                raise ConfigError(f"{config.groups} has no line for {named}; add one")
            groups[table[named]].append(clip.name)
        elif config.split_pattern:
            groups[_search(clip, config.split_pattern)].append(clip.name)
        else:
            groups[clip.name].append(clip.name)
    return groups


def _search(clip: ClipFile, pattern: str) -> str:
    match = re.search(pattern, clip.name)
    if match is None or not match.groups():
        raise ConfigError(f"split_pattern {pattern!r} finds no group in {clip.name!r}")
    return str(match.group(1))


def _read_groups(name: str) -> dict[str, str]:
    """Clip name -> group, of a CSV table with a heading."""
    path = expand_folder(name)
    rows = read_rows(path, "table of groups", names_files=True)[1:]
    if short := [row for row in rows if len(row.cells) < 2]:
        raise wrong_line(path, short[0], "<class>/<file>,group", "complete the line")
    return {printable(with_slashes(row.cells[0])): row.cells[1] for row in rows}


def deal_folds(groups: Mapping[str, Sequence[str]], folds: int) -> list[list[str]]:
    """The clips `<class>/<file>` in so many parts of whole groups, alike in size and in classes.

    The greatest group first, each goes where it adds least to the sum of the squared class counts.

    Raises:
        ConfigError: there are fewer groups than parts.
    """
    if len(groups) < folds:
        raise ConfigError(
            f"{len(groups)} groups of clips cannot make {folds} folds; set data.folds"
        )
    parts: list[list[str]] = [[] for _ in range(folds)]
    for group in sorted(groups, key=lambda group: (-len(groups[group]), group)):
        own = _count_labels(groups[group])

        def growth(part: list[str], own: Counter[str] = own) -> int:
            there = _count_labels(part)
            return sum(n * n + 2 * n * there[label] for label, n in own.items())

        min(parts, key=growth).extend(groups[group])
    return parts


def _count_labels(names: Sequence[str]) -> Counter[str]:
    return Counter(name.split("/")[0] for name in names)


def keep_only(clips: Sequence[ClipFile], path: Path) -> list[ClipFile]:
    """Those of the clips that a file lists, one `<class>/<file>` a line.

    Raises:
        ConfigError: the file cannot be read, or names no clip.
    """
    names = _listed(clips, path, "data.only")
    return [clip for clip in clips if clip.name in names]


def _listed(clips: Sequence[ClipFile], path: Path, what: str) -> set[str]:
    lines = read_lines(path, what, names_files=True)
    names = {listed_name(clip.name): clip.name for clip in clips}
    unknown = [line for line in lines if listed_name(line.text) not in names]
    if unknown:
        found = f"such as {min(names)!r}" if names else "and there are none"
        raise ConfigError(
            f"{path}:{unknown[0].number}: no clip is named "
            f"{listed_name(unknown[0].text)!r} ({len(unknown)} of {len(lines)} lines); write a "
            f"clip's <class>/<file> in each line, {found}"
        )
    return {names[listed_name(line.text)] for line in lines}
