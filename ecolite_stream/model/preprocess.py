"""From a picture to the network's input. Pure; the trainer uses these very functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ecolite_stream.errors import ConfigError
from ecolite_stream.types import FloatArray, Image, Luma

FRAMINGS = ("center", "whole", "follow")
CHANNEL_ORDERS = ("BGR", "RGB")


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network input.

    Attributes:
        image_size: S, side of the square input in pixels.
        framing: `center` is the published test transform: short side to 8/7 S, middle S x S crop.
            `whole` resizes the whole picture to S x S, so that nothing at the borders is lost.
            `follow` is `center` within the square that follows what moves (`views.follow`), which
            is cut out first.
        mean: subtracted from each channel, in the order of `channel_order`; 0 to 255.
        scale: multiplies what is left; 1 as published.
        channel_order: BGR as published, or RGB.
    """

    image_size: int = 224
    framing: str = "center"
    mean: tuple[float, float, float] = (104.0, 117.0, 128.0)
    scale: float = 1.0
    channel_order: str = "BGR"

    def __post_init__(self) -> None:
        if not 16 <= self.image_size <= 1024:
            raise ConfigError(f"image_size is {self.image_size}; expected 16 to 1024 pixels")
        if self.framing not in FRAMINGS:
            raise ConfigError(f"framing is {self.framing!r}; expected {' or '.join(FRAMINGS)}")
        if len(self.mean) != 3:
            raise ConfigError(f"mean has {len(self.mean)} values; expected 3, one a channel")
        if not all(abs(value) <= 1000 for value in self.mean):  # False for what is no number
            raise ConfigError(f"mean is {self.mean}; expected -1000 to 1000")
        if not 1e-6 <= self.scale <= 1000:
            raise ConfigError(f"scale is {self.scale}; expected 1e-06 to 1000")
        if self.channel_order not in CHANNEL_ORDERS:
            raise ConfigError(
                f"channel_order is {self.channel_order!r}; expected {' or '.join(CHANNEL_ORDERS)}"
            )

    @property
    def short_side(self) -> int:
        """Length the short side is brought to before the middle is cut out: 256 for 224."""
        return round(self.image_size * 8 / 7)


def preprocess(image: Image, how: Preprocessing) -> FloatArray:
    """(H, W, 3) uint8 BGR -> (3, S, S) float32, ready for the encoder."""
    return normalize(frame_square(image, how), how)


def frame_square(image: Image, how: Preprocessing) -> Image:
    """(H, W, 3) uint8 -> the (S, S, 3) uint8 square that the network looks at."""
    size = how.image_size
    if how.framing == "whole":
        return resize(image, (size, size))
    height, width = image.shape[:2]
    resized = short_side_size((width, height), how.short_side)
    left, top = (round((side - size) / 2) for side in resized)
    if resized[0] < width and resized[1] < height:
        columns = _Span.around(left, left + size, width, resized[0])
        rows = _Span.around(top, top + size, height, resized[1])
        image = image[rows.source, columns.source]
        resized, left, top = (columns.length, rows.length), left - columns.begin, top - rows.begin
    image = resize(image, resized)
    return image[top : top + size, left : left + size]


@dataclass(frozen=True)
class _Span:
    """Pixels of one side of a resized picture, and those of the source that they are made of.

    Both begin and end at the same places, so that a part of the source, resized alone, gives the
    pixels that the whole would.
    """

    source: slice
    begin: int
    length: int

    @classmethod
    def around(cls, begin: int, end: int, source: int, resized: int) -> _Span:
        """The smallest span that holds begin to end, of a side of `resized` pixels."""
        parts = math.gcd(source, resized)
        step, source_step = resized // parts, source // parts
        first, last = begin // step, -(-end // step)
        columns = slice(first * source_step, last * source_step)
        return cls(columns, first * step, (last - first) * step)


def normalize(square: Image, how: Preprocessing) -> FloatArray:
    """(S, S, 3) uint8 BGR -> (3, S, S) float32: channel order, mean and scale applied."""
    channels = cv2.split(square)
    if how.channel_order == "RGB":
        channels = channels[::-1]
    pixels = np.empty((3, *square.shape[:2]), np.float32)
    for plane, channel, mean in zip(pixels, channels, how.mean, strict=True):
        np.subtract(channel, np.float32(mean), out=plane, dtype=np.float32)
    if how.scale != 1:
        pixels *= np.float32(how.scale)
    return pixels


def denormalize(pixels: FloatArray, how: Preprocessing) -> Image:
    """The reverse of `normalize`, exactly: (3, S, S) float32 -> (S, S, 3) uint8 BGR."""
    means = np.asarray(how.mean, np.float32)[:, None, None]
    square = np.rint(pixels / np.float32(how.scale) + means).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(square[:, :, ::-1] if how.channel_order == "RGB" else square)


def resize_short_side(image: Image, length: int) -> Image:
    """Resize so that the short side has `length` pixels, aspect kept."""
    return resize(image, short_side_size((image.shape[1], image.shape[0]), length))


def short_side_size(size: tuple[int, int], length: int) -> tuple[int, int]:
    """(width, height) of a picture whose short side is brought to `length`, aspect kept."""
    width, height = size
    factor = length / min(height, width)
    return max(length, round(width * factor)), max(length, round(height * factor))


def shrink_luma(luma: Luma, long_side: int) -> Luma:
    """(H, W) uint8 -> (h, w) with a long side of at most `long_side` pixels, aspect kept.

    Of a large picture every second, third ... pixel is read: enough to see motion, and cheap.
    """
    stride = max(1, max(luma.shape) // (2 * long_side))
    luma = luma[::stride, ::stride]
    factor = min(1.0, long_side / max(luma.shape))
    size = max(1, round(luma.shape[1] * factor)), max(1, round(luma.shape[0] * factor))
    return np.asarray(resize(luma, size), np.uint8)


def resize(image: Image, size: tuple[int, int]) -> Image:
    """Resize to (width, height): bilinear, averaging over areas where the picture shrinks.

    The published transform is PIL's bilinear, which averages when it shrinks; plain bilinear
    would alias there.
    """
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    shrinks = size[0] < width and size[1] < height
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
