"""Multiply-adds of the two nets, counted from the architecture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ecolite_stream.model.bundle import ModelSpec

Block = tuple[int, tuple[int, int], tuple[int, int], int]
"""Of an inception block: 1x1, 3x3 (reduce, out), double 3x3 (reduce, out twice), projection."""

STEM: tuple[Block, ...] = ((64, (64, 64), (64, 96), 32), (64, (64, 96), (64, 96), 64))
"""3a and 3b."""

TO_4D: tuple[Block, ...] = (
    (224, (64, 96), (96, 128), 128),
    (192, (96, 128), (96, 128), 128),
    (160, (128, 160), (128, 160), 128),
    (96, (128, 192), (160, 192), 128),
)
"""4a to 4d, of ECO-Full."""

TO_5B: tuple[Block, ...] = (
    (352, (192, 320), (160, 224), 128),
    (352, (192, 320), (192, 224), 128),
)
"""5a and 5b."""


@dataclass(frozen=True)
class MultiplyAdds:
    """Multiply-adds of a bundle's graphs.

    Attributes:
        encoder: for one frame.
        head: for one clip of N features.
    """

    encoder: int
    head: int


def multiply_adds(spec: ModelSpec) -> MultiplyAdds | None:
    """Multiply-adds of ECO's convolutions and of its classifier; None for another network.

    Kernel positions in the zero padding count, though a library may skip them. Batch norm, ReLU and
    pooling do not count.
    """
    if spec.architecture not in ("eco_lite", "eco_full"):
        return None
    width = spec.width
    side = _pooled(_pooled(_halved(spec.preprocessing.image_size)))
    encoder = _encoder(spec.preprocessing.image_size, width)
    vector = 0
    if spec.architecture == "eco_full":
        rest, vector = _stream_2d(side, width)
        encoder += rest
    return MultiplyAdds(encoder, _head(spec.num_segments, side, vector, len(spec.labels), width))


def channels_at(channels: int, width: float) -> int:
    """Channels of a layer at a width: a multiple of 8, as the trainer's networks have it."""
    return channels if width == 1 else max(8, 8 * round(channels * width / 8))


def _encoder(image_size: int, width: float) -> int:
    """From the picture to the map that enters the 3D net."""

    def ch(channels: int) -> int:
        return channels_at(channels, width)

    half = _halved(image_size)
    quarter = _pooled(half)
    pixels = _pooled(quarter) ** 2
    total = half**2 * 7**2 * 3 * ch(64)
    total += quarter**2 * (ch(64) * ch(64) + 9 * ch(64) * ch(192))
    blocks, into = _blocks(STEM, ch(192), pixels, width)
    return total + blocks + pixels * (into * ch(64) + 9 * ch(64) * ch(96))


def _stream_2d(side: int, width: float) -> tuple[int, int]:
    """ECO-Full's second stream: from 3b's maps of that side to a vector, and the vector's size."""

    def ch(channels: int) -> int:
        return channels_at(channels, width)

    from_3b = sum(map(ch, (64, 96, 96, 64)))
    half = _halved(side)
    total = side**2 * from_3b * ch(128)  # 3c; its double branch begins with the 3D net's map
    total += half**2 * 9 * (ch(128) * ch(160) + ch(96) * ch(96))
    blocks, into = _blocks(TO_4D, ch(160) + ch(96) + from_3b, half**2, width)
    total += blocks
    quarter = _halved(half)
    total += half**2 * (into * (ch(128) + ch(192)) + 9 * ch(192) * ch(256))  # 4e
    total += quarter**2 * 9 * (ch(128) * ch(192) + ch(256) ** 2)
    blocks, into = _blocks(TO_5B, ch(192) + ch(256) + into, quarter**2, width)
    return total + blocks, into


def _blocks(blocks: Iterable[Block], into: int, pixels: int, width: float) -> tuple[int, int]:
    """Inception blocks of stride 1 in a row, and the channels that come out."""

    def ch(channels: int) -> int:
        return channels_at(channels, width)

    total = 0
    for one, (reduce, out), (double_reduce, double), projection in blocks:
        total += pixels * into * (ch(one) + ch(reduce) + ch(double_reduce) + ch(projection))
        total += pixels * 9 * ch(reduce) * ch(out)
        total += pixels * 9 * (ch(double_reduce) * ch(double) + ch(double) ** 2)
        into = ch(one) + ch(out) + ch(double) + ch(projection)
    return total, into


def _head(num_segments: int, side: int, vector: int, num_classes: int, width: float) -> int:
    """The 3D net and the classifier, which also sees ECO-Full's vector."""
    into, *stages = (channels_at(c, width) for c in (96, 128, 256, 512))
    points, out = num_segments * side**2, stages[0]
    total = points * 27 * (into * out + 2 * out**2)
    for wider in stages[1:]:
        num_segments, side = _halved(num_segments), _halved(side)
        points = num_segments * side**2
        total += points * 27 * (2 * out * wider + 3 * wider**2)  # two from before, three within
        out = wider
    return total + (out + vector) * num_classes


def _halved(size: int) -> int:
    """Output size of a padded convolution with stride 2."""
    return (size + 1) // 2


def _pooled(size: int) -> int:
    """Output size of a 3x3 pool with stride 2, without padding, rounded up."""
    return (size - 2) // 2 + 1
