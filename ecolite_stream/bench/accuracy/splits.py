"""The test videos of UCF101, and which are on disk.

The layout is as published, `<class>/v_<class>_gNN_cNN.avi`, or as extracted frames,
`<class>/<video>/*.jpg`. Any other tree of class folders works too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.datasets.labelled_clips import (
    VIDEO_SUFFIXES,
    ClipFile,
    ClipKind,
    clips_in,
    label_of,
    listed_name,
    where_clips_lie,
    without_suffix,
)
from ecolite_stream.datasets.text_files import read_lines, wrong_line
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.sampling import evenly

NUM_CLASSES = 101
TEST_GROUPS: Mapping[str, range] = {"1": range(1, 8), "2": range(8, 15), "3": range(15, 22)}
PUBLISHED_COUNTS: Mapping[str, int] = {"1": 3783, "2": 3734, "3": 3696, "all": 13320}
SPLITS = tuple(PUBLISHED_COUNTS)
LIST_FOLDERS = ("ucf101_splits", "ucfTrainTestlist")
"""Folders beside the classes searched for official lists; the second is the archive's name."""

DOWNLOAD = (
    "download UCF101.rar from https://www.crcv.ucf.edu/data/UCF101.php and unpack it so that {} "
    "holds <class>/v_<class>_gNN_cNN.avi, or name any folder of <class>/<clip> with --split all"
)
_NAME = re.compile(r"v_(.+)_g([0-9]{2})_c([0-9]{2})")


@dataclass(frozen=True)
class Selection:
    """The clips to evaluate, and problems with the data.

    Attributes:
        clips: sorted by name.
        missing: names that belong to the split and are not on disk; they count as wrong.
        unnamed: how many more are missing, by the published count, that cannot be named.
        extra: names of files that do not belong there; not evaluated.
        of: size of the split.
        note: how the split was made.
    """

    clips: tuple[ClipFile, ...]
    missing: tuple[str, ...] = ()
    unnamed: int = 0
    extra: tuple[str, ...] = ()
    of: int = 0
    note: str = ""

    def limited(self, limit: int | None) -> Selection:
        """At most `limit` clips, spread evenly; none is reported missing."""
        if limit is None or limit >= len(self.clips):
            return self
        chosen = tuple(self.clips[place] for place in evenly(len(self.clips), limit))
        note = f"{self.note}; limited to {limit} of {self.of}"
        return Selection(chosen, extra=self.extra, of=self.of, note=note)


def find_videos(folder: Path) -> list[ClipFile]:
    """Video files and folders of frames in `<folder>/<class>/`, sorted by class and name.

    Raises:
        ConfigError: there is none; names the download.
    """
    if not folder.is_dir():
        raise ConfigError(f"data folder {folder} does not exist; {DOWNLOAD.format(folder)}")
    clips = clips_in(folder, *ClipKind)
    there = {clip.path for clip in clips}
    clips += [  # folders named as a video, whose frames are missing
        ClipFile(path, label_of(path))
        for path in folder.glob("[!.]*/*/")
        if _NAME.fullmatch(path.name) and path not in there
    ]
    if not clips:
        raise ConfigError(
            f"{folder} holds no <class>/<clip>; {where_clips_lie(folder, *ClipKind)}; for UCF101, "
            f"{DOWNLOAD.format(folder)}"
        )
    return sorted(clips, key=lambda clip: (clip.name, clip.path))


def stem_of(clip: ClipFile) -> str:
    """`v_<class>_gNN_cNN` of a file or of a folder of frames."""
    return clip.path.stem if clip.path.suffix.lower() in VIDEO_SUFFIXES else clip.path.name


def group_of(clip: ClipFile) -> int | None:
    """The group in a UCF101 name; None for other names and classes."""
    match = _NAME.fullmatch(stem_of(clip))
    # v_HandStandPushups_g01_c01.avi lies in HandstandPushups.
    if match is None or match[1].casefold() != clip.label.casefold():
        return None
    return int(match[2])


def select_by_groups(clips: Sequence[ClipFile], split: str) -> Selection:
    """A split by the group numbers in the names.

    Args:
        clips: all on disk.
        split: one of `SPLITS`; `all` takes every clip of any tree.

    Raises:
        ConfigError: no name carries a group.
    """
    groups = {clip: group_of(clip) for clip in clips}
    named = [clip for clip, group in groups.items() if group is not None]
    if split == "all" and not named:
        return Selection(tuple(clips), of=len(clips), note="every clip")
    if not named:
        raise ConfigError(
            f"no clip is named v_<class>_gNN_cNN, as {clips[0].name} is not: split {split} cannot "
            "be told; use --split all, or --split-by REGEX with --test-groups"
        )
    wanted = range(1, 26) if split == "all" else TEST_GROUPS[split]
    chosen, doubled = _once(clip for clip in named if groups[clip] in wanted)
    odd = [clip.name for clip, group in groups.items() if group is None or group > 25]
    expected = PUBLISHED_COUNTS[split]
    whole = len({clip.label for clip in named}) >= NUM_CLASSES
    short = max(0, expected - len(chosen)) if whole else 0
    gaps = _gaps(chosen, wanted)[:short] if short else []
    note = f"UCF101 split {split}, from the group numbers in the names"
    if not whole:
        note += f"; {len({clip.label for clip in named})} of {NUM_CLASSES} classes are here"
    return Selection(
        tuple(chosen),
        tuple(gaps),
        short - len(gaps),
        (*odd, *doubled, *_surplus(len(chosen) - expected)),
        len(chosen) + short,
        note,
    )


