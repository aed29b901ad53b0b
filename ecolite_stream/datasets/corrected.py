"""Clips of events that people have marked wrong or renamed, for the next teaching."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

from ecolite_stream.datasets.collected import check_label, read_collected
from ecolite_stream.datasets.collecting import LONGEST_S, Cut, cut_segments
from ecolite_stream.datasets.collection import move_clip
from ecolite_stream.datasets.labelled_clips import ClipKind, clips_in
from ecolite_stream.datasets.segments import Marked
from ecolite_stream.errors import ConfigError, EcoliteError, one_line
from ecolite_stream.model.spec import IDLE_LABELS
from ecolite_stream.sinks.clip_store import BEGINS, DRAWN, MARK
from ecolite_stream.sources import open_source
from ecolite_stream.types import Box, iso_utc

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ecolite_stream.store.queries import StoredEvent

NOTHING = IDLE_LABELS[1]
BEFORE_S = 1.5
"""An event is noticed when the network has seen enough of it: the action began earlier."""
MOST_EVENTS = 1000
"""That are looked at, the newest first."""
_COLLECTED = re.compile(r"event-([0-9a-f-]{36})(-\d+)?")


@dataclass(frozen=True)
class Corrected:
    """What became of an event.

    Attributes:
        event: its id.
        clip: `<action>/<file>` of its first clip; None where there is none.
        problem: why there is none.
    """

    event: str
    clip: str | None = None
    problem: str = ""


def corrected_events(connection: Connection) -> list[StoredEvent]:
    """The newest events that are marked wrong or renamed, at most `MOST_EVENTS` of each."""
    from ecolite_stream.store.queries import Filters, page

    found: list[StoredEvent] = []
    for review in ("wrong", "label"):
        found += page(connection, Filters(review=review), MOST_EVENTS)[0]
    return found


def label_for(event: StoredEvent, folder: Path) -> str:
    """The action of a corrected event: its right label.

    An event that is wrong without another label shows `nothing`, or `idle` where the folder has
    clips of that name and none of `nothing`.
    """
    if event.review == "label" and event.review_label:
        return event.review_label
    return next((label for label in reversed(IDLE_LABELS) if (folder / label).is_dir()), NOTHING)


def not_collected(events: Iterable[StoredEvent], folder: Path) -> list[StoredEvent]:
    """The events whose clips are not yet where they belong."""
    there = _collected(folder)

    def is_there(event: StoredEvent) -> bool:
        label = label_for(event, folder)
        return any(name.startswith(f"{label}/") for name in there.get(event.id, ()))

    return [event for event in events if not is_there(event)]


def collect_corrected(
    events: Iterable[StoredEvent], clips: Path, folder: Path
) -> Iterator[Corrected]:
    """Cut events out of their clips, by the boxes of their views; move those that are there.

    An event whose review has changed since has its clips moved. One that fails is reported, and
    the next ones go on.

    Args:
        events: `not_collected`.
        clips: folder of the clips of events.
        folder: where `<action>/<clip>` goes.

    Raises:
        OSError: a clip cannot be written.
    """
    there = _collected(folder)
    sources = {row.stream: row.source for row in read_collected(folder).values()}
    for event in events:
        label = label_for(event, folder)
        try:
            check_label(label)
            if event.id in there:
                moved = [move_clip(folder, name, label) for name in there[event.id]]
                yield Corrected(event.id, moved[0])
                continue
            source = sources.get(event.stream, event.stream)
            made = _cut_event(event, label, clips, folder, source)
            yield Corrected(event.id, f"{label}/{made.name}")
        except EcoliteError as error:
            yield Corrected(event.id, problem=one_line(error))
        except KeyError:
            yield Corrected(event.id, problem="its clip was moved or deleted meanwhile; try again")


def _cut_event(event: StoredEvent, label: str, clips: Path, folder: Path, source: str) -> Path:
    """Cut an event; return its first clip.

    Raises:
        EcoliteError: its clip is gone or cannot be read, or is too short.
        OSError: it cannot be written.
    """
    if event.clip is None or Path(event.clip).name != event.clip:
        raise ConfigError("it has no clip; run with --clips FOLDER")
    path = clips / event.clip
    if not path.is_file():
        raise ConfigError(f"its clip {event.clip} is not in {clips}")
    tags = _tags(path)
    if DRAWN in tags:
        raise ConfigError(f"its clip {event.clip} has boxes drawn in; set clips.boxes to false")
    box = None if event.box is None else Box(*event.box)
    how = Cut(
        *(folder, event.stream, source, box),
        start=iso_utc(event.start_ms) if event.live else f"{event.start_s:.2f}",
        name=f"event-{event.id}",
    )
    with contextlib.closing(open_source(str(path))) as opened:
        made = list(cut_segments(opened, [_segment(event, label, tags)], how))
    written = [one for one in made if isinstance(one, Path)]
    if not written:
        raise made[0] if isinstance(made[0], ConfigError) else ConfigError("its clip is empty")
    return written[0]


def _segment(event: StoredEvent, label: str, tags: Mapping[str, str]) -> Marked:
    """Where an event is in its clip; all of a clip of an older version, which does not say it."""
    try:
        begins_s = float(tags.get(BEGINS, ""))
    except ValueError:
        return Marked(0.0, LONGEST_S, label)
    lasts_s = LONGEST_S if event.duration_s is None else event.duration_s
    end_s = begins_s + min(max(lasts_s, 0.0), LONGEST_S - BEFORE_S)
    return Marked(max(0.0, begins_s - BEFORE_S), end_s, label)


def _tags(path: Path) -> Mapping[str, str]:
    """Tags of the clip of an event; none of another file."""
    with contextlib.suppress(FFmpegError, OSError), av.open(str(path)) as container:
        if container.metadata.get("comment") == MARK:
            return dict(container.metadata)
    return {}


def _collected(folder: Path) -> dict[str, list[str]]:
    """Id of an event -> its clips in a folder."""
    found: dict[str, list[str]] = {}
    for clip in clips_in(folder, ClipKind.VIDEO):
        if name := _COLLECTED.fullmatch(clip.path.stem):
            found.setdefault(name[1], []).append(clip.name)
    return found
