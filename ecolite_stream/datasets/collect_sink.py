"""The last seconds of each stream of a run, which become a clip when somebody marks them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ecolite_stream.datasets.collect_kind import CollectConfig
from ecolite_stream.datasets.collected import check_label
from ecolite_stream.datasets.collecting import LONGEST_S, SHORTEST_S, Cut, shrink
from ecolite_stream.datasets.labelled_clips import ClipKind, clips_in
from ecolite_stream.errors import ConfigError
from ecolite_stream.media.h264 import check_encoder
from ecolite_stream.media.jpeg import to_jpeg
from ecolite_stream.sinks.base import FrameSink
from ecolite_stream.types import Box, Frame, Image, Prediction, iso_utc
from ecolite_stream.views.squares import cut

KEPT_FPS = 15.0
"""Pictures of a stream that are kept in a second, at most; the network sees fewer."""
KEPT_PX = 960
"""Their width at most: enough to cut a subject out of."""
KEPT_BYTES = 32_000_000
"""Of a stream's pictures, at most."""
OLD_S = 10.0
"""The newest picture of a live stream is at most so old when its newest seconds are marked."""
FORGOTTEN_S = 60.0
"""Pictures of a stream that has shown none for so long go when another stream comes."""
_KEPT_BOXES = 600
_MOST_SECONDS_OFF = 2.0


@dataclass(frozen=True)
class Mark:
    """What somebody marked.

    Attributes:
        stream: its name.
        label: the action.
        seconds: how many of the newest.
        view: cut by the boxes of this view; None keeps the whole picture.
        source: what is watched, without credentials.
    """

    stream: str
    label: str
    seconds: float
    view: str | None = None
    source: str = ""


class CollectSink(FrameSink):
    """Keeps small JPEGs of the last `LONGEST_S` seconds of each stream, and makes clips of them.

    Args:
        config: its folder must be set.
        now_ms: the time of day, in ms since 1970.

    Raises:
        ConfigError: FFmpeg lacks H.264.
    """

    takes = (Prediction,)

    def __init__(
        self, config: CollectConfig, now_ms: Callable[[], float] = lambda: 1000 * time.time()
    ) -> None:
        assert config.folder is not None
        check_encoder("collect")
        self.folder = config.folder
        self._config = config
        self._now_ms = now_ms
        self._streams: dict[str, _Newest] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # one clip at a time: the cores are for the engine

    def show(self, frame: Frame, live: bool) -> bool:
        self._newest(frame.stream).show(frame, live, self._now_ms())
        return True

    def remove_stream(self, name: str) -> None:
        with self._lock:
            self._streams.pop(name, None)

    def send(self, output: Prediction) -> None:
        if output.box is not None:
            self._newest(output.stream).note_box(output.view, output.time_s, output.box)

    def hurry(self) -> None:
        """Do nothing: `close` is always quick."""

    def close(self) -> None:
        """Forget all pictures."""
        with self._lock:
            self._streams = {}

    def mark(self, mark: Mark) -> Path:
        """Make a clip of the newest seconds of a stream.

        Raises:
            KeyError: no picture of such a stream has come.
            ConfigError: the label cannot be one, the clip would be too short or long, the view is
                not there, or the folder is full.
            OSError: it cannot be written.
        """
        check_label(mark.label)
        if not SHORTEST_S <= mark.seconds <= LONGEST_S:
            raise ConfigError(
                f"seconds is {mark.seconds:.1f}; expected {SHORTEST_S:g} to {LONGEST_S:g}"
            )
        with self._lock:
            stream = self._streams[mark.stream]
        silent_s = (self._now_ms() - stream.newest_ms) / 1000
        if stream.live and silent_s > OLD_S:
            raise ConfigError(
                f"the newest picture of {mark.stream} is {silent_s:.0f} s old; wait until the "
                "stream is live again"
            )
        with self._writing:
            self.check_room()
            found = stream.cut(mark.seconds, mark.view)
            length_s = found[-1][0] - found[0][0] if found else 0.0
            start = iso_utc(round(stream.newest_ms - 1000 * length_s))
            if found and not stream.live:
                start = f"{found[0][0]:.2f}"
            how = Cut(self.folder, mark.stream, mark.source or mark.stream, view=mark.view)
            return how.write(mark.label, found, start)

    def check_room(self) -> None:
        """Pass where there is room for another clip.

        Raises:
            ConfigError: the folder is full.
        """
        clips = clips_in(self.folder, ClipKind.VIDEO)
        if len(clips) >= self._config.max_clips:
            raise ConfigError(
                f"{self.folder} has {len(clips)} clips; drop some, or raise collect.max_clips"
            )
        size = sum(clip.path.stat().st_size for clip in clips if clip.path.is_file())
        if size >= self._config.max_bytes:
            raise ConfigError(
                f"the clips in {self.folder} take {size / 1e6:.0f} MB; drop some, or raise "
                "collect.max_bytes"
            )

    def _newest(self, stream: str) -> _Newest:
        with self._lock:
            if stream not in self._streams:
                since_ms = self._now_ms() - 1000 * FORGOTTEN_S  # many streams may come and go
                self._streams = {
                    name: one for name, one in self._streams.items() if one.newest_ms > since_ms
                }
                self._streams[stream] = _Newest(newest_ms=self._now_ms())
            return self._streams[stream]


