"""From a decoded picture of any kind to an upright BGR image, once and only when asked."""

from __future__ import annotations

import threading
from typing import cast

import cv2
import numpy as np
from av import VideoFrame
from av.error import FFmpegError

from ecolite_stream.errors import SourceError
from ecolite_stream.model.preprocess import shrink_luma
from ecolite_stream.types import Image, Luma

_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED and its like
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_LUMA_FIRST = frozenset(
    f"yuv{j}{kind}p" for j in ("", "j") for kind in ("411", "420", "422", "440", "444")
) | {"nv12", "nv21", "nv16"}
"""Formats whose first plane is the brightness, one byte a pixel."""


class LazyImage:
    """A function that converts a decoded picture at its first call and keeps the result."""

    def __init__(self, picture: VideoFrame) -> None:
        self._picture: VideoFrame | None = picture
        self._image: Image | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Image:
        """(H, W, 3) uint8 BGR; read-only, for everyone who asks gets the same array."""
        with self._lock:
            if self._picture is not None:
                self._image = upright_bgr(self._picture)
                self._image.flags.writeable = False
                self._picture = None  # the decoder gets its buffer back
            return cast(Image, self._image)

    def luma(self, long_side: int) -> Luma:
        """The brightness, (h, w) uint8 from 0 to 255, upright, at most so many pixels long.

        Raises:
            SourceError: as `upright_bgr`.
        """
        with self._lock:
            picture, plane = self._picture, None
            if picture is not None:
                plane = _luma_plane(picture)
            if picture is not None and plane is not None:
                small = shrink_luma(plane, long_side)
                if picture.color_range != _FULL_RANGE and "j" not in picture.format.name:
                    small = cv2.convertScaleAbs(small, alpha=255 / 219, beta=-16 * 255 / 219)
                return np.asarray(np.rot90(small, _quarter_turns(picture)), np.uint8)
        grey = cv2.cvtColor(self(), cv2.COLOR_BGR2GRAY)
        return shrink_luma(np.asarray(grey, np.uint8), long_side)


def upright_bgr(picture: VideoFrame) -> Image:
    """The picture as (H, W, 3) uint8 BGR, turned as its display matrix asks (phone videos).

    It is turned to the nearest of the four directions; mirroring is not looked at.

    Raises:
        SourceError: FFmpeg cannot convert pictures of this kind.
    """
    image = _bgr(picture)
    quarter_turns = _quarter_turns(picture)
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


def _quarter_turns(picture: VideoFrame) -> int:
    """Counterclockwise."""
    return int(round(picture.rotation / 90) % 4)


def _luma_plane(picture: VideoFrame) -> Luma | None:
    """The 8-bit brightness as the decoder has it, (H, W); None in other formats."""
    if picture.format.name not in _LUMA_FIRST:
        return None
    plane = picture.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def _bgr(picture: VideoFrame) -> Image:
    try:
        return _convert(picture)
    except FFmpegError:
        # Damaged headers name colour spaces that do not exist: then do without.
        picture.colorspace = picture.color_trc = picture.color_primaries = _UNSPECIFIED
    try:
        return _convert(picture)
    except FFmpegError as error:
        raise SourceError(
            f"a {picture.width}x{picture.height} picture of {picture.format.name} cannot be turned "
            f"into BGR: {error.strerror}; convert the video to H.264 with ffmpeg"
        ) from error


def _convert(picture: VideoFrame) -> Image:
    # One thread: starting more takes longer than converting, and swscale's threads have been seen
    # to spoil a line now and then.
    return cast(Image, picture.to_ndarray(format="bgr24", threads=1))
