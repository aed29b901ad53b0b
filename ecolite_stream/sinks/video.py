"""Videos of the streams with label, score and event drawn in."""

from __future__ import annotations

import logging
import math
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.media.clip_names import SUFFIX, clip_name
from ecolite_stream.media.new_files import create, create_numbered
from ecolite_stream.sinks.base import FrameSink, Sink
from ecolite_stream.sinks.kind import Run, SinkKind, check_writable
from ecolite_stream.types import Event, Frame, Image, Output, Prediction

if TYPE_CHECKING:
    from ecolite_stream.media.h264 import Mp4Writer

_log = logging.getLogger(__name__)

HELD = 50
"""Most frames of a stream that wait for a later prediction; older ones are drawn without it."""
VIEW_KEPT_S = 2.0
"""Seconds for which a view without new predictions is drawn, while others have some."""
CAPACITY = 75
"""Most waiting frames of a stream."""
MAX_BYTES = 256_000_000
"""Memory of a stream's waiting frames; at two thirds of it frames stop waiting for a prediction."""
_WAIT_S = 1.0
_HURRY_S = 0.7
_STEP_S = 0.04


@dataclass(frozen=True)
class VideoConfig:
    """Videos of the streams with label, score and event drawn in (docs/events.md).

    Attributes:
        path: FILE.mp4 for one stream, or a folder; None writes none.
    """

    path: Path | None = None


class VideoSink(FrameSink):
    """Writes each stream to an MP4 file; frames keep their times, counted from the first.

    An own thread draws and encodes. It draws the newest prediction at a frame's time, so each
    frame waits for a later prediction. The video has every frame of a recording. A live stream
    skips frames when too many wait, and logs their number. Each second or two of a file is
    complete, so that it plays however a run ends.

    Args:
        path: a new file if it ends in .mp4, else a folder.
        streams: names of the streams.

    Raises:
        ConfigError: the path cannot be written, or FFmpeg lacks H.264.
    """

    takes = (Prediction, Event)

    def __init__(self, path: Path, streams: Sequence[str]) -> None:
        from ecolite_stream.media.h264 import check_encoder

        check_encoder("video")
        self._path = path
        self._is_file = check_video_path(path, streams)
        self._videos = {
            name: _StreamVideo(place, new_file) for name, place, new_file in _files(path, streams)
        }
        self._ending = False
        self._deadline_s = math.inf
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="video", daemon=True)

    def add_stream(self, name: str, views: Sequence[str] = ()) -> None:
        if name in self._videos or self._is_file:  # one file is one stream's
            return
        [(_, place, new_file)] = _files(self._path, [name])
        with self._changed:
            self._videos = {**self._videos, name: _StreamVideo(place, new_file)}

    def __enter__(self) -> Sink:
        self._thread.start()
        return self

    def show(self, frame: Frame, live: bool) -> bool:
        video = self._videos.get(frame.stream)
        if video is None:
            return True
        with self._changed:
            while not live and video.is_full and not self._ending:
                self._changed.wait(_WAIT_S)
            if video.failure or self._ending:
                return True
            if video.is_full:
                video.missing += 1
                return False
            video.frames.append(frame)
            self._changed.notify_all()
            return True

    def send(self, output: Output) -> None:
        video = self._videos.get(output.stream)
        if video is None:
            return
        with self._changed:
            video.add_output(output)
            self._changed.notify_all()
        if video.failure and not video.complained:
            video.complained = True
            raise OSError(f"{video.failure}; the video ends there")

    def hurry(self) -> None:
        self._deadline_s = time.monotonic() + _HURRY_S

    def close(self) -> None:
        """Encode the waiting frames and finish the files; after `hurry` skip frames when late."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while (ready := self._next()) is not None:
            video, scene = ready
            video.write(scene)
        for video in self._videos.values():
            video.close()

    def _next(self) -> tuple[_StreamVideo, _Scene] | None:
        """The next frame to draw, from the stream with the most waiting; None at the end."""
        with self._changed:
            while True:
                ready = [r for r in self._videos.values() if r.is_ready(self._ending)]
                if ready and self._ending and time.monotonic() > self._deadline_s:
                    return None
                if ready:
                    self._changed.notify_all()
                    video = max(ready, key=lambda video: len(video.frames))
                    return video, video.pop_scene()
                if self._ending:
                    return None
                self._changed.wait(_WAIT_S)


@dataclass(frozen=True)
class _Scene:
    """A frame, with the newest prediction of each view and the newest open event at its time."""

    frame: Frame
    predictions: Sequence[Prediction]
    event: Event | None

    def drawn(self) -> Image:
        """The picture with the boxes of all views; the strip has the surest label."""
        from ecolite_stream.media.overlay import draw

        surest = max(self.predictions, key=lambda one: one.score, default=None)
        frame = self.frame
        return draw(frame.image, frame.time_s, surest, self.event, self.predictions)


class _StreamVideo:
    """The video of a stream, with its waiting frames and outputs.

    Args:
        path: intended path, for messages before the file exists.
        new_file: makes the file; called at the first frame.
    """

    def __init__(self, path: Path, new_file: Callable[[], Path]) -> None:
        self.frames: deque[Frame] = deque()
        self.missing = 0
        self.failure = ""
        self.complained = False
        self._path = path
        self._new_file = new_file
        self._writer: Mp4Writer | None = None
        self._outputs: deque[tuple[float, Output]] = deque()
        self._predicted_s = -math.inf
        self._newest: dict[str, Prediction] = {}
        self._open: dict[str, Event] = {}
        self._last_s: float | None = None
        self._video_s = 0.0

    def add_output(self, output: Output) -> None:
        """Add a prediction, or an event that came with the prediction before."""
        if isinstance(output, Prediction):
            if output.time_s < self._predicted_s:  # the stream restarted
                self._outputs = deque((-math.inf, earlier) for _, earlier in self._outputs)
            self._predicted_s = output.time_s
        self._outputs.append((self._predicted_s, output))

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another frame."""
        return len(self.frames) >= CAPACITY or self._num_bytes() >= MAX_BYTES

    def is_ready(self, ending: bool) -> bool:
        """Whether the next frame can be drawn: a later prediction came, or too many wait."""
        if not self.frames:
            return False
        is_known = ending or self.frames[0].time_s < self._predicted_s
        return is_known or len(self.frames) > HELD or self._num_bytes() * 3 > MAX_BYTES * 2

    def _num_bytes(self) -> int:
        return sum(frame.num_bytes for frame in self.frames)

    def pop_scene(self) -> _Scene:
        """Pop the next frame; `is_ready` must hold."""
        frame = self.frames.popleft()
        while self._outputs and self._outputs[0][0] <= frame.time_s:
            _, output = self._outputs.popleft()
            if isinstance(output, Prediction):
                self._note(output)
            elif output.kind == "end":
                self._open.pop(output.view, None)
            else:
                self._open[output.view] = output
        event = list(self._open.values())[-1] if self._open else None
        return _Scene(frame, list(self._newest.values()), event)

    def _note(self, prediction: Prediction) -> None:
        self._newest[prediction.view] = prediction
        for view, one in list(self._newest.items()):  # subjects come and go
            if abs(prediction.time_s - one.time_s) > VIEW_KEPT_S:
                del self._newest[view]

    def write(self, scene: _Scene) -> None:
        """Draw and encode a frame; after an error do nothing."""
        if self.failure:
            return
        time_s = scene.frame.time_s
        if self._last_s is not None:
            step_s = time_s - self._last_s
            self._video_s += step_s if step_s > 0 else _STEP_S
        self._last_s = time_s
        try:
            drawn = scene.drawn()
            if self._writer is None:
                self._writer = self._new_writer()
            self._writer.add(drawn, self._video_s)
        except SourceError:  # a damaged picture
            self.missing += 1
        except Exception as error:  # the thread must go on, or a recording would wait for ever
            self.failure = str(error) or type(error).__name__

    def _new_writer(self) -> Mp4Writer:
        from ecolite_stream.media.h264 import PIECES, Mp4Writer

        try:
            self._path = self._new_file()
        except FileExistsError as error:
            raise OSError(f"{self._path}: another run made it; choose another file") from error
        return Mp4Writer(self._path, PIECES)

    def close(self) -> None:
        """Finish the file."""
        self.missing += len(self.frames)
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            self.failure = self.failure or str(error)
        if self.failure and not self.complained:
            _log.error("%s; the video ends there", self.failure)
        if self.missing:
            _log.warning(
                "%s: %d frames are missing: damaged, or not encoded in time",
                self._path,
                self.missing,
            )


