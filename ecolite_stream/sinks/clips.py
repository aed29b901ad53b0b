"""A short video of each event, from some seconds before it to some seconds after."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.strict import check_at_least, check_between
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.sampling import Ticker
from ecolite_stream.sinks.base import FrameSink, Sink
from ecolite_stream.sinks.clip_store import BEGINS, DRAWN, MARK, ClipStore
from ecolite_stream.sinks.kind import Run, SinkKind, check_writable
from ecolite_stream.sinks.video import VIEW_KEPT_S
from ecolite_stream.types import Event, Frame, Image, Output, Prediction

if TYPE_CHECKING:
    from ecolite_stream.media.h264 import Mp4Writer

_log = logging.getLogger(__name__)

_LEAD_S = 5.0
_WAIT_S = 1.0
_MOST_AT_ONCE = 8


@dataclass(frozen=True)
class ClipsConfig:
    """A video of each event (docs/events.md).

    Attributes:
        folder: folder of the clips; None writes none.
        pre_s: seconds of a clip before its event.
        post_s: seconds of a clip after its event.
        max_s: seconds of a clip at most, before and after included.
        max_bytes: size of all clips in the folder, at most; the oldest are deleted.
        pictures_per_s: pictures of a clip in a second.
        width_px: width of the pictures at most; their height is at most twice that.
        boxes: draw the box of the event's view, its label and its score into the pictures; nothing
            can be taught from such a clip.
    """

    folder: Path | None = None
    pre_s: float = 3.0
    post_s: float = 3.0
    max_s: float = 60.0
    max_bytes: int = 2_000_000_000
    pictures_per_s: float = 10.0
    width_px: int = 640
    boxes: bool = False

    def __post_init__(self) -> None:
        check_between("pre_s", self.pre_s, 0, 60)
        check_between("post_s", self.post_s, 0, 60)
        check_between("max_s", self.max_s, 1, 3600)
        check_at_least("max_bytes", self.max_bytes, 1)
        check_between("pictures_per_s", self.pictures_per_s, 1, 60)
        check_between("width_px", self.width_px, 16, 4096)
        if self.max_s <= self.pre_s:
            raise ConfigError(f"max_s is {self.max_s}; expected more than pre_s, {self.pre_s}")


class ClipSink(FrameSink):
    """Writes an MP4 file for each event, only complete ones, and deletes the oldest.

    The reading thread keeps small JPEGs of the last seconds; the sink's thread encodes them while
    an event lasts. A clip begins `pre_s` before its event and ends `post_s` after it, or at a
    length of `max_s`.

    Args:
        config: of the run; the folder of its `ClipsConfig` must be set.

    Raises:
        ConfigError: the folder cannot be written to, or FFmpeg lacks H.264.
    """

    takes = (Prediction, Event)

    def __init__(self, config: StreamConfig) -> None:
        clips = config.section(ClipsConfig)
        from ecolite_stream.media.h264 import check_encoder

        assert clips.folder is not None
        check_encoder("clips")
        self._config = clips
        self._store = ClipStore(clips.folder, clips.max_bytes)
        # An event is reported `min_s` after its first prediction.
        self._back_s = clips.pre_s + config.events.min_s + 2 * config.every_s
        self._capacity = math.ceil(
            (self._back_s + _LEAD_S + 3 * config.every_s) * clips.pictures_per_s
        )
        self._rings: dict[str, _FrameRing] = {}
        self._lock = threading.Lock()

    def show(self, frame: Frame, live: bool) -> bool:
        self._ring(frame.stream).show(frame, live)
        return True

    def send(self, output: Output) -> None:
        ring = self._rings.get(output.stream)
        if ring is not None:  # else no picture has come
            if isinstance(output, Prediction):
                ring.predicted(output, self._back_s)
            else:
                self._note(ring, output)
            for clip in list(ring.clips):
                self._advance(ring, clip)
        self._drop_removed()

    def add_stream(self, name: str, views: Sequence[str] = ()) -> None:
        if (ring := self._rings.get(name)) is not None:
            ring.is_removed = False

    def remove_stream(self, name: str) -> None:
        if (ring := self._rings.get(name)) is not None:
            ring.is_removed = True

    def hurry(self) -> None:
        """Do nothing: `close` is always quick."""

    def close(self) -> None:
        """Finish open clips with the pictures at hand."""
        for ring in list(self._rings.values()):
            ring.close()
            for clip in list(ring.clips):
                try:
                    self._advance(ring, clip, last=True)
                except OSError as error:  # go on with the other clips
                    _log.error("%s", error)

    def _drop_removed(self) -> None:
        """Finish the clips of removed streams after their last events, and drop their pictures."""
        for name, ring in list(self._rings.items()):
            if ring.is_removed and all(clip.has_ended for clip in ring.clips):
                with self._lock:
                    del self._rings[name]
                for clip in list(ring.clips):
                    self._advance(ring, clip, last=True)

    def _ring(self, stream: str) -> _FrameRing:
        with self._lock:
            if stream not in self._rings:
                self._rings[stream] = _FrameRing(self._config, self._capacity)
            return self._rings[stream]

    def _note(self, ring: _FrameRing, event: Event) -> None:
        clip = next((clip for clip in ring.clips if clip.id == event.id), None)
        if clip is None and event.id != ring.newest_id:
            clip = _Clip(event, self._config, self._store, ring.restarts)
            ring.newest_id = event.id
            ring.clips.append(clip)
        if clip is not None:
            clip.event = event
        if clip is not None and event.end_s is not None:
            # A lost stream sends no more pictures.
            clip.ends(ring.newest_s if event.lost else event.end_s + self._config.post_s)

    def _advance(self, ring: _FrameRing, clip: _Clip, last: bool = False) -> None:
        """Add new pictures to a clip; an error discards the clip."""
        try:
            over = last or clip.restarts != ring.restarts or len(ring.clips) > _MOST_AT_ONCE
            newest_s = ring.newest_s if clip.has_ended or over else ring.predicted_s
            if clip.restarts == ring.restarts:
                for time_s, jpeg in ring.between(clip.next_s, min(newest_s, clip.until_s)):
                    clip.add(jpeg, time_s, ring.prediction_at(time_s, clip.event.view))
            if over or newest_s >= clip.until_s:
                ring.clips.remove(clip)
                clip.finish()
        except OSError:
            if clip in ring.clips:
                ring.clips.remove(clip)
            clip.discard()
            raise


class _FrameRing:
    """JPEGs of a stream's last seconds, and its open clips."""

    def __init__(self, config: ClipsConfig, capacity: int) -> None:
        self.clips: list[_Clip] = []
        self.newest_id = ""
        self.newest_s = self.predicted_s = -math.inf
        self.restarts = 0
        self.is_removed = False
        self._config = config
        self._capacity = capacity
        self._pictures: deque[tuple[float, bytes]] = deque()
        self._predictions: deque[Prediction] = deque()  # the sink's thread alone uses them
        self._ticker = Ticker(1 / config.pictures_per_s)
        self._closed = False
        self._changed = threading.Condition()

    def show(self, frame: Frame, live: bool) -> None:
        """Add a due frame; a recording waits a little for a slow sink."""
        if frame.time_s < self.newest_s:
            self._restart()
        if not self._ticker.due(frame.time_s):
            return
        from ecolite_stream.media.jpeg import to_jpeg

        jpeg = to_jpeg(frame.image, self._config.width_px)
        with self._changed:
            if not live:
                self._changed.wait_for(self._has_room, _WAIT_S)
            while len(self._pictures) >= self._capacity:
                self._pictures.popleft()
            self._pictures.append((frame.time_s, jpeg))
            self.newest_s = frame.time_s

    def predicted(self, prediction: Prediction, back_s: float) -> None:
        """Note the newest prediction; drop pictures older than it by more than `back_s`."""
        oldest_s = prediction.time_s - back_s
        with self._changed:
            self.predicted_s = prediction.time_s
            while self._pictures and self._pictures[0][0] < oldest_s:
                self._pictures.popleft()
            self._changed.notify_all()
        if not self._config.boxes:
            return
        while self._predictions and not (
            oldest_s <= self._predictions[0].time_s <= prediction.time_s
        ):
            self._predictions.popleft()
        self._predictions.append(prediction)

    def prediction_at(self, time_s: float, view: str) -> Prediction | None:
        """The newest prediction of a view at a time; None without boxes, or once the view has gone.

        A view has gone `VIEW_KEPT_S` after its last prediction, as other views go on.
        """
        found = [one for one in reversed(self._predictions) if one.time_s <= time_s]
        own = next((one for one in found if one.view == view), None)
        return None if own is None or found[0].time_s - own.time_s > VIEW_KEPT_S else own

    def between(self, first_s: float, last_s: float) -> list[tuple[float, bytes]]:
        """The pictures of a time span, both ends included."""
        with self._changed:
            return [picture for picture in self._pictures if first_s <= picture[0] <= last_s]

    def close(self) -> None:
        """End all waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._closed or len(self._pictures) < self._capacity

    def _restart(self) -> None:
        """Drop all pictures: time went back, so open clips end here."""
        with self._changed:
            self._pictures.clear()
            self._ticker = Ticker(1 / self._config.pictures_per_s)
            self.restarts += 1


class _Clip:
    """The open clip of one event."""

    def __init__(self, event: Event, config: ClipsConfig, store: ClipStore, restarts: int) -> None:
        self.id = event.id
        self.event = event
        self.restarts = restarts
        self.next_s = self._first_s = event.start_s - config.pre_s
        self.until_s = self._first_s + config.max_s
        self.has_ended = False
        self._zero_s: float | None = None
        self._store = store
        self._tags = {"comment": MARK, "title": event.label}
        if config.boxes:
            self._tags[DRAWN] = "boxes"
        self._start_s = event.start_s
        self._part: Path | None = None
        self._writer: Mp4Writer | None = None

    def ends(self, until_s: float) -> None:
        self.has_ended = True
        self.until_s = min(self.until_s, until_s)

    def add(self, jpeg: bytes, time_s: float, prediction: Prediction | None) -> None:
        """Add a picture, with the box and the label of a prediction drawn in if there is one."""
        if self._zero_s is None:
            self._zero_s = time_s
        if self._writer is None:
            from ecolite_stream.media.h264 import INDEX_FIRST, Mp4Writer

            self._part = self._store.new_part(self.id)
            begins = {BEGINS: f"{max(0.0, self._start_s - self._zero_s):.3f}"}
            self._writer = Mp4Writer(self._part, INDEX_FIRST, {**self._tags, **begins})
        image = _from_jpeg(jpeg)
        if prediction is not None:
            from ecolite_stream.media.overlay import draw

            image = draw(image, time_s, prediction, self._open_at(time_s), [prediction])
        self._writer.add(image, time_s - self._zero_s)
        self.next_s = math.nextafter(time_s, math.inf)

    def _open_at(self, time_s: float) -> Event | None:
        end_s = math.inf if self.event.end_s is None else self.event.end_s
        return self.event if self.event.start_s <= time_s <= end_s else None

    def finish(self) -> None:
        if self._writer is not None and self._part is not None and self._writer.close():
            self._store.keep(self._part, self.id)

    def discard(self) -> None:
        if self._writer is not None and self._part is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)


def _from_jpeg(jpeg: bytes) -> Image:
    import cv2
    import numpy as np

    image: Image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return image


def _check(config: ClipsConfig, run: Run) -> str:
    assert config.folder is not None
    return f"clips to {check_writable(config.folder)}"


def _build(config: ClipsConfig, run: Run) -> Sink:
    return ClipSink(run.config)


SINK = SinkKind(
    "clips",
    ClipsConfig,
    key="folder",
    metavar="FOLDER",
    help="Write a video of each event to FOLDER.",
    check=_check,
    build=_build,
)