def _once(clips: Iterable[ClipFile]) -> tuple[list[ClipFile], list[str]]:
    """The first file of each video, and the names of duplicates."""
    chosen: dict[str, ClipFile] = {}
    doubled = []
    for clip in clips:
        if chosen.setdefault(f"{clip.label}/{stem_of(clip)}", clip) is not clip:
            doubled.append(clip.name)
    return list(chosen.values()), doubled


def _gaps(clips: Iterable[ClipFile], groups: Iterable[int]) -> list[str]:
    """Names that the numbering leaves out: before the last of a group, or its first."""
    seen: dict[tuple[str, int], set[int]] = {}
    stems: dict[str, str] = {}
    for clip in clips:
        match = _NAME.fullmatch(stem_of(clip))
        assert match is not None  # group_of() found one
        stems[clip.label] = match[1]
        seen.setdefault((clip.label, int(match[2])), set()).add(int(match[3]))
    return [
        f"{label}/v_{stem}_g{group:02}_c{number:02}"
        for label, stem in stems.items()
        for group in groups
        for number in range(1, max(seen.get((label, group), {1})) + 1)
        if number not in seen.get((label, group), ())
    ]


def _surplus(count: int) -> list[str]:
    return [f"{count} clips more than were published"] if count > 0 else []


def find_lists(folder: Path, split_files: Path | None) -> Path | None:
    """The folder of the official lists, or None.

    Raises:
        ConfigError: the given folder does not exist.
    """
    if split_files is not None:
        if not split_files.is_dir():
            raise ConfigError(
                f"split folder {split_files} does not exist; it should hold testlist01.txt"
            )
        return split_files
    return next((folder / name for name in LIST_FOLDERS if (folder / name).is_dir()), None)


def select_by_lists(clips: Sequence[ClipFile], lists: Path, split: str) -> Selection:
    """A split by the official lists.

    Raises:
        ConfigError: a list is missing or malformed.
    """
    files = ["testlist01.txt", "trainlist01.txt"] if split == "all" else [f"testlist0{split}.txt"]
    wanted = {without_suffix(name) for file in files for name in _read_list(lists / file)}
    by_name: dict[str, ClipFile] = {}
    doubled = []
    for clip in clips:
        if by_name.setdefault(f"{clip.label}/{stem_of(clip)}", clip) is not clip:
            doubled.append(clip.name)
    chosen = tuple(clip for name, clip in by_name.items() if name in wanted)
    in_split = range(1, 26) if split == "all" else TEST_GROUPS[split]
    listed = wanted | _training_names(lists, split)
    extra = [
        clip.name
        for name, clip in by_name.items()
        if name not in listed and (group_of(clip) is None or group_of(clip) in in_split)
    ]
    missing = tuple(sorted(wanted - set(by_name)))
    note = f"split {split}, from {', '.join(files)}"
    return Selection(chosen, missing, 0, (*extra, *doubled), len(wanted), note)


def _training_names(lists: Path, split: str) -> set[str]:
    """The training names of a split, if its list exists."""
    path = lists / f"trainlist0{split}.txt"
    return {without_suffix(name) for name in _read_list(path)} if path.is_file() else set()


def _read_list(path: Path) -> list[str]:
    advice = "the file comes with UCF101TrainTestSplits"
    try:
        lines = read_lines(path, "split file", names_files=True)
    except ConfigError as error:
        raise ConfigError(f"{error}; {advice}") from error
    for line in lines:
        if listed_name(line.text).count("/") != 1:
            raise wrong_line(path, line, "<class>/<video>", advice)
    if not lines:
        raise ConfigError(f"split file {path} is empty; expected <class>/<video> a line")
    return [listed_name(line.text) for line in lines]


def select_by_pattern(
    clips: Sequence[ClipFile], pattern: str, test_groups: Sequence[str]
) -> Selection:
    """Clips whose group, the first of a regular expression in `<class>/<file>`, is tested.

    Raises:
        ConfigError: the expression is invalid or has no group, a name has no group, or a test
            group has no clip.
    """
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--split-by {pattern!r} is not a regular expression: {error}") from error
    if not regex.groups:
        raise ConfigError(f"--split-by {pattern!r} has no group; write (...) around it")
    found = {clip: regex.search(clip.name) for clip in clips}
    if odd := [clip.name for clip, match in found.items() if match is None]:
        raise ConfigError(f"--split-by {pattern!r} finds no group in {odd[0]!r}")
    groups = {clip: match[1] for clip, match in found.items() if match}
    if unknown := [group for group in test_groups if group not in groups.values()]:
        there = ", ".join(sorted(Counter(map(str, groups.values()))))
        raise ConfigError(f"--test-groups: no clip has {', '.join(unknown)}; there are {there}")
    chosen = tuple(clip for clip, group in groups.items() if group in test_groups)
    note = f"groups {', '.join(test_groups)} of {pattern}"
    return Selection(chosen, of=len(chosen), note=note)
