"""Write pictures with times as H.264 in an MP4 file that browsers play."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from ecolite_stream.errors import ConfigError
from ecolite_stream.model.preprocess import resize
from ecolite_stream.types import Image

CODEC = "libx264"
INDEX_FIRST = "faststart"
"""The index at the beginning, written last: playing can begin before the download ends."""
PIECES = "frag_keyframe+empty_moov+default_base_moof"
"""Complete pieces: after a crash the file plays up to the last one."""
_UNIT = Fraction(1, 90_000)
_GUESSED_FPS = 25
_OPTIONS = {
    "preset": "superfast",
    "crf": "24",
    "g": "50",
    "bf": "0",
    "x264-params": "colormatrix=smpte170m",  # what swscale makes of BGR
}


class Mp4Writer:
    """Encodes pictures into a file, in yuv420p, without sound.

    The first picture sets the size, made even; others are resized. `close` completes the file.

    Args:
        path: file to write; replaced if it exists.
        how: `INDEX_FIRST` or `PIECES`.
        tags: metadata of the file: title, comment.
    """

    def __init__(self, path: Path, how: str, tags: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._how = how
        self._tags = dict(tags or {})
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)
        self._last = -1

    def add(self, image: Image, time_s: float) -> None:
        """Add a picture, (H, W, 3) uint8 BGR, shown from `time_s` of the video.

        A picture that is not later than the last is skipped.

        Raises:
            OSError: it cannot be encoded or written.
        """
        ticks = round(time_s / _UNIT)
        if ticks <= self._last:
            return
        self._last = ticks
        try:
            if self._container is None:
                self._open(image)
            frame = av.VideoFrame.from_ndarray(self._fitting(image), "bgr24")
            frame = frame.reformat(format="yuv420p", threads=1)
            frame.pts, frame.time_base = ticks, _UNIT
            self._container.mux(self._stream.encode(frame))
        except (FFmpegError, OSError) as error:
            raise self._failure(error) from error

    def close(self) -> bool:
        """Finish the file.

        Returns:
            Whether there is a file: it has a picture.

        Raises:
            OSError: it cannot be written.
        """
        if self._container is None:
            return False
        container, self._container = self._container, None
        try:
            try:
                if self._stream is not None:
                    container.mux(self._stream.encode(None))
            finally:
                container.close()
        except (FFmpegError, OSError) as error:
            raise self._failure(error) from error
        return True

    def _open(self, image: Image) -> None:
        height, width = image.shape[:2]
        self._size = (max(2, width // 2 * 2), max(2, height // 2 * 2))
        options = {"movflags": self._how, "flush_packets": "1"}
        self._container = av.open(str(self._path), "w", format="mp4", options=options)
        self._container.metadata.update(self._tags)
        self._stream = self._container.add_stream(CODEC, rate=_GUESSED_FPS, options=_OPTIONS)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _UNIT
        self._stream.codec_context.thread_count = 1  # the cores are for the engine

    def _fitting(self, image: Image) -> Image:
        height, width = image.shape[:2]
        return image if (width, height) == self._size else resize(image, self._size)

    def _failure(self, error: Exception) -> OSError:
        reason = getattr(error, "strerror", None) or error
        return OSError(f"{self._path}: cannot be written: {reason}")


def check_encoder(wanted_by: str) -> None:
    """Raise a ConfigError if this FFmpeg cannot encode H.264."""
    try:
        av.Codec(CODEC, "w")
    except (FFmpegError, ValueError) as error:
        raise ConfigError(
            f"{wanted_by} needs FFmpeg's {CODEC}, which this build of PyAV lacks; "
            "run pip install --force-reinstall --only-binary av av"
        ) from error
