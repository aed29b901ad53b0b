"""What there is in a folder of collected clips, what is missing, and how clips move and go."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ecolite_stream.datasets.collected import (
    TABLE,
    ClipRow,
    change_rows,
    check_label,
    read_collected,
)
from ecolite_stream.datasets.labelled_clips import (
    ClipFile,
    ClipKind,
    clip_kind,
    clips_in,
    label_of,
)
from ecolite_stream.datasets.marked import SegmentFile, find_clips, find_segments
from ecolite_stream.datasets.text_files import printable
from ecolite_stream.errors import ConfigError
from ecolite_stream.media.new_files import create_numbered
from ecolite_stream.model.spec import IDLE_LABELS

FEW_CLIPS = 10
"""Of an action, fewer are said to be few."""
UNKNOWN = "unknown"


@dataclass(frozen=True)
class ActionCount:
    """The clips of one action, and the segments of long videos.

    Attributes:
        label: its name.
        clips: how many clips.
        groups: of what should be held out together, source and day or a long video: clips and
            segments of each. Those of `unknown` are held out one by one.
        days: clips and segments of each day, `unknown` where no row says it.
        segments: how many segments of long videos.
    """

    label: str
    clips: int
    groups: Mapping[str, int]
    days: Mapping[str, int]
    segments: int = 0

    @property
    def turns(self) -> int:
        """How many groups teaching counts: a clip of unknown source is one by itself."""
        unknown = self.groups.get(UNKNOWN, 0)
        return len(self.groups) + max(unknown - 1, 0)


@dataclass(frozen=True)
class Collection:
    """What there is.

    Attributes:
        folder: where.
        actions: by name.
        missing: what would help most, a sentence each.
        doubles: (clip, the other one with the same bytes).
        unreadable: (clip, why).
        gone: rows whose clips are gone.
        problems: why videos or segments are not counted.
    """

    folder: Path
    actions: tuple[ActionCount, ...]
    missing: tuple[str, ...]
    doubles: tuple[tuple[str, str], ...]
    unreadable: tuple[tuple[str, str], ...]
    gone: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def clips(self) -> int:
        """How many, of all actions."""
        return sum(action.clips for action in self.actions)

    @property
    def segments(self) -> int:
        """How many segments of long videos, of all actions."""
        return sum(action.segments for action in self.actions)


def survey(folder: Path) -> Collection:
    """Count the clips and segments of a folder, and find what is missing; it may be empty.

    Where the marks of a video cannot be read, no segment is counted, and `problems` says why.

    Raises:
        ConfigError: its table cannot be read.
    """
    clips = clips_in(folder, ClipKind.VIDEO)
    rows = read_collected(folder)
    segments, problems = _segments(folder)
    by_label: dict[str, list[ClipFile]] = defaultdict(list)
    for clip in (*clips, *segments):
        by_label[clip.label].append(clip)
    actions = tuple(_action(label, by_label[label], rows) for label in sorted(by_label))
    there = {clip.name for clip in clips}
    doubles, unreadable = _doubles(clips)
    return Collection(
        folder,
        actions,
        tuple(_missing(actions)),
        doubles,
        unreadable,
        tuple(name for name in rows if name not in there),
        tuple(problems),
    )


def describe(folder: Path) -> Iterator[str]:
    """What there is in a folder of clips, and what is missing, line by line.

    Raises:
        ConfigError: it has no clips and no segments, or its table or marks cannot be read.
    """
    found = survey(folder)
    if not found.actions:
        find_clips([folder])  # its error says where clips lie instead
    also = f" and {found.segments} segments" if found.segments else ""
    yield f"{found.clips} clips{also} of {len(found.actions)} actions in {printable(str(folder))}"
    for one in found.actions:
        dated = ", ".join(f"{day} {count}" for day, count in one.days.items())
        also = f" {one.segments:4} segments," if found.segments else ""
        yield f"  {one.label:<20} {one.clips:4} clips,{also} {one.turns:3} groups; days: {dated}"
    yield from found.problems
    yield from found.missing
    for name, other in found.doubles:
        yield f"{name} is the same file as {other}: remove one"
    for name, why in found.unreadable:
        yield f"{name} cannot be read: {why}"
    if found.gone:
        yield f"{len(found.gone)} rows of {TABLE} name clips that are gone, such as {found.gone[0]}"


def _segments(folder: Path) -> tuple[list[SegmentFile], list[str]]:
    """The segments of long videos, and why some or all are not counted."""
    problems: list[str] = []
    if not folder.is_dir():
        return [], problems
    try:
        return find_segments(folder, on_unmarked=problems.append), problems
    except ConfigError as error:
        return [], [*problems, f"segments of long videos are not counted: {error}"]


def _action(label: str, clips: Sequence[ClipFile], rows: Mapping[str, ClipRow]) -> ActionCount:
    days, groups = Counter[str](), Counter[str]()
    for clip in clips:
        row = rows.get(clip.name, ClipRow(clip.name, label))
        days[row.day or UNKNOWN] += 1
        group = clip.recording if isinstance(clip, SegmentFile) else row.group
        groups[group or UNKNOWN] += 1
    segments = sum(isinstance(clip, SegmentFile) for clip in clips)
    by_day = dict(sorted(days.items()))
    return ActionCount(label, len(clips) - segments, groups, by_day, segments)


def _missing(actions: Sequence[ActionCount]) -> Iterator[str]:
    """What would help most, a line for each action."""
    for one in actions:
        group = next(iter(one.groups))
        is_one = len(one.groups) == 1 and group != UNKNOWN
        count = one.clips + one.segments
        if count < FEW_CLIPS:
            have = _counted(one)
            where = f", all from {group}" if is_one and count > 1 else ""
            yield f"{one.label} has {have}{where}: ten more of other days or places help most"
        elif is_one:
            kind = "segments" if one.segments else "clips"
            yield f"all {kind} of {one.label} are from {group}: add some of other days or places"
    if not set(IDLE_LABELS) & {one.label for one in actions}:
        yield "there is no action 'nothing': add clips in which no other action happens"


def _counted(one: ActionCount) -> str:
    counts = ((one.clips, "clip"), (one.segments, "segment"))
    return " and ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts if n)


def _doubles(
    clips: Sequence[ClipFile],
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Pairs of clips with the same bytes, and clips that cannot be read, with the reason."""
    sizes = Counter(_size(clip) for clip in clips)
    first: dict[str, str] = {}
    doubles: list[tuple[str, str]] = []
    unreadable: list[tuple[str, str]] = []
    for clip in clips:
        if sizes[_size(clip)] < 2:
            continue
        try:
            with clip.path.open("rb") as file:
                digest = hashlib.file_digest(file, "blake2b").hexdigest()
        except OSError as error:
            unreadable.append((clip.name, str(error.strerror)))
            continue
        other = first.setdefault(digest, clip.name)
        if other != clip.name:
            doubles.append((clip.name, other))
    return tuple(doubles), tuple(unreadable)


