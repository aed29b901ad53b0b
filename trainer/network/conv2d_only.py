"""The head with 2D convolutions only, for runtimes that know no others; exact.

A 3x3x3 convolution is the sum of three 3x3 ones: of the frames before, at and after each step in
time. Taps that would only ever meet the zero padding are left out, with their weights: with one
step left in time two thirds of res5 are never used. Batch norm that follows a convolution at once
is folded into it; where the un-normalised sum is needed too it stays, as a scale and a shift.

The heads take one clip, and its steps are the batch of every convolution: four dimensions, which
all runtimes know, and nothing is padded in time. MindSpore Lite 2.0 never returns from a graph
where a slice keeps every step.
"""

from __future__ import annotations

import mindspore as ms
import mindspore.nn as nn
import mindspore.ops as ops
import numpy as np

from ecolite_stream.types import FloatArray
from trainer.network import eco_full, eco_lite
from trainer.network.blocks import BatchNormReLU3d, Conv3d
from trainer.network.folded import ScaleShiftReLU, scale_and_shift


class PlanarConv(nn.Cell):
    """`Conv3d`, and maybe the batch norm and ReLU after it, on clips of a known length.

    (T, in, H, W) of one clip -> (T', out, H', W') float32: steps in time are the batch.

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
            scale_O, shift_O = scale_and_shift(bn.bn)
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
        self.concat = ops.Concat(axis=0)
        self.relu = nn.ReLU() if bn is not None else nn.Identity()

    def construct(self, x_TCHW: ms.Tensor) -> ms.Tensor:
        frames = x_TCHW if self.stride == 1 else x_TCHW[:: self.stride]
        sum_TCHW = self.add_bias(self.conv2d(frames, self.at), self.bias)
        if self.num_before:
            first = self.stride - 1  # of the frames before steps 1, 2 ...
            frames = x_TCHW[first : first + self.stride * self.num_before : self.stride]
            before = sum_TCHW[1:] + self.conv2d(frames, self.before)
            sum_TCHW = self.concat((sum_TCHW[:1], before))
        if self.num_after:
            after = self.conv2d(x_TCHW[1 :: self.stride], self.after)
            if self.num_after < self.out_steps:
                after = sum_TCHW[: self.num_after] + after
                sum_TCHW = self.concat((after, sum_TCHW[self.num_after :]))
            else:
                sum_TCHW = sum_TCHW + after
        return self.relu(sum_TCHW)


def _tap(weight_OITHW: FloatArray, step: int) -> ms.Tensor:
    return ms.Tensor(np.ascontiguousarray(weight_OITHW[:, :, step], np.float32))


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

    def construct(self, x_TCHW: ms.Tensor) -> ms.Tensor:
        a_TCHW = self.a_2(self.a_1(x_TCHW)) + self.a_down(x_TCHW)
        b_TCHW = self.b_2(self.b_1(self.a_bn(a_TCHW)))
        return self.b_bn(a_TCHW + b_TCHW)


class PlanarNet(nn.Cell):
    """`Residual3DNet`: maps (N, 96w, h, w) of one clip -> pooled (1, 512w) float32."""

    def __init__(self, net: eco_lite.Residual3DNet, steps: int) -> None:
        super().__init__()
        self.res3a_2 = PlanarConv(net.res3a_2, steps)
        self.res3a_bn = ScaleShiftReLU(net.res3a_bn)
        self.res3b_1 = PlanarConv(net.res3b_1, steps, net.res3b_1_bn)
        self.res3b_2 = PlanarConv(net.res3b_2, steps)
        self.res3b_bn = ScaleShiftReLU(net.res3b_bn)
        self.res4 = PlanarStage(net.res4, steps)
        self.res5 = PlanarStage(net.res5, self.res4.out_steps)

    def construct(self, maps_TCHW: ms.Tensor) -> ms.Tensor:
        a_TCHW = self.res3a_2(maps_TCHW)
        b_TCHW = self.res3b_2(self.res3b_1(self.res3a_bn(a_TCHW)))
        x_TCHW = self.res3b_bn(a_TCHW + b_TCHW)
        return self.res5(self.res4(x_TCHW)).mean((0, 2, 3)).reshape((1, -1))


class PlanarLiteHead(nn.Cell):
    """ECO-Lite's head: features (1, N, C, h, w) -> logits (1, classes) float32."""

    def __init__(self, head: eco_lite.ClipHead, num_segments: int) -> None:
        super().__init__()
        self.net = PlanarNet(head.net3d, num_segments)
        self.new_fc = head.new_fc

    def construct(self, features_BNCHW: ms.Tensor) -> ms.Tensor:
        _, n, c, h, w = features_BNCHW.shape
        return self.new_fc(self.net(features_BNCHW.reshape((n, c, h, w))))


class PlanarFullHead(nn.Cell):
    """ECO-Full's head: flat features (1, N, D) -> logits (1, classes) float32."""

    def __init__(self, head: eco_full.ClipHead, num_segments: int) -> None:
        super().__init__()
        self.map_shape = head.map_shape
        self.map_values = head.map_values
        self.net = PlanarNet(head.net3d, num_segments)
        self.concat = ops.Concat(axis=1)
        self.new_fc = head.new_fc

    def construct(self, features_BND: ms.Tensor) -> ms.Tensor:
        _, n, d = features_BND.shape
        features_ND = features_BND.reshape((n, d))
        maps_NCHW = features_ND[:, : self.map_values].reshape((-1, *self.map_shape))
        vector_BC = features_ND[:, self.map_values :].mean(0).reshape((1, -1))
        return self.new_fc(self.concat((vector_BC, self.net(maps_NCHW))))


def conv2d_only_head(network: eco_lite.EcoLite | eco_full.EcoFull, num_segments: int) -> nn.Cell:
    """The head of a trained network with 2D convolutions only; it computes the same logits."""
    if isinstance(network, eco_full.EcoFull):
        head: nn.Cell = PlanarFullHead(network.head, num_segments)
    else:
        head = PlanarLiteHead(network.head, num_segments)
    head.set_train(False)
    return head
