"""Other exact forms of the slowest parts of a training step, measured by `training`.

None is used: on a CPU none was faster (docs/benchmarks.md). They are kept to measure the next
MindSpore.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest.mock import patch

import mindspore as ms
import mindspore.ops as ops

from trainer.network import eco_lite
from trainer.network.blocks import Conv3d, ConvBN

VARIANTS = ("as it is", "space to depth", "conv2d_only", "no clipping")
"""`space to depth`: the first convolution, 7x7 with stride 2, as 4x4 on four times the channels.
`conv2d_only`: 3D convolutions as sums of 2D ones. `no clipping`: the cost of clipping gradients."""


def blocks_of(variant: str) -> AbstractContextManager[object]:
    """Networks that are built in this context have the variant's parts."""
    parts: dict[str, Any] = {}
    if variant == "space to depth":
        parts["ConvBN"] = conv_bn
    if variant == "conv2d_only":
        parts["Conv3d"] = PlanarConv3d
    return patch.multiple(eco_lite, **parts) if parts else nullcontext()


def conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> ConvBN:
    """`ConvBN`, but for the first one."""
    kind = SpaceToDepthConvBN if kernel == 7 else ConvBN
    return kind(in_channels, out_channels, kernel, stride)


class SpaceToDepthConvBN(ConvBN):
    """7x7 with stride 2 on (K, C, H, W) as 4x4 with stride 1 on (K, 4C, H / 2 + 3, W / 2 + 3).

    The kernel gets a row and a column of zeros in front; H and W are even.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, kernel, stride)
        self.valid = ops.Conv2D(out_channels, 4, pad_mode="valid")
        self.add_bias = ops.BiasAdd()

    def construct(self, x_KCHW: ms.Tensor) -> ms.Tensor:
        weight = self.conv.weight
        o, c = weight.shape[:2]
        weight = ops.concat((ops.zeros((o, c, 7, 1), ms.float32), weight), 3)
        weight = ops.concat((ops.zeros((o, c, 1, 8), ms.float32), weight), 2)
        x_KCHW = self.folded(self.padded(x_KCHW))
        x_KCHW = self.valid(x_KCHW, self.folded(weight))
        return self.relu(self.bn(self.add_bias(x_KCHW, self.conv.bias)))

    def padded(self, x_KCHW: ms.Tensor) -> ms.Tensor:
        """Zeros round it: 4 before and 2 after, in both directions."""
        k, c, h, w = x_KCHW.shape
        before = ops.zeros((k, c, h, 4), ms.float32)
        x_KCHW = ops.concat((before, x_KCHW, ops.zeros((k, c, h, 2), ms.float32)), 3)
        before = ops.zeros((k, c, 4, w + 6), ms.float32)
        return ops.concat((before, x_KCHW, ops.zeros((k, c, 2, w + 6), ms.float32)), 2)

    def folded(self, x_KCHW: ms.Tensor) -> ms.Tensor:
        """(K, C, H, W) -> (K, 4C, H / 2, W / 2)."""
        k, c, h, w = x_KCHW.shape
        x_KCHW = x_KCHW.reshape((k, c, h // 2, 2, w // 2, 2)).transpose((0, 1, 3, 5, 2, 4))
        return x_KCHW.reshape((k, 4 * c, h // 2, w // 2))


class PlanarConv3d(Conv3d):
    """A 3x3x3 convolution as three 3x3 ones; an even number of steps, or one, where it strides."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, stride)
        self.stride = stride
        self.conv2d = ops.Conv2D(out_channels, 3, stride=stride, pad_mode="pad", pad=(1, 1, 1, 1))

    def construct(self, x_BCTHW: ms.Tensor) -> ms.Tensor:
        b, c, t, h, w = x_BCTHW.shape
        frames_KCHW = x_BCTHW.swapaxes(1, 2).reshape((b * t, c, h, w))
        if self.stride == 1:
            at = self.tap(frames_KCHW, 1, b)
            if t > 1:
                before = ops.split(self.tap(frames_KCHW, 0, b), [t - 1, 1], 1)[0]
                after = ops.split(self.tap(frames_KCHW, 2, b), [1, t - 1], 1)[1]
                nothing = ops.zeros((b, 1, *at.shape[2:]), ms.float32)
                at = at + ops.concat((nothing, before), 1) + ops.concat((after, nothing), 1)
        elif t == 1:
            at = self.tap(frames_KCHW, 1, b)
        else:
            even, odd = ops.split(frames_KCHW.reshape((b, t // 2, 2, c, h, w)), 1, 2)
            even, odd = even.reshape((-1, c, h, w)), odd.reshape((-1, c, h, w))
            at = self.tap(even, 1, b) + self.tap(odd, 2, b)
            if t > 2:
                before = ops.split(self.tap(odd, 0, b), [t // 2 - 1, 1], 1)[0]
                nothing = ops.zeros((b, 1, *at.shape[2:]), ms.float32)
                at = at + ops.concat((nothing, before), 1)
        return (at + self.conv.bias.reshape((1, 1, -1, 1, 1))).swapaxes(1, 2)

    def tap(self, frames_KCHW: ms.Tensor, step: int, clips: int) -> ms.Tensor:
        """One step in time of the kernel: (B * T, in, H, W) -> (B, T, out, H', W')."""
        weight = ops.split(self.conv.weight, 1, 2)[step]
        o, c = weight.shape[:2]
        y_KCHW = self.conv2d(frames_KCHW, weight.reshape((o, c, 3, 3)))
        return y_KCHW.reshape((clips, -1, *y_KCHW.shape[1:]))
