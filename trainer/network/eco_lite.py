"""ECO-Lite (Zolfaghari et al., ECCV 2018): a 2D net on each frame, a 3D net over N of them.

Published as mzolfaghari/ECO-pytorch and as MindSpore ModelZoo's research/cv/ecolite.
"""

from __future__ import annotations

import mindspore as ms
import mindspore.nn as nn

from trainer.network.blocks import (
    BatchNormReLU3d,
    CeilMaxPool,
    Conv3d,
    ConvBN,
    Inception,
    scaled,
)


class Stem(nn.Cell):
    """BN-Inception up to inception_3b: (K, 3, S, S) -> (K, 320 * width, S / 8, S / 8)."""

    def __init__(self, width: float) -> None:
        super().__init__()

        def ch(channels: int) -> int:
            return scaled(channels, width)

        self.conv1 = ConvBN(3, ch(64), 7, stride=2)
        self.conv2_reduce = ConvBN(ch(64), ch(64), 1)
        self.conv2 = ConvBN(ch(64), ch(192), 3)
        self.pool = CeilMaxPool()
        self.inception_3a = Inception(ch(192), ch(64), (ch(64), ch(64)), (ch(64), ch(96)), ch(32))
        self.inception_3b = Inception(
            self.inception_3a.out_channels, ch(64), (ch(64), ch(96)), (ch(64), ch(96)), ch(64)
        )
        self.out_channels = self.inception_3b.out_channels

    def construct(self, images_KCHW: ms.Tensor) -> ms.Tensor:
        x_KCHW = self.pool(self.conv1(images_KCHW))
        x_KCHW = self.pool(self.conv2(self.conv2_reduce(x_KCHW)))
        return self.inception_3b(self.inception_3a(x_KCHW))


class FrameEncoder(nn.Cell):
    """The 2D net: images (K, 3, S, S) -> features (K, 96 * width, S / 8, S / 8) float32."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.stem = Stem(width)
        self.inception_3c_reduce = ConvBN(self.stem.out_channels, scaled(64, width), 1)
        self.inception_3c_double_1 = ConvBN(scaled(64, width), scaled(96, width), 3)

    def construct(self, images_KCHW: ms.Tensor) -> ms.Tensor:
        return self.inception_3c_double_1(self.inception_3c_reduce(self.stem(images_KCHW)))


class ResidualStage(nn.Cell):
    """Two pre-activation residual units that halve time and space (res4, res5).

    The shortcut carries the sum before batch norm: (B, in, T, H, W) -> (B, out, T/2, H/2, W/2).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.a_1 = Conv3d(in_channels, out_channels, stride=2)
        self.a_1_bn = BatchNormReLU3d(out_channels)
        self.a_2 = Conv3d(out_channels, out_channels)
        self.a_down = Conv3d(in_channels, out_channels, stride=2)
        self.a_bn = BatchNormReLU3d(out_channels)
        self.b_1 = Conv3d(out_channels, out_channels)
        self.b_1_bn = BatchNormReLU3d(out_channels)
        self.b_2 = Conv3d(out_channels, out_channels)
        self.b_bn = BatchNormReLU3d(out_channels)

    def construct(self, x_BCTHW: ms.Tensor) -> ms.Tensor:
        a_BCTHW = self.a_2(self.a_1_bn(self.a_1(x_BCTHW))) + self.a_down(x_BCTHW)
        b_BCTHW = self.b_2(self.b_1_bn(self.b_1(self.a_bn(a_BCTHW))))
        return self.b_bn(a_BCTHW + b_BCTHW)


class Residual3DNet(nn.Cell):
    """The 3D net without its classifier: maps (B, 96w, N, h, w) -> pooled (B, 512w) float32."""

    def __init__(self, width: float) -> None:
        super().__init__()
        c3, c4, c5 = (scaled(c, width) for c in (128, 256, 512))
        self.res3a_2 = Conv3d(scaled(96, width), c3)
        self.res3a_bn = BatchNormReLU3d(c3)
        self.res3b_1 = Conv3d(c3, c3)
        self.res3b_1_bn = BatchNormReLU3d(c3)
        self.res3b_2 = Conv3d(c3, c3)
        self.res3b_bn = BatchNormReLU3d(c3)
        self.res4 = ResidualStage(c3, c4)
        self.res5 = ResidualStage(c4, c5)
        self.out_channels = c5

    def construct(self, maps_BCTHW: ms.Tensor) -> ms.Tensor:
        a_BCTHW = self.res3a_2(maps_BCTHW)
        b_BCTHW = self.res3b_2(self.res3b_1_bn(self.res3b_1(self.res3a_bn(a_BCTHW))))
        x_BCTHW = self.res3b_bn(a_BCTHW + b_BCTHW)
        return self.res5(self.res4(x_BCTHW)).mean((2, 3, 4))


class ClipHead(nn.Cell):
    """The 3D net and the classifier: features (B, N, C, h, w) -> logits (B, classes) float32."""

    def __init__(self, num_classes: int, width: float, dropout: float) -> None:
        super().__init__()
        self.net3d = Residual3DNet(width)
        self.dropout = nn.Dropout(p=dropout)
        self.new_fc = nn.Dense(self.net3d.out_channels, num_classes)

    def construct(self, features_BNCHW: ms.Tensor) -> ms.Tensor:
        pooled_BC = self.net3d(features_BNCHW.swapaxes(1, 2))
        return self.new_fc(self.dropout(pooled_BC))


class EcoLite(nn.Cell):
    """Clips (B, N, 3, S, S) float32 -> logits (B, classes) float32."""

    def __init__(
        self, num_classes: int, image_size: int, width: float = 1, dropout: float = 0
    ) -> None:
        super().__init__()
        self.encoder = FrameEncoder(width)
        self.head = ClipHead(num_classes, width, dropout)
        map_size = map_side(image_size)
        self.feature_shape = (scaled(96, width), map_size, map_size)

    def construct(self, clips_BNCHW: ms.Tensor) -> ms.Tensor:
        _, n, c, h, w = clips_BNCHW.shape
        features_KCHW = self.encoder(clips_BNCHW.reshape((-1, c, h, w)))
        return self.head(features_KCHW.reshape((-1, n, *self.feature_shape)))


def map_side(image_size: int) -> int:
    """Side of the maps that enter the 3D net: 28 at 224 px, 14 at 112."""
    side = (image_size + 1) // 2
    for _ in range(2):  # two max pools, rounding up
        side = -(-(side - 3) // 2) + 1
    return side