def check_video_path(path: Path, streams: Sequence[str]) -> bool:
    """Return whether the path of a video is a file; else it is a folder.

    Raises:
        ConfigError: it is an existing file, or one file for several streams.
    """
    is_file = path.suffix.lower() == SUFFIX
    if is_file and len(streams) > 1:
        raise ConfigError(f"video is {path}; expected a folder for several streams")
    if is_file and (path.exists() or path.is_symlink()):
        raise ConfigError(f"video: {path} exists already; choose another file, or a folder")
    return is_file


def _files(path: Path, streams: Sequence[str]) -> Iterator[tuple[str, Path, Callable[[], Path]]]:
    """(name, intended path, function that makes a new file) of each stream."""
    is_file = check_video_path(path, streams)
    folder = path.parent if is_file else path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError as error:
        raise ConfigError(
            f"video: {folder} is a file; name a new {SUFFIX} file, or a folder"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"video: {folder} cannot be written to: {error.strerror}; choose another place"
        ) from error
    for name in streams:
        stem = clip_name(name).removesuffix(SUFFIX)
        if is_file:
            yield name, path, partial(create, path)
        else:
            place = folder / f"{stem}{SUFFIX}"
            yield name, place, partial(create_numbered, folder, stem, SUFFIX)


def _check(config: VideoConfig, run: Run) -> str:
    assert config.path is not None
    check_video_path(config.path, run.streams)
    return f"videos to {check_writable(config.path)}"


def _build(config: VideoConfig, run: Run) -> Sink:
    assert config.path is not None
    return VideoSink(config.path, run.streams)


SINK = SinkKind(
    "video",
    VideoConfig,
    key="path",
    metavar="PATH",
    help="Write the stream with its labels drawn in to FILE.mp4, or each stream to a folder.",
    check=_check,
    build=_build,
)
