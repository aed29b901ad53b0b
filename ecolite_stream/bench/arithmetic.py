"""How many multiply-adds the two nets take: counted from the architecture, not measured."""

from __future__ import annotations

from dataclasses import dataclass

from ecolite_stream.bundle import ModelSpec

BLOCKS = {"3a": ((64, 64), (64, 96), 32), "3b": ((64, 96), (64, 96), 64)}
"""Of each inception block: 3x3 (reduce, out), double 3x3 (reduce, out twice), projection; the 1x1
branch has 64 channels in both."""


@dataclass(frozen=True)
class MultiplyAdds:
    """What a bundle's graphs take.

    Attributes:
        encoder: for one frame.
        head: for one clip of N features.
    """

    encoder: int
    head: int


def multiply_adds(spec: ModelSpec) -> MultiplyAdds | None:
    """Multiply-adds of ECO-Lite's convolutions and of its classifier; None for another network.

    As the layers are written: positions that a kernel finds in the zero padding count, though a
    library may skip them. Batch norm, ReLU and pooling are left out: they are no matrix products.
    """
    if spec.architecture != "eco_lite":
        return None
    num_classes, width = len(spec.labels), spec.width
    return MultiplyAdds(
        _encoder(spec.preprocessing.image_size, width),
        _head(spec.num_segments, spec.feature_shape[1], num_classes, width),
    )


def channels_at(channels: int, width: float) -> int:
    """Channels of a layer at a width: a multiple of 8, as the trainer's networks have it."""
    return channels if width == 1 else max(8, 8 * round(channels * width / 8))


def _encoder(image_size: int, width: float) -> int:
    def ch(channels: int) -> int:
        return channels_at(channels, width)

    half = _halved(image_size)
    quarter = _pooled(half)
    eighth = _pooled(quarter)
    total = half**2 * 7**2 * 3 * ch(64)
    total += quarter**2 * (ch(64) * ch(64) + 9 * ch(64) * ch(192))
    into, pixels = ch(192), eighth**2
    for (reduce, out), (double_reduce, double), projection in BLOCKS.values():
        total += pixels * into * (ch(64) + ch(reduce) + ch(double_reduce) + ch(projection))
        total += pixels * 9 * ch(reduce) * ch(out)
        total += pixels * 9 * (ch(double_reduce) * ch(double) + ch(double) ** 2)
        into = ch(64) + ch(out) + ch(double) + ch(projection)
    return total + pixels * (into * ch(64) + 9 * ch(64) * ch(96))


def _head(num_segments: int, side: int, num_classes: int, width: float) -> int:
    into, *stages = (channels_at(c, width) for c in (96, 128, 256, 512))
    points, out = num_segments * side**2, stages[0]
    total = points * 27 * (into * out + 2 * out**2)
    for wider in stages[1:]:
        num_segments, side = _halved(num_segments), _halved(side)
        points = num_segments * side**2
        total += points * 27 * (2 * out * wider + 3 * wider**2)  # two from before, three within
        out = wider
    return total + out * num_classes


def _halved(size: int) -> int:
    """What a padded convolution with stride 2 leaves."""
    return (size + 1) // 2


def _pooled(size: int) -> int:
    """What a pool of 3 with stride 2 leaves; it has no padding and rounds up."""
    return (size - 2) // 2 + 1
