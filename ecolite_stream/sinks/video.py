"""The streams as videos, with label, score and event drawn in."""

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

from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.media.clip_names import SUFFIX, clip_name
from ecolite_stream.media.h264 import PIECES, Mp4Writer, check_encoder
from ecolite_stream.media.new_files import create, create_numbered
from ecolite_stream.media.overlay import draw
from ecolite_stream.sinks.base import FrameSink, Sink
from ecolite_stream.sinks.kind import Run, SinkKind, check_writable
from ecolite_stream.types import Event, Frame, Output, Prediction

_log = logging.getLogger(__name__)

HELD = 50
"""Frames of a stream that wait for the prediction after them; what is older is drawn as it is."""
CAPACITY = 75
"""Frames of a stream that wait at all."""
MAX_BYTES = 256_000_000
"""Memory that the waiting frames of a stream take, but for one; two thirds of it are for `HELD`."""
_WAIT_S = 1.0
_HURRY_S = 0.7
_STEP_S = 0.04


@dataclass(frozen=True)
class VideoConfig:
    """The streams as videos with label, score and event drawn in (docs/events.md).

    Attributes:
        path: FILE.mp4 for one stream, or a folder; None writes none.
    """

    path: Path | None = None


class VideoSink(FrameSink):
    """Writes each stream to an MP4 file; frames are at their own times, from the first one on.

    A thread of its own encodes. It draws what the newest prediction at a frame's time says, for
    which a frame waits until a later prediction is known. Every frame of a recording is in the
    video; of a live stream those are left out that come while too many wait, which is logged.
    Each second or two of a file is complete in itself, so that it plays however a run ends.

    Args:
        path: the file, if it ends in .mp4, which must not exist; or else a folder.
        streams: names of the streams.

    Raises:
        ConfigError: it cannot be written there, or H.264 cannot be made.
    """

    takes = (Prediction, Event)

    def __init__(self, path: Path, streams: Sequence[str]) -> None:
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

    def add_stream(self, name: str) -> None:
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
            video.tell(output)
            self._changed.notify_all()
        if video.failure and not video.complained:
            video.complained = True
            raise OSError(f"{video.failure}; the video ends there")

    def hurry(self) -> None:
        self._deadline_s = time.monotonic() + _HURRY_S

    def close(self) -> None:
        """Encode what waits, and finish the files; in a hurry leave out what takes too long."""
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
        """What can be drawn next, of the stream that has most of it; nothing at the end."""
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
    """A frame, and what was known at its time."""

    frame: Frame
    prediction: Prediction | None
    event: Event | None


class _StreamVideo:
    """A stream's video: the frames that wait, and what is known of them.

    Args:
        path: where the video is to be, for messages before there is one.
        new_file: makes the file; called with the first frame.
    """

    def __init__(self, path: Path, new_file: Callable[[], Path]) -> None:
        self.frames: deque[Frame] = deque()
        self.missing = 0
        self.failure = ""
        self.complained = False
        self._path = path
        self._new_file = new_file
        self._film: Mp4Writer | None = None
        self._told: deque[tuple[float, Output]] = deque()
        self._told_s = -math.inf
        self._prediction: Prediction | None = None
        self._event: Event | None = None
        self._last_s: float | None = None
        self._film_s = 0.0

    def tell(self, output: Output) -> None:
        """Take a prediction, or an event that was told with the one before."""
        if isinstance(output, Prediction):
            if output.time_s < self._told_s:  # the stream's time began again
                self._told = deque((-math.inf, earlier) for _, earlier in self._told)
            self._told_s = output.time_s
        self._told.append((self._told_s, output))

    @property
    def is_full(self) -> bool:
        """Whether no further frame may wait."""
        return len(self.frames) >= CAPACITY or self._num_bytes() >= MAX_BYTES

    def is_ready(self, ending: bool) -> bool:
        """Whether all is known about the next frame, or enough have waited."""
        if not self.frames:
            return False
        is_known = ending or self.frames[0].time_s < self._told_s
        return is_known or len(self.frames) > HELD or self._num_bytes() * 3 > MAX_BYTES * 2

    def _num_bytes(self) -> int:
        return sum(frame.num_bytes for frame in self.frames)

    def pop_scene(self) -> _Scene:
        """The next frame; it must be ready."""
        frame = self.frames.popleft()
        while self._told and self._told[0][0] <= frame.time_s:
            _, output = self._told.popleft()
            if isinstance(output, Prediction):
                self._prediction = output
            else:
                self._event = None if output.kind == "end" else output
        return _Scene(frame, self._prediction, self._event)

    def write(self, scene: _Scene) -> None:
        """Draw and encode a frame; after an error nothing more."""
        if self.failure:
            return
        time_s = scene.frame.time_s
        if self._last_s is not None:
            step_s = time_s - self._last_s
            self._film_s += step_s if step_s > 0 else _STEP_S
        self._last_s = time_s
        try:
            drawn = draw(scene.frame.image, time_s, scene.prediction, scene.event)
            if self._film is None:
                self._film = self._new_film()
            self._film.add(drawn, self._film_s)
        except SourceError:  # a damaged picture
            self.missing += 1
        except Exception as error:  # or else a recording would wait for this thread for ever
            self.failure = str(error) or type(error).__name__

    def _new_film(self) -> Mp4Writer:
        try:
            self._path = self._new_file()
        except FileExistsError as error:
            raise OSError(f"{self._path}: another run made it; choose another file") from error
        return Mp4Writer(self._path, PIECES)

    def close(self) -> None:
        """Finish the file."""
        self.missing += len(self.frames)
        try:
            if self._film is not None:
                self._film.close()
        except OSError as error:
            self.failure = self.failure or str(error)
        if self.failure and not self.complained:
            _log.error("%s; the video ends there", self.failure)
        if self.missing:
            _log.warning(
                "%s: %d frames are not in it: damaged, or too many to encode in time",
                self._path,
                self.missing,
            )


def check_video_path(path: Path, streams: Sequence[str]) -> bool:
    """Tell whether the path of a video is a file; if not, it is a folder.

    Raises:
        ConfigError: it is a file that is there already, or one for several streams.
    """
    is_file = path.suffix.lower() == SUFFIX
    if is_file and len(streams) > 1:
        raise ConfigError(f"video is {path}; expected a folder, for there are several streams")
    if is_file and (path.exists() or path.is_symlink()):
        raise ConfigError(f"video: {path} is there already; choose another file, or a folder")
    return is_file


def _files(path: Path, streams: Sequence[str]) -> Iterator[tuple[str, Path, Callable[[], Path]]]:
    """(name of a stream, where its file is to be, what makes a file that no other run has)."""
    is_file = check_video_path(path, streams)
    folder = path.parent if is_file else path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
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
