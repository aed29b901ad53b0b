"""A trained network without what has no effect: folded batch norm, and taps that meet no step.

Taps of a 3D convolution that would only ever meet the zero padding in time are left out, with their
weights: at N = 4 one step is left in time, and two thirds of most of res5 are never used.
"""

from __future__ import annotations

from collections.abc import Mapping

import mindspore as ms
import mindspore.nn as nn
import numpy as np

from ecolite_stream.types import FloatArray
from trainer.network.blocks import BatchNormReLU3d, Conv3d, ConvBN, PooledProjection
from trainer.network.eco_full import EcoFull
from trainer.network.eco_lite import EcoLite


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[FloatArray, FloatArray]:
    """What batch norm does once it has been trained: y = scale * x + shift, both (C,) float32."""
    scale = norm.gamma.asnumpy() / np.sqrt(norm.moving_variance.asnumpy() + norm.eps)
    shift = norm.beta.asnumpy() - norm.moving_mean.asnumpy() * scale
    return scale.astype(np.float32), shift.astype(np.float32)


def fold_encoder(network: EcoLite | EcoFull) -> nn.Cell:
    """The encoder with batch norm folded in; the network is not to be trained again."""
    encoder: nn.Cell = network.encoder
    encoder.set_train(False)
    for _, cell in encoder.cells_and_names():
        if isinstance(cell, ConvBN | PooledProjection):
            scale_O, shift_O = scale_and_shift(cell.bn)
            weight_OIHW = cell.conv.weight.asnumpy() * scale_O[:, None, None, None]
            cell.conv.weight.set_data(ms.Tensor(weight_OIHW))
            cell.conv.bias.set_data(ms.Tensor(cell.conv.bias.asnumpy() * scale_O + shift_O))
            cell.bn = nn.Identity()
    return encoder


class ScaleShiftReLU(nn.Cell):
    """Batch norm that cannot be folded, and its ReLU: (T, C, H, W), same shape out."""

    def __init__(self, bn: BatchNormReLU3d) -> None:
        super().__init__()
        scale_C, shift_C = scale_and_shift(bn.bn)
        shape = (1, -1, 1, 1)
        self.scale = ms.Parameter(ms.Tensor(scale_C.reshape(shape)), name="scale")
        self.shift = ms.Parameter(ms.Tensor(shift_C.reshape(shape)), name="shift")
        self.relu = nn.ReLU()

    def construct(self, x_TCHW: ms.Tensor) -> ms.Tensor:
        return self.relu(x_TCHW * self.scale + self.shift)


class OneStepConv(nn.Cell):
    """`Conv3d` that leaves a single step in time: (B, in, T, H, W) -> (B, out, 1, H', W').

    It is a 2D convolution of T * in channels: taps that would meet only the padding have no part.

    Args:
        conv: 3x3x3, padded by one.
        steps: T, 1 or 2.
    """

    def __init__(self, conv: nn.Conv3d, steps: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels = conv.in_channels * steps, conv.out_channels
        weight_OITHW = conv.weight.asnumpy()[:, :, 1 : 1 + steps]
        self.conv = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            3,
            int(conv.stride[0]),
            pad_mode="pad",
            padding=1,
            has_bias=True,
            weight_init=ms.Tensor(weight_OITHW.reshape((self.out_channels, -1, 3, 3))),
            bias_init=ms.Tensor(conv.bias.asnumpy()),
        )

    def construct(self, x_BCTHW: ms.Tensor) -> ms.Tensor:
        _, _, _, h, w = x_BCTHW.shape
        x_BCHW = self.conv(x_BCTHW.reshape((-1, self.in_channels, h, w)))
        _, _, h, w = x_BCHW.shape
        return x_BCHW.reshape((-1, self.out_channels, 1, h, w))


def trim_taps(network: EcoLite | EcoFull, num_segments: int) -> None:
    """Leave out the taps in time of the 3D net that no step meets; it computes the same logits.

    Args:
        network: its head is changed, and from now on for clips of `num_segments` only.
        num_segments: N.
    """
    net = network.head.net3d
    steps = num_segments
    for stage in (net.res4, net.res5):
        _trim(stage.a_1, steps)
        _trim(stage.a_down, steps)
        steps = (steps - 1) // 2 + 1
        for layer in (stage.a_2, stage.b_1, stage.b_2):
            _trim(layer, steps)
    for name, parameter in network.parameters_and_names():
        parameter.name = name


def _trim(layer: Conv3d, steps: int) -> None:
    if (steps - 1) // int(layer.conv.stride[0]) == 0:
        layer.conv = OneStepConv(layer.conv, steps)


TRIMMED = ".conv.conv."
"""In the names of what `trim_taps` left; `.conv.` before it."""


def with_all_taps(
    parameters: Mapping[str, FloatArray], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, FloatArray]:
    """The parameters of a network before `trim_taps`; the taps that it left out are zero.

    Args:
        parameters: by name, of a network that may have been trimmed.
        shapes: by name, of the whole network.
    """
    whole: dict[str, FloatArray] = {}
    for name, value in parameters.items():
        own_name = name.replace(TRIMMED, ".conv.")
        shape = shapes.get(own_name, value.shape)
        if own_name == name or value.shape == shape:
            whole[own_name] = value
            continue
        taps_OITHW = value.reshape((*shape[:2], -1, *shape[3:]))
        whole[own_name] = np.zeros(shape, np.float32)
        whole[own_name][:, :, 1 : 1 + taps_OITHW.shape[2]] = taps_OITHW
    return whole
