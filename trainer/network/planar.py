"""The clip head with 2D convolutions only, for runtimes that know no others; exact.

A 3x3x3 convolution is the sum of three 3x3 ones: of the frames before, at and after each step in
time. Taps that would only ever meet the zero padding are left out, with their weights: with one
step left in time two thirds of res5 are never used. Batch norm that follows a convolution at once
is folded into it; where the un-normalised sum is needed too it stays, as a scale and a shift.
"""

from __future__ import annotations

import mindspore as ms
import mindspore.nn as nn
import mindspore.ops as ops
import numpy as np

from ecolite_stream.types import FloatArray
from trainer.network import eco_full, eco_lite
from trainer.network.blocks import BatchNormReLU3d, Conv3d


class PlanarConv(nn.Cell):
    """`Conv3d`, and maybe the batch norm and ReLU after it, on clips of a known length.

    (B, T, in, H, W) -> (B, T', out, H', W') float32.

    Args:
        conv: whose weights are taken.
        steps: T.
        bn: to be folded in, with its ReLU.
    """

    def __init__(self, conv: Conv3d, steps: int, bn: BatchNormReLU3d | None = None) -> None:
        super().__init__()
        weight_OITHW = conv.conv.weight.asnumpy()
        bias_O = conv.conv.bias.asnumpy()
        if bn is not None:
            scale_O, shift_O = scale_and_shift(bn)
            weight_OITHW = weight_OITHW * scale_O[:, None, None, None, None]
            bias_O = bias_O * scale_O + shift_O
        self.stride = int(conv.conv.stride[0])
        self.out_channels = len(bias_O)
        self.steps = steps
        self.out_steps = (steps - 1) // self.stride + 1
        # How many steps see a frame before them, and one after them.
        self.num_before = self.out_steps - 1
        self.num_after = (steps - 2) // self.stride + 1 if steps > 1 else 0
        self.at = ms.Parameter(_tap(weight_OITHW, 1), name="at")
        self.bias = ms.Parameter(ms.Tensor(bias_O), name="bias")
        if self.num_before:
            self.before = ms.Parameter(_tap(weight_OITHW, 0), name="before")
        if self.num_after:
            self.after = ms.Parameter(_tap(weight_OITHW, 2), name="after")
        self.conv2d = ops.Conv2D(
            self.out_channels,
            (3, 3),
            pad_mode="pad",
            pad=(1, 1, 1, 1),
            stride=(self.stride, self.stride),
            dilation=(1, 1),
        )
        self.add_bias = ops.BiasAdd()
        none = ((0, 0), (0, 0), (0, 0), (0, 0))
        self.first_is_missing = ops.Pad(((0, 0), (self.out_steps - self.num_before, 0), *none[:3]))
        self.last_is_missing = ops.Pad(((0, 0), (0, self.out_steps - self.num_after), *none[:3]))
        self.relu = nn.ReLU() if bn is not None else nn.Identity()

    def construct(self, x_BTCHW: ms.Tensor) -> ms.Tensor:
        sum_BTCHW = self.apply_2d(x_BTCHW[:, :: self.stride], self.at, self.out_steps, True)
        if self.num_before:
            first = self.stride - 1  # of the frames before steps 1, 2 ...
            frames = x_BTCHW[:, first : first + self.stride * self.num_before : self.stride]
            before = self.apply_2d(frames, self.before, self.num_before, False)
            sum_BTCHW = sum_BTCHW + self.first_is_missing(before)
        if self.num_after:
            frames = x_BTCHW[:, 1 :: self.stride]
            after = self.apply_2d(frames, self.after, self.num_after, False)
            if self.num_after < self.out_steps:
                after = self.last_is_missing(after)
            sum_BTCHW = sum_BTCHW + after
        return self.relu(sum_BTCHW)

    def apply_2d(
        self, x_BTCHW: ms.Tensor, weight: ms.Tensor, steps: int, with_bias: bool
    ) -> ms.Tensor:
        """One tap: (B, steps, in, H, W) -> (B, steps, out, H', W')."""
        _, _, c, h, w = x_BTCHW.shape
        y_KCHW = self.conv2d(x_BTCHW.reshape((-1, c, h, w)), weight)
        if with_bias:
            y_KCHW = self.add_bias(y_KCHW, self.bias)
        _, o, h_out, w_out = y_KCHW.shape
        return y_KCHW.reshape((-1, steps, o, h_out, w_out))


def _tap(weight_OITHW: FloatArray, step: int) -> ms.Tensor:
    return ms.Tensor(np.ascontiguousarray(weight_OITHW[:, :, step], np.float32))


def scale_and_shift(bn: BatchNormReLU3d) -> tuple[FloatArray, FloatArray]:
    """What batch norm does once it has been trained: y = scale * x + shift, both (C,) float32."""
    norm = bn.bn
    scale = norm.gamma.asnumpy() / np.sqrt(norm.moving_variance.asnumpy() + norm.eps)
    shift = norm.beta.asnumpy() - norm.moving_mean.asnumpy() * scale
    return scale.astype(np.float32), shift.astype(np.float32)


