"""Convert a decoded picture to an upright BGR image, once and on demand."""

from __future__ import annotations

import functools
import threading
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av import VideoFrame
from av.error import FFmpegError

from ecolite_stream.errors import SourceError
from ecolite_stream.model.preprocess import shrink_luma
from ecolite_stream.sources.grey_levels import Levels, deep_grey, stretched
from ecolite_stream.sources.hardware import planar
from ecolite_stream.types import Image, Luma

SQUARE = Fraction(1)
"""Width of a pixel by its height."""

MOST_PIXELS = 1 << 25
"""Of a picture: 8K has a little less. As BGR they take 100 MB."""

_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED and its like
_SQUARE_WITHIN = Fraction(1, 100)
_WIDEST = 4
"""Pixels wider or taller than that are a mistake of a header: no camera has them."""
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_LUMA_FIRST = frozenset(
    f"yuv{j}{kind}p" for j in ("", "j") for kind in ("411", "420", "422", "440", "444")
) | {"nv12", "nv21", "nv16"}
"""Formats whose first plane is the brightness, one byte a pixel."""


class LazyImage:
    """A function that converts a decoded picture at its first call and keeps the result.

    Args:
        picture: as it was decoded.
        pixel_aspect: width of its pixels by their height.
        levels: of a deep grey picture, the values that become black and white.
        from_device: whether a device decoded it, see `hardware`.
    """

    def __init__(
        self,
        picture: VideoFrame,
        pixel_aspect: Fraction = SQUARE,
        levels: Levels | None = None,
        from_device: bool = False,
    ) -> None:
        self._picture: VideoFrame | None = picture
        self._pixel_aspect = pixel_aspect
        self._levels = levels
        self._from_device = from_device
        self._image: Image | None = None
        self._lock = threading.Lock()
        self._picture_bytes = 0

    @property
    def nbytes(self) -> int:
        """Memory that it takes now, in bytes: as the decoder left it, or converted."""
        with self._lock:
            if self._picture is None:
                return 0 if self._image is None else self._image.nbytes
            if not self._picture_bytes:
                self._picture_bytes = sum(plane.buffer_size for plane in self._picture.planes)
            return self._picture_bytes

    def __call__(self) -> Image:
        """(H, W, 3) uint8 BGR; read-only, for everyone who asks gets the same array."""
        with self._lock:
            if self._picture is not None:
                picture = planar(self._picture) if self._from_device else self._picture
                self._image = upright_bgr(picture, self._pixel_aspect, self._levels)
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
                height, width = plane.shape
                square = square_size(width, height, self._pixel_aspect)
                if square != (width, height):
                    plane = np.asarray(cv2.resize(plane, square), np.uint8)
                small = shrink_luma(plane, long_side)
                if picture.color_range != _FULL_RANGE and "j" not in picture.format.name:
                    small = cv2.convertScaleAbs(small, alpha=255 / 219, beta=-16 * 255 / 219)
                return np.asarray(np.rot90(small, _quarter_turns(picture)), np.uint8)
        grey = cv2.cvtColor(self(), cv2.COLOR_BGR2GRAY)
        return shrink_luma(np.asarray(grey, np.uint8), long_side)


def upright_bgr(
    picture: VideoFrame, pixel_aspect: Fraction = SQUARE, levels: Levels | None = None
) -> Image:
    """The picture as (H, W, 3) uint8 BGR with square pixels, turned as its display matrix asks.

    It is turned to the nearest of the four directions; mirroring is not looked at.

    Args:
        picture: as it was decoded.
        pixel_aspect: width of its pixels by their height; the shorter side of them is enlarged.
        levels: of a deep grey picture, the values that become black and white.

    Raises:
        SourceError: FFmpeg cannot convert pictures of this kind.
    """
    image = _bgr(picture, square_size(picture.width, picture.height, pixel_aspect), levels)
    quarter_turns = _quarter_turns(picture)
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


@functools.lru_cache(maxsize=64)
def square_size(width: int, height: int, pixel_aspect: Fraction) -> tuple[int, int]:
    """(width, height) of a picture once its pixels are square; never less than before."""
    is_square = abs(pixel_aspect - 1) <= _SQUARE_WITHIN
    if is_square or not Fraction(1, _WIDEST) <= pixel_aspect <= _WIDEST:
        return width, height
    if pixel_aspect > 1:
        square = round(width * pixel_aspect), height
    else:
        square = width, round(height / pixel_aspect)
    return square if square[0] * square[1] <= MOST_PIXELS else (width, height)


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


def _bgr(picture: VideoFrame, size: tuple[int, int], levels: Levels | None) -> Image:
    try:
        return _convert(picture, size, levels)
    except FFmpegError:
        # Damaged headers name colour spaces that do not exist: then do without.
        picture.colorspace = picture.color_trc = picture.color_primaries = _UNSPECIFIED
    try:
        return _convert(picture, size, levels)
    except FFmpegError as error:
        raise SourceError(
            f"a {picture.width}x{picture.height} picture of {picture.format.name} cannot be turned "
            f"into BGR: {error.strerror}; convert the video to H.264 with ffmpeg"
        ) from error


def _convert(picture: VideoFrame, size: tuple[int, int], levels: Levels | None) -> Image:
    if levels is not None:
        picture = VideoFrame.from_ndarray(stretched(deep_grey(picture), levels), "gray")
    # One thread: starting more takes longer than converting, and swscale's threads have been seen
    # to spoil a line now and then.
    width, height = size
    return cast(Image, picture.to_ndarray(format="bgr24", width=width, height=height, threads=1))