def collector_among(sinks: Iterable[object]) -> CollectSink | None:
    """The sink that collects clips, if a run has one."""
    return next((sink for sink in sinks if isinstance(sink, CollectSink)), None)


@dataclass
class _Newest:
    """The newest pictures of a stream, and the boxes of its views."""

    live: bool = False
    newest_ms: float = 0.0  # when a picture came, in ms since 1970
    pictures: deque[tuple[float, bytes]] = field(default_factory=deque)
    size: int = 0
    boxes: dict[str, deque[tuple[float, Box]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def show(self, frame: Frame, live: bool, now_ms: float) -> None:
        newest_s = self.pictures[-1][0] if self.pictures else None
        if newest_s is not None and frame.time_s < newest_s:
            self._restart()
        elif newest_s is not None and frame.time_s - newest_s < 0.9 / KEPT_FPS:
            return
        jpeg = to_jpeg(frame.image, KEPT_PX)
        with self.lock:
            self.live, self.newest_ms = live, now_ms
            self.pictures.append((frame.time_s, jpeg))
            self.size += len(jpeg)
            while frame.time_s - self.pictures[0][0] > LONGEST_S or self.size > KEPT_BYTES:
                self.size -= len(self.pictures.popleft()[1])

    def note_box(self, view: str, time_s: float, box: Box) -> None:
        with self.lock:
            known = self.boxes.setdefault(view, deque(maxlen=_KEPT_BOXES))
            known.append((time_s, box))
            for name in [name for name, one in self.boxes.items() if self._is_old(one)]:
                del self.boxes[name]

    def cut(self, seconds: float, view: str | None) -> list[tuple[float, Image]]:
        """The pictures of the newest seconds; of a view only while it has boxes.

        Raises:
            ConfigError: there is no such view.
        """
        with self.lock:
            first_s = self.pictures[-1][0] - seconds if self.pictures else 0.0
            chosen = [one for one in self.pictures if one[0] >= first_s]
            boxes = [] if view is None else list(self.boxes.get(view, ()))
            known = sorted(self.boxes)
        if view is None:
            return [(time_s, shrink(_decoded(jpeg))) for time_s, jpeg in chosen]
        if not boxes:
            raise ConfigError(
                f"there is no view {view[:60]!r} now; views: {', '.join(known) or 'none'}"
            )
        placed = ((time_s, jpeg, _box_at(boxes, time_s)) for time_s, jpeg in chosen)
        return [
            (time_s, shrink(cut(_decoded(jpeg), box)))
            for time_s, jpeg, box in placed
            if box is not None
        ]

    def _is_old(self, boxes: deque[tuple[float, Box]]) -> bool:
        return bool(self.pictures) and boxes[-1][0] < self.pictures[-1][0] - LONGEST_S

    def _restart(self) -> None:
        """Forget all: the stream has begun again."""
        with self.lock:
            self.pictures.clear()
            self.boxes.clear()
            self.size = 0


def _box_at(boxes: Sequence[tuple[float, Box]], time_s: float) -> Box | None:
    """The box that the network saw last at that time; None where the view was not there."""
    at_s, box = min(boxes, key=lambda one: (abs(one[0] - time_s), one[0]))
    return box if abs(at_s - time_s) <= _MOST_SECONDS_OFF else None


def _decoded(jpeg: bytes) -> Image:
    image: Image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return image