class ScaleShiftReLU(nn.Cell):
    """Batch norm that cannot be folded, and its ReLU: (B, T, C, H, W), same shape out."""

    def __init__(self, bn: BatchNormReLU3d) -> None:
        super().__init__()
        scale_C, shift_C = scale_and_shift(bn)
        shape = (1, 1, -1, 1, 1)
        self.scale = ms.Parameter(ms.Tensor(scale_C.reshape(shape)), name="scale")
        self.shift = ms.Parameter(ms.Tensor(shift_C.reshape(shape)), name="shift")
        self.relu = nn.ReLU()

    def construct(self, x_BTCHW: ms.Tensor) -> ms.Tensor:
        return self.relu(x_BTCHW * self.scale + self.shift)


class PlanarStage(nn.Cell):
    """`ResidualStage` (res4, res5): halves time and space."""

    def __init__(self, stage: eco_lite.ResidualStage, steps: int) -> None:
        super().__init__()
        self.a_1 = PlanarConv(stage.a_1, steps, stage.a_1_bn)
        self.a_down = PlanarConv(stage.a_down, steps)
        self.out_steps = self.a_1.out_steps
        self.a_2 = PlanarConv(stage.a_2, self.out_steps)
        self.a_bn = ScaleShiftReLU(stage.a_bn)
        self.b_1 = PlanarConv(stage.b_1, self.out_steps, stage.b_1_bn)
        self.b_2 = PlanarConv(stage.b_2, self.out_steps)
        self.b_bn = ScaleShiftReLU(stage.b_bn)

    def construct(self, x_BTCHW: ms.Tensor) -> ms.Tensor:
        a_BTCHW = self.a_2(self.a_1(x_BTCHW)) + self.a_down(x_BTCHW)
        b_BTCHW = self.b_2(self.b_1(self.a_bn(a_BTCHW)))
        return self.b_bn(a_BTCHW + b_BTCHW)


class PlanarNet(nn.Cell):
    """`Residual3DNet`: maps (B, N, 96w, h, w) -> pooled (B, 512w) float32."""

    def __init__(self, net: eco_lite.Residual3DNet, steps: int) -> None:
        super().__init__()
        self.res3a_2 = PlanarConv(net.res3a_2, steps)
        self.res3a_bn = ScaleShiftReLU(net.res3a_bn)
        self.res3b_1 = PlanarConv(net.res3b_1, steps, net.res3b_1_bn)
        self.res3b_2 = PlanarConv(net.res3b_2, steps)
        self.res3b_bn = ScaleShiftReLU(net.res3b_bn)
        self.res4 = PlanarStage(net.res4, steps)
        self.res5 = PlanarStage(net.res5, self.res4.out_steps)

    def construct(self, maps_BTCHW: ms.Tensor) -> ms.Tensor:
        a_BTCHW = self.res3a_2(maps_BTCHW)
        b_BTCHW = self.res3b_2(self.res3b_1(self.res3a_bn(a_BTCHW)))
        x_BTCHW = self.res3b_bn(a_BTCHW + b_BTCHW)
        return self.res5(self.res4(x_BTCHW)).mean((1, 3, 4))


class PlanarLiteHead(nn.Cell):
    """ECO-Lite's head: features (B, N, C, h, w) -> logits (B, classes) float32."""

    def __init__(self, head: eco_lite.ClipHead, num_segments: int) -> None:
        super().__init__()
        self.net = PlanarNet(head.net3d, num_segments)
        self.new_fc = head.new_fc

    def construct(self, features_BNCHW: ms.Tensor) -> ms.Tensor:
        return self.new_fc(self.net(features_BNCHW))


class PlanarFullHead(nn.Cell):
    """ECO-Full's head: flat features (B, N, D) -> logits (B, classes) float32."""

    def __init__(self, head: eco_full.ClipHead, num_segments: int) -> None:
        super().__init__()
        self.map_shape = head.map_shape
        self.map_values = head.map_values
        self.num_segments = num_segments
        self.net = PlanarNet(head.net3d, num_segments)
        self.concat = ops.Concat(axis=1)
        self.new_fc = head.new_fc

    def construct(self, features_BND: ms.Tensor) -> ms.Tensor:
        maps_BND = features_BND[:, :, : self.map_values]
        maps_BNCHW = maps_BND.reshape((-1, self.num_segments, *self.map_shape))
        vector_BC = features_BND[:, :, self.map_values :].mean(1)
        return self.new_fc(self.concat((vector_BC, self.net(maps_BNCHW))))


def planar_head(network: eco_lite.EcoLite | eco_full.EcoFull, num_segments: int) -> nn.Cell:
    """The head of a trained network with 2D convolutions only; it computes the same logits."""
    if isinstance(network, eco_full.EcoFull):
        head: nn.Cell = PlanarFullHead(network.head, num_segments)
    else:
        head = PlanarLiteHead(network.head, num_segments)
    head.set_train(False)
    return head
