"""Segments of a long video that people have marked: label tracks, ELAN and Label Studio exports.

- `.csv`: a table with the columns start_s, end_s and label
- `.eaf`: ELAN; every aligned annotation of every tier, or of one
- `.json`: Label Studio; regions of a timeline, in frames, or of its audio track, in seconds

Source: EAF 3.0, https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf;
https://labelstud.io/tags/timelinelabels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ecolite_stream.datasets.text_files import (
    Row,
    decode_text,
    read_bytes,
    read_table,
    wrong_line,
)
from ecolite_stream.errors import ConfigError
from ecolite_stream.types import Frame

COLUMNS = ("start_s", "end_s", "label")
SUFFIXES = (".csv", ".eaf", ".json")
MOST_SEGMENTS = 100_000
MOST_CHARACTERS = 40_000_000
"""Of an ELAN or Label Studio file."""
_DAMAGE = (
    *(ElementTree.ParseError, ValueError, KeyError, TypeError, AttributeError, RecursionError),
)
"""What a file of another shape raises while it is read."""


@dataclass(frozen=True)
class Action:
    """What is shown from `start_s` to `end_s`, in seconds of stream time."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True)
class Marked:
    """A marked segment, in seconds or, with `in_frames`, in frame numbers from 0 on."""

    start: float
    end: float
    label: str
    in_frames: bool = False

    def place_of(self, frame: Frame) -> float:
        """Where a frame lies, in the unit of the segment."""
        return float(frame.index) if self.in_frames else frame.time_s


def read_actions(path: Path) -> list[Action]:
    """The rows of a label track, in the order of time.

    Raises:
        ConfigError: it cannot be read, is no track, or is empty.
    """
    actions = [_action(path, row) for row in read_table(path, "label track", COLUMNS)]
    if not actions:
        raise ConfigError(f"label track {path} is empty; add a line {','.join(COLUMNS)}")
    return sorted(actions, key=lambda action: action.start_s)


def _action(path: Path, row: Row) -> Action:
    start, end, label = row.cells
    try:
        action = Action(float(start), float(end), label)
    except ValueError:
        raise wrong_line(path, row, ",".join(COLUMNS), "write times in seconds, as 1.5") from None
    if not 0 <= action.start_s < action.end_s < math.inf:
        raise ConfigError(
            f"{path}:{row.number}: {label} from {action.start_s:g} to {action.end_s:g} s; expected "
            "an end after its start, and neither before 0"
        )
    return action


def read_segments(path: Path, tier: str | None = None) -> list[Marked]:
    """The segments of a file of any of the three kinds, in the order of their starts.

    Args:
        path: ends with .csv, .eaf or .json.
        tier: of an ELAN file, this one alone; None takes all.

    Raises:
        ConfigError: the file cannot be read, is none of these, or marks nothing.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        return [Marked(a.start_s, a.end_s, a.label) for a in read_actions(path)]
    readers = {".eaf": _elan, ".json": _label_studio}
    if kind not in readers:
        raise ConfigError(
            f"{path}: expected .csv (label track), .eaf (ELAN) or .json (Label Studio)"
        )
    where = f"segments {path}"
    text = decode_text(read_bytes(path, where), where)
    if len(text) > MOST_CHARACTERS:  # parsed, it takes some ten times as much memory
        raise ConfigError(f"{path} has more than {MOST_CHARACTERS} characters; divide it")
    found: list[Marked] = []
    try:
        for one in readers[kind](path, text, tier):
            if not (0 <= one.start < one.end < math.inf):
                raise ConfigError(
                    f"{path}: {one.label!r} from {one.start:g} to {one.end:g}; expected an end "
                    "after its start, and neither before 0"
                )
            found.append(one)
            if len(found) > MOST_SEGMENTS:
                raise ConfigError(f"{path} marks more than {MOST_SEGMENTS} segments; divide it")
    except _DAMAGE as error:
        raise ConfigError(f"{path} is damaged: {error}; export it again") from error
    if not found:
        raise ConfigError(f"{path} marks no segment{f' in tier {tier}' if tier else ''}")
    return sorted(found, key=lambda one: (one.start, one.end))


def _elan(path: Path, text: str, tier: str | None) -> Iterator[Marked]:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can expand without bound
        raise ValueError("it declares entities, which ELAN never does")
    root = ElementTree.fromstring(text)
    times_s = {
        slot.get("TIME_SLOT_ID"): float(value) / 1000
        for slot in root.iter("TIME_SLOT")
        if (value := slot.get("TIME_VALUE")) is not None
    }
    for found in root.iter("TIER"):
        if tier is not None and found.get("TIER_ID") != tier:
            continue
        for note in found.iter("ALIGNABLE_ANNOTATION"):
            label = (note.findtext("ANNOTATION_VALUE") or "").strip()
            ends = [times_s.get(note.get(f"TIME_SLOT_REF{number}")) for number in (1, 2)]
            if label and ends[0] is not None and ends[1] is not None:
                yield Marked(ends[0], ends[1], label)


def _label_studio(path: Path, text: str, tier: str | None) -> Iterator[Marked]:
    found = json.loads(text)
    tasks = found if isinstance(found, list) else [found]
    if len(videos := {json.dumps(task.get("data"), sort_keys=True) for task in tasks}) > 1:
        raise ConfigError(
            f"{path} marks {len(videos)} videos; export the task of each to a file of its own"
        )
    for task in tasks:
        annotations = task.get("annotations") or task.get("completions") or []
        for annotation in annotations:
            if annotation.get("was_cancelled"):
                continue
            for region in annotation.get("result") or []:
                yield from _region(region.get("value") or {})


def _region(value: dict[str, Any]) -> Iterator[Marked]:
    for label in value.get("timelinelabels") or []:
        for part in value.get("ranges") or []:  # frames, counted from 1, both ends included
            yield Marked(int(part["start"]) - 1, int(part["end"]), str(label).strip(), True)
    if "start" in value and "end" in value:
        for label in value.get("labels") or []:
            yield Marked(float(value["start"]), float(value["end"]), str(label).strip())
