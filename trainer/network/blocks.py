"""Building blocks of the ECO networks: convolutions with batch norm, pooling, inception blocks.

Attribute names are checkpoint names; `trainer.checkpoints` maps them to the published ones.
"""

from __future__ import annotations

import mindspore as ms
import mindspore.nn as nn
import mindspore.ops as ops
import numpy as np

BN_EPS = 1e-5
BN_MOMENTUM = 0.9  # PyTorch's 0.1: the share of the old statistics that stays


def scaled(channels: int, width: float) -> int:
    """Channels at a width multiplier, in steps of 8; width 1 leaves the paper's numbers alone."""
    return channels if width == 1 else max(8, 8 * round(channels * width / 8))


class ConvBN(nn.Cell):
    """2D convolution with bias, batch norm, ReLU; pads so that stride 1 keeps the size.

    (K, in, H, W) -> (K, out, ceil(H / stride), ceil(W / stride)) float32.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            pad_mode="pad",
            padding=kernel // 2,
            has_bias=True,
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.relu = nn.ReLU()

    def construct(self, x_KCHW: ms.Tensor) -> ms.Tensor:
        return self.relu(self.bn(self.conv(x_KCHW)))


class PooledProjection(nn.Cell):
    """Inception's pool branch: 3x3 average pool (stride 1, padding counted), then 1x1 `ConvBN`.

    The two linear steps are swapped, which changes nothing and pools only the few projected
    channels; the bias is added after pooling, where padding cannot touch it. The mean is a
    depthwise convolution with a constant kernel: MindSpore's CPU average pooling is a plain
    loop, and its padded form cannot be exported to ONNX.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, pad_mode="valid", has_bias=True)
        # Tuples, because the ONNX exporter does not take plain numbers.
        ones = {"stride": (1, 1), "dilation": (1, 1)}
        self.project = ops.Conv2D(out_channels, (1, 1), pad_mode="valid", **ones)
        self.mean = ops.Conv2D(
            out_channels, (3, 3), pad_mode="pad", pad=(1, 1, 1, 1), group=out_channels, **ones
        )
        self.mean_kernel = ms.Tensor(np.full((out_channels, 1, 3, 3), 1 / 9, np.float32))
        self.add_bias = ops.BiasAdd()
        self.bn = nn.BatchNorm2d(out_channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.relu = nn.ReLU()

    def construct(self, x_KCHW: ms.Tensor) -> ms.Tensor:
        x_KCHW = self.mean(self.project(x_KCHW, self.conv.weight), self.mean_kernel)
        return self.relu(self.bn(self.add_bias(x_KCHW, self.conv.bias)))


class CeilMaxPool(nn.Cell):
    """3x3 max pool, stride 2, sizes rounded up (Caffe's and PyTorch's ceil mode).

    An even size overhangs by one row, which "same" padding supplies; an odd size fits exactly.
    """

    def __init__(self) -> None:
        super().__init__()
        self.overhanging = nn.MaxPool2d(3, 2, pad_mode="same")
        self.fitting = nn.MaxPool2d(3, 2, pad_mode="valid")

    def construct(self, x_KCHW: ms.Tensor) -> ms.Tensor:
        if x_KCHW.shape[2] % 2 == 0:
            return self.overhanging(x_KCHW)
        return self.fitting(x_KCHW)


class Inception(nn.Cell):
    """Inception block with its four branches, concatenated in the published order.

    Args:
        in_channels: channels that enter.
        one: 1x1 branch.
        three: (reduce, out) of the 3x3 branch.
        double: (reduce, out) of the double 3x3 branch, both of whose 3x3 layers have `out`.
        projection: channels after the pool branch.
        max_pool: the pool branch takes a 3x3 maximum instead of the average (block 5b).
    """

    def __init__(
        self,
        in_channels: int,
        one: int,
        three: tuple[int, int],
        double: tuple[int, int],
        projection: int,
        max_pool: bool = False,
    ) -> None:
        super().__init__()
        self.one = ConvBN(in_channels, one, 1)
        self.three_reduce = ConvBN(in_channels, three[0], 1)
        self.three = ConvBN(three[0], three[1], 3)
        self.double_reduce = ConvBN(in_channels, double[0], 1)
        self.double_1 = ConvBN(double[0], double[1], 3)
        self.double_2 = ConvBN(double[1], double[1], 3)
        self.projection: nn.Cell
        if max_pool:
            self.pool: nn.Cell = nn.MaxPool2d(3, 1, pad_mode="same")
            self.projection = ConvBN(in_channels, projection, 1)
        else:
            self.pool = nn.Identity()
            self.projection = PooledProjection(in_channels, projection)
        self.concat = ops.Concat(axis=1)
        self.out_channels = one + three[1] + double[1] + projection

    def construct(self, x_KCHW: ms.Tensor) -> ms.Tensor:
        return self.concat(
            (
                self.one(x_KCHW),
                self.three(self.three_reduce(x_KCHW)),
                self.double_2(self.double_1(self.double_reduce(x_KCHW))),
                self.projection(self.pool(x_KCHW)),
            )
        )


class InceptionDown(nn.Cell):
    """Stride-2 inception block: 3x3 and double 3x3 branches with stride 2, and a max pool.

    `three` is (reduce, out), `double` is (reduce, first, second). At even sizes "same" pooling is
    the published ceil mode; at odd ones, where that would not fit the other branches, it does.
    """

    def __init__(
        self, in_channels: int, three: tuple[int, int], double: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.three_reduce = ConvBN(in_channels, three[0], 1)
        self.three = ConvBN(three[0], three[1], 3, stride=2)
        self.double_reduce = ConvBN(in_channels, double[0], 1)
        self.double_1 = ConvBN(double[0], double[1], 3)
        self.double_2 = ConvBN(double[1], double[2], 3, stride=2)
        self.pool = nn.MaxPool2d(3, 2, pad_mode="same")
        self.concat = ops.Concat(axis=1)
        self.out_channels = three[1] + double[2] + in_channels

    def construct(self, x_KCHW: ms.Tensor) -> ms.Tensor:
        double_KCHW = self.double_1(self.double_reduce(x_KCHW))
        return self.concat(
            (
                self.three(self.three_reduce(x_KCHW)),
                self.double_2(double_KCHW),
                self.pool(x_KCHW),
            )
        )


class Conv3d(nn.Cell):
    """3x3x3 convolution with bias, zero padding 1: (B, in, T, H, W) -> (B, out, T', H', W')."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            in_channels, out_channels, 3, stride, pad_mode="pad", padding=1, has_bias=True
        )

    def construct(self, x_BCTHW: ms.Tensor) -> ms.Tensor:
        return self.conv(x_BCTHW)


class BatchNormReLU3d(nn.Cell):
    """Batch norm over batch, time and space, then ReLU: (B, C, T, H, W), same shape out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.relu = nn.ReLU()

    def construct(self, x_BCTHW: ms.Tensor) -> ms.Tensor:
        _, c, t, h, w = x_BCTHW.shape
        x_BCHW = self.relu(self.bn(x_BCTHW.reshape((-1, c, t * h, w))))
        return x_BCHW.reshape((-1, c, t, h, w))
