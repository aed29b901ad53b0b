"""A trained network with its batch norm folded in, or made a scale and a shift."""

from __future__ import annotations

import mindspore as ms
import mindspore.nn as nn
import numpy as np

from ecolite_stream.types import FloatArray
from trainer.network.blocks import BatchNormReLU3d, ConvBN, PooledProjection
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
