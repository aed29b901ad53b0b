"""Cuts labelled clips out of a source while it runs, or out of a recording at its segments."""

from __future__ import annotations

import math
import queue
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecolite_stream.datasets.collected import ClipRow, add_row, check_label
from ecolite_stream.datasets.segments import Marked
from ecolite_stream.errors import ConfigError
from ecolite_stream.media.h264 import INDEX_FIRST, Mp4Writer
from ecolite_stream.media.new_files import create_numbered, create_part
from ecolite_stream.model.preprocess import resize_short_side
from ecolite_stream.sources.base import Source
from ecolite_stream.types import Box, Frame, Image, iso_utc
from ecolite_stream.views.squares import cut

SHORTEST_S = 0.5
"""A clip that is shorter shows no action."""
LONGEST_S = 20.0
"""Of one clip; its pictures are held in memory, some 400 MB at most."""
SHORT_SIDE = 384
"""Pixels that the short side of a clip has at most."""
MOST_FPS = 26.0
"""Frames a second that are kept, at most."""


@dataclass(frozen=True)
class Cut:
    """How clips are cut.

    Attributes:
        folder: where `<action>/<clip>` goes.
        stream: name of the stream.
        source: what is watched, without credentials.
        box: part of the picture that is kept; None is all of it.
        view: name of the view whose box moves, for the table; None where the box stays.
        start: when the clips begin, where their pictures have other times; empty is theirs.
        name: of the files, without suffix; empty is stream and start.
    """

    folder: Path
    stream: str
    source: str
    box: Box | None = None
    view: str | None = None
    start: str = ""
    name: str = ""

    def picture(self, frame: Frame) -> Image:
        """What is kept of a frame, at most `SHORT_SIDE` high or wide."""
        return shrink(frame.image if self.box is None else cut(frame.image, self.box))

    def write(self, label: str, pictures: Sequence[tuple[float, Image]], start: str) -> Path:
        """Write a clip and its row; both are there whole, or neither is.

        Args:
            label: the action.
            pictures: (stream time in seconds, picture), in order.
            start: when it begins, for the table, unless `start` says it.

        Raises:
            ConfigError: the label cannot be one, or the clip is shorter than `SHORTEST_S`.
            OSError: it cannot be written.
        """
        check_label(label)
        length_s = pictures[-1][0] - pictures[0][0] if pictures else 0.0
        if length_s < SHORTEST_S:
            raise ConfigError(
                f"a clip of {label} would last {length_s:.1f} s; at least {SHORTEST_S:g} s are "
                "needed to show an action"
            )
        place = self.folder / label
        place.mkdir(parents=True, exist_ok=True)
        start = self.start or start
        name = self.name or _file_name(f"{self.stream}-{start}")
        part = create_part(place, name)
        try:
            writer = Mp4Writer(part, INDEX_FIRST)
            try:
                for time_s, picture in pictures:
                    writer.add(picture, time_s - pictures[0][0])
            finally:
                writer.close()
            path = create_numbered(place, name, ".mp4")
            row = ClipRow(
                *(f"{label}/{path.name}", label, self.stream, self._part, start, self.source)
            )
            try:
                part.replace(path)
                add_row(self.folder, row)
            except OSError:
                path.unlink(missing_ok=True)
                raise
        finally:
            part.unlink(missing_ok=True)
        return path

    @property
    def _part(self) -> str:
        box = self.box
        if self.view is not None:
            return self.view
        return "" if box is None else f"{box.x:g},{box.y:g},{box.width:g},{box.height:g}"


def shrink(image: Image) -> Image:
    """A picture of at most `SHORT_SIDE` on its short side."""
    return resize_short_side(image, SHORT_SIDE) if min(image.shape[:2]) > SHORT_SIDE else image


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[-120:] or "clip"


