"""A network without the taps of 3D convolutions that only meet the padding in time.

At N = 4 one step is left in time, and two thirds of most of res5 are never used.
"""

from __future__ import annotations

from collections.abc import Mapping

import mindspore as ms
import mindspore.nn as nn
import numpy as np

from ecolite_stream.types import FloatArray
from trainer.network.blocks import Conv3d
from trainer.network.eco_full import EcoFull
from trainer.network.eco_lite import EcoLite


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
        parameters: by name, of a network that may have been trimmed. Others stay as they are;
            loading them reports it.
        shapes: by name, of the whole network.
    """
    whole: dict[str, FloatArray] = {}
    for name, value in parameters.items():
        own_name = name.replace(TRIMMED, ".conv.")
        shape = shapes.get(own_name, ())
        is_kernel = own_name != name and value.ndim == 4 and len(shape) == 5
        whole[own_name] = _padded(value, shape) if is_kernel else value
    return whole


def _padded(weight_OIHW: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """What `OneStepConv` makes of a (O, I, T, H, W) kernel, as one again."""
    out_channels, in_channels, taps, *size = shape
    steps = weight_OIHW.shape[1] // in_channels
    if weight_OIHW.shape != (out_channels, steps * in_channels, *size) or steps >= taps:
        return weight_OIHW
    weight_OITHW = np.zeros(shape, np.float32)
    weight_OITHW[:, :, 1 : 1 + steps] = weight_OIHW.reshape((*shape[:2], steps, *size))
    return weight_OITHW
