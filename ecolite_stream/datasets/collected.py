"""A folder of collected clips: `<action>/<clip>` and clips.csv, which says where they come from."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from ecolite_stream.datasets.labelled_clips import ClipFile, find_clips
from ecolite_stream.datasets.text_files import printable, read_table
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.limits import is_printable

TABLE = "clips.csv"
LONGEST_LABEL = 100
FEW_CLIPS = 10
"""Of an action, fewer are said to be few."""
UNKNOWN = "unknown"


@dataclass(frozen=True)
class ClipRow:
    """A row of clips.csv.

    Attributes:
        file: `<action>/<clip>`.
        label: the action.
        stream: the name of the stream.
        view: the part of the picture that was kept, `x,y,width,height`; empty is all of it.
        start: when it begins: a time of day in UTC, or seconds of a recording.
        source: what was watched, without credentials.
    """

    file: str
    label: str
    stream: str = ""
    view: str = ""
    start: str = ""
    source: str = ""

    @property
    def day(self) -> str:
        """2026-11-28, or empty where the start is no time of day."""
        return self.start[:10] if "T" in self.start else ""

    @property
    def group(self) -> str:
        """What it should be held out with: clips of one source and day."""
        return f"{self.source} {self.day}".strip()


COLUMNS = tuple(field.name for field in fields(ClipRow))


def check_label(label: str) -> None:
    """Pass where an action's name can be a label and the name of a folder.

    Raises:
        ConfigError: it is empty or too long, has a line break or a slash, or begins with a dot.
    """
    plain = label.strip() == label and is_printable(label, LONGEST_LABEL)
    if not plain or label.startswith(".") or any(mark in label for mark in '/\\:*?"<>|'):
        raise ConfigError(
            f"label is {printable(label[:60])!r}; expected a name of one line, up to "
            f'{LONGEST_LABEL} characters, without / \\ : * ? " < > | and no dot in front'
        )


def add_row(folder: Path, row: ClipRow) -> None:
    """Append a row to clips.csv, in one write: other programs may append, too.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / TABLE
    text = "" if path.exists() and path.stat().st_size else _line(COLUMNS)
    text += _line(astuple(row))
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        data = text.encode("utf-8", "backslashreplace")
        if os.write(handle, data) < len(data):
            raise OSError(f"{path}: the disk is full")
    finally:
        os.close(handle)


def _line(cells: Sequence[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(map(printable, cells))
    return written.getvalue()


def read_collected(folder: Path) -> dict[str, ClipRow]:
    """`<action>/<clip>` -> its row; nothing where there is no clips.csv.

    Raises:
        ConfigError: the table cannot be read.
    """
    path = folder / TABLE
    if not path.exists():
        return {}
    rows = [ClipRow(*row.cells) for row in read_table(path, "table of clips", COLUMNS)]
    return {row.file: row for row in rows}


def describe(folder: Path) -> Iterator[str]:
    """What there is in a folder of clips, and what is missing, line by line.

    Raises:
        ConfigError: it has no clips, or its table cannot be read.
    """
    clips, rows = find_clips([folder]), read_collected(folder)
    by_label: dict[str, list[ClipFile]] = defaultdict(list)
    for clip in clips:
        by_label[clip.label].append(clip)
    yield f"{len(clips)} clips of {len(by_label)} actions in {printable(str(folder))}"
    for label, own in by_label.items():
        known = [rows[clip.name] for clip in own if clip.name in rows]
        days = Counter(row.day or UNKNOWN for row in known)
        days[UNKNOWN] += len(own) - len(known)
        groups = Counter(row.group or UNKNOWN for row in known)
        dated = ", ".join(f"{day} {count}" for day, count in sorted(days.items()) if count)
        yield f"  {label:<20} {len(own):4} clips, {len(groups):3} groups; days: {dated}"
    yield from _missing(by_label, rows)
    yield from _doubles(clips)
    there = {clip.name for clip in clips}
    if gone := [name for name in rows if name not in there]:
        yield f"{len(gone)} rows of {TABLE} name clips that are gone, such as {gone[0]}"


def _missing(
    by_label: Mapping[str, Sequence[ClipFile]], rows: Mapping[str, ClipRow]
) -> Iterator[str]:
    """What would help most, a line for each action."""
    for label, own in by_label.items():
        groups = {rows[clip.name].group for clip in own if clip.name in rows}
        is_one = len(groups) == 1 and all(clip.name in rows for clip in own)
        if len(own) < FEW_CLIPS:
            where = f", all from {groups.pop() or 'one recording'}" if is_one else ""
            yield f"{label} has {len(own)} clips{where}: ten more of other days or places help most"
        elif is_one:
            yield f"all clips of {label} are from {groups.pop()}: add some of other days or places"
    if not {"nothing", "idle"} & set(by_label):
        yield "there is no action nothing: add clips in which none of the others happens"


def _doubles(clips: Sequence[ClipFile]) -> Iterator[str]:
    """A line for each clip whose bytes another one has."""
    sizes = Counter(_size(clip) for clip in clips)
    first: dict[str, str] = {}
    for clip in clips:
        if sizes[_size(clip)] > 1:
            try:
                with clip.path.open("rb") as file:
                    digest = hashlib.file_digest(file, "blake2b").hexdigest()
            except OSError as error:
                yield f"{clip.name} cannot be read: {error.strerror}"
                continue
            other = first.setdefault(digest, clip.name)
            if other != clip.name:
                yield f"{clip.name} is the same file as {other}: remove one"


def _size(clip: ClipFile) -> int:
    try:
        return clip.path.stat().st_size
    except OSError:
        return -1