def cut_segments(
    source: Source, segments: Sequence[Marked], how: Cut
) -> Iterator[Path | ConfigError]:
    """The clips of a recording's segments, in the order of their ends.

    A segment longer than `LONGEST_S` becomes several clips. One that cannot be a clip gives its
    error, and the next ones go on.

    Raises:
        SourceError: the recording breaks.
        OSError: a clip cannot be written.
    """
    waiting, begun = deque(segments), list[_Begun]()
    kept_s = -math.inf
    for frame in source:
        while waiting and waiting[0].start <= waiting[0].place_of(frame):
            begun.append(_Begun(waiting.popleft()))
        for one in [one for one in begun if one.is_over(frame)]:
            begun.remove(one)
            yield from one.clips(how)
        if not begun and not waiting:
            return
        if begun and frame.time_s - kept_s >= 1 / MOST_FPS:
            kept_s, picture = frame.time_s, how.picture(frame)
            for one in begun:
                if one.length_s >= LONGEST_S:
                    yield from one.clips(how)
                one.pictures.append((frame.time_s, picture))
    for one in begun:
        yield from one.clips(how)
    for left in waiting:
        yield ConfigError(f"{left.label} at {left.start:g} lies behind the end of the recording")


@dataclass
class _Begun:
    """A segment whose frames are coming."""

    segment: Marked
    pictures: list[tuple[float, Image]] = field(default_factory=list)
    has_clip: bool = False

    @property
    def length_s(self) -> float:
        return self.pictures[-1][0] - self.pictures[0][0] if self.pictures else 0.0

    def is_over(self, frame: Frame) -> bool:
        return self.segment.place_of(frame) >= self.segment.end

    def clips(self, how: Cut) -> Iterator[Path | ConfigError]:
        """The clip of the pictures there are, which go; a short rest of a segment makes none."""
        pictures, self.pictures = self.pictures, []
        length_s = pictures[-1][0] - pictures[0][0] if pictures else 0.0
        if self.has_clip and length_s < SHORTEST_S:
            return
        start = f"{pictures[0][0]:.2f}" if pictures else ""
        try:
            yield how.write(self.segment.label, pictures, start)
            self.has_clip = True
        except ConfigError as error:
            yield error


class LastSeconds:
    """The newest seconds of a source, which become a clip when somebody marks them.

    Args:
        seconds: how many, up to `LONGEST_S`.
        how: how clips are cut.
        now_ms: the time of day, in ms since 1970.
    """

    def __init__(
        self, seconds: float, how: Cut, now_ms: Callable[[], float] = lambda: 1000 * time.time()
    ) -> None:
        self._seconds = seconds
        self._how = how
        self._now_ms = now_ms
        self._pictures: deque[tuple[float, Image]] = deque()

    def add(self, frame: Frame) -> None:
        """Keep a frame; those that are too old go. Pictures are kept small: `SHORT_SIDE`."""
        if self._pictures and frame.time_s <= self._pictures[-1][0]:
            self._pictures.clear()  # the stream has begun again
        if self._pictures and frame.time_s - self._pictures[-1][0] < 1 / MOST_FPS:
            return
        self._pictures.append((frame.time_s, self._how.picture(frame)))
        while self._pictures[-1][0] - self._pictures[0][0] > self._seconds:
            self._pictures.popleft()

    @property
    def length_s(self) -> float:
        """Seconds that are there."""
        return self._pictures[-1][0] - self._pictures[0][0] if self._pictures else 0.0

    def mark(self, label: str) -> Path:
        """Make a clip of what is there; see `Cut.write`. It begins anew afterwards."""
        start_ms = self._now_ms() - 1000 * self.length_s
        path = self._how.write(label, list(self._pictures), iso_utc(round(start_ms)))
        self._pictures.clear()
        return path


def collect_marked(
    source: Source,
    last: LastSeconds,
    marks: queue.SimpleQueue[str | None],
    label: str,
    on_clip: Callable[[Path | Exception], object],
) -> None:
    """Watch a source and make a clip at each mark, until None comes or the source ends.

    Args:
        source: opened.
        last: its newest seconds.
        marks: labels; an empty one stands for `label`.
        label: the action.
        on_clip: takes each clip, or why there is none; after an error it goes on.
    """
    for frame in source:
        last.add(frame)
        while not marks.empty():
            mark = marks.get()
            if mark is None:
                return
            try:
                on_clip(last.mark(mark.strip() or label))
            except (ConfigError, OSError) as error:
                on_clip(error)