def _size(clip: ClipFile) -> int:
    try:
        return clip.path.stat().st_size
    except OSError:
        return -1


def find_clip(folder: Path, name: str) -> ClipFile:
    """The clip `<action>/<file>` of a folder; no other file can be named, not even by a link.

    Raises:
        KeyError: there is none, or a link leads out of the folder.
    """
    clip = _clip_at(folder, name) or next(
        (one for one in clips_in(folder, ClipKind.VIDEO) if one.name == name), None
    )
    if clip is None or not clip.path.resolve().is_relative_to(folder.resolve()):
        raise KeyError(name)
    return clip


def _clip_at(folder: Path, name: str) -> ClipFile | None:
    """The clip whose name on disk is this one; None for one whose name is not printable."""
    label, _, file = name.partition("/")
    if {label, file} & {"", ".", ".."} or label.startswith(".") or "/" in file:
        return None
    path = folder / label / file
    try:
        found = clip_kind(path) is ClipKind.VIDEO
    except (OSError, ValueError):  # no file can have such a name
        return None
    clip = ClipFile(path, label_of(path))
    return clip if found and clip.name == name else None


def move_clip(folder: Path, name: str, label: str) -> str:
    """Move a clip to another action; return its new name, `<action>/<file>`.

    Raises:
        KeyError: there is no such clip.
        ConfigError: the label cannot be one, or the table cannot be read.
        OSError: it cannot be moved.
    """
    check_label(label)
    clip = find_clip(folder, name)
    if clip.label == label:
        return name
    row = read_collected(folder).get(name, ClipRow(name, clip.label))
    (folder / label).mkdir(exist_ok=True)
    path = create_numbered(folder / label, clip.path.stem, clip.path.suffix)
    try:
        clip.path.replace(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    moved = ClipFile(path, label).name
    try:
        change_rows(folder, {name: replace(row, file=moved, label=label)})
    except (ConfigError, OSError):
        path.replace(clip.path)  # its row names it so
        _remove_if_empty(path.parent)
        raise
    _remove_if_empty(clip.path.parent)
    return moved


def drop_clip(folder: Path, name: str) -> None:
    """Delete a clip and its row.

    Raises:
        KeyError: there is no such clip.
        OSError: it cannot be deleted.
    """
    clip = find_clip(folder, name)
    clip.path.unlink()
    change_rows(folder, {name: None})
    _remove_if_empty(clip.path.parent)


def remove_collected(folder: Path) -> tuple[int, int]:
    """Delete all clips that clips.csv lists, and clips.csv; other files stay.

    Returns:
        How many clips were deleted, and how many others are still there.

    Raises:
        ConfigError: there is no clips.csv, or it cannot be read.
        OSError: a clip cannot be deleted.
    """
    rows = read_collected(folder)
    if not (folder / TABLE).is_file():
        raise ConfigError(f"{folder} has no {TABLE}; name a folder that clips were collected into")
    clips = clips_in(folder, ClipKind.VIDEO)
    ours = [clip for clip in clips if clip.name in rows]
    for clip in ours:
        clip.path.unlink(missing_ok=True)
        _remove_if_empty(clip.path.parent)
    (folder / TABLE).unlink()
    _remove_if_empty(folder)
    return len(ours), len(clips) - len(ours)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another program has removed it, or puts a clip there
        folder.rmdir()
