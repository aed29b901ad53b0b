"""ECO (full): ECO-Lite plus the rest of BN-Inception as a second, 2D-only stream."""

from __future__ import annotations

import mindspore as ms
import mindspore.nn as nn
import mindspore.ops as ops

from trainer.network.blocks import ConvBN, Inception, InceptionDown, scaled
from trainer.network.eco_lite import Residual3DNet, Stem, map_side


class Stream2D(nn.Cell):
    """BN-Inception from 3c to 5b and its global mean.

    3b's output (K, 320w, h, h) and 3c's first double map (K, 96w, h, h) -> (K, 1024w) float32.
    """

    def __init__(self, in_channels: int, width: float) -> None:
        super().__init__()

        def ch(channels: int) -> int:
            return scaled(channels, width)

        def pair(a: int, b: int) -> tuple[int, int]:
            return ch(a), ch(b)

        self.inception_3c_three_reduce = ConvBN(in_channels, ch(128), 1)
        self.inception_3c_three = ConvBN(ch(128), ch(160), 3, stride=2)
        self.inception_3c_double_2 = ConvBN(ch(96), ch(96), 3, stride=2)
        self.pool = nn.MaxPool2d(3, 2, pad_mode="same")
        self.concat = ops.Concat(axis=1)
        c = ch(160) + ch(96) + in_channels
        self.inception_4a = Inception(c, ch(224), pair(64, 96), pair(96, 128), ch(128))
        c = self.inception_4a.out_channels
        self.inception_4b = Inception(c, ch(192), pair(96, 128), pair(96, 128), ch(128))
        c = self.inception_4b.out_channels
        self.inception_4c = Inception(c, ch(160), pair(128, 160), pair(128, 160), ch(128))
        c = self.inception_4c.out_channels
        self.inception_4d = Inception(c, ch(96), pair(128, 192), pair(160, 192), ch(128))
        c = self.inception_4d.out_channels
        self.inception_4e = InceptionDown(c, pair(128, 192), (ch(192), ch(256), ch(256)))
        c = self.inception_4e.out_channels
        self.inception_5a = Inception(c, ch(352), pair(192, 320), pair(160, 224), ch(128))
        c = self.inception_5a.out_channels
        self.inception_5b = Inception(
            c, ch(352), pair(192, 320), pair(192, 224), ch(128), max_pool=True
        )
        self.out_channels = self.inception_5b.out_channels

    def construct(self, x_KCHW: ms.Tensor, double_KCHW: ms.Tensor) -> ms.Tensor:
        x_KCHW = self.concat(
            (
                self.inception_3c_three(self.inception_3c_three_reduce(x_KCHW)),
                self.inception_3c_double_2(double_KCHW),
                self.pool(x_KCHW),
            )
        )
        x_KCHW = self.inception_4b(self.inception_4a(x_KCHW))
        x_KCHW = self.inception_4e(self.inception_4d(self.inception_4c(x_KCHW)))
        return self.inception_5b(self.inception_5a(x_KCHW)).mean((2, 3))


class FrameEncoder(nn.Cell):
    """Both streams' share of one frame, as one flat feature.

    images (K, 3, S, S) -> (K, 96w * h * h + 1024w) float32: the map for the 3D net, flattened,
    followed by the 2D stream's vector. One array a frame keeps the memory and the engines free
    of any knowledge of the architecture.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        self.stem = Stem(width)
        self.inception_3c_reduce = ConvBN(self.stem.out_channels, scaled(64, width), 1)
        self.inception_3c_double_1 = ConvBN(scaled(64, width), scaled(96, width), 3)
        self.stream2d = Stream2D(self.stem.out_channels, width)
        self.concat = ops.Concat(axis=1)

    def construct(self, images_KCHW: ms.Tensor) -> ms.Tensor:
        x_KCHW = self.stem(images_KCHW)
        maps_KCHW = self.inception_3c_double_1(self.inception_3c_reduce(x_KCHW))
        vectors_KC = self.stream2d(x_KCHW, maps_KCHW)
        _, c, h, w = maps_KCHW.shape
        return self.concat((maps_KCHW.reshape((-1, c * h * w)), vectors_KC))


class ClipHead(nn.Cell):
    """Flat features (B, N, D) -> logits (B, classes) float32; see `FrameEncoder` for D."""

    def __init__(
        self, num_classes: int, map_shape: tuple[int, int, int], width: float, dropout: float
    ) -> None:
        super().__init__()
        self.map_shape = map_shape
        self.map_values = map_shape[0] * map_shape[1] * map_shape[2]
        self.net3d = Residual3DNet(width)
        self.vector_dropout = nn.Dropout(p=0.5 if dropout else 0.0)
        self.pooled_dropout = nn.Dropout(p=dropout)
        self.concat = ops.Concat(axis=1)
        vector_values = scaled(352, width) + scaled(320, width)
        vector_values += scaled(224, width) + scaled(128, width)
        self.new_fc = nn.Dense(vector_values + self.net3d.out_channels, num_classes)
        self.feature_values = self.map_values + vector_values

    def construct(self, features_BND: ms.Tensor) -> ms.Tensor:
        n = features_BND.shape[1]
        maps_BNCHW = features_BND[:, :, : self.map_values].reshape((-1, n, *self.map_shape))
        vectors_BNC = features_BND[:, :, self.map_values :]
        pooled_BC = self.pooled_dropout(self.net3d(maps_BNCHW.swapaxes(1, 2)))
        vector_BC = self.vector_dropout(vectors_BNC).mean(1)
        return self.new_fc(self.concat((vector_BC, pooled_BC)))


class EcoFull(nn.Cell):
    """Clips (B, N, 3, S, S) float32 -> logits (B, classes) float32."""

    def __init__(
        self, num_classes: int, image_size: int, width: float = 1, dropout: float = 0
    ) -> None:
        super().__init__()
        side = map_side(image_size)
        self.encoder = FrameEncoder(width)
        self.head = ClipHead(num_classes, (scaled(96, width), side, side), width, dropout)
        self.feature_shape = (self.head.feature_values,)

    def construct(self, clips_BNCHW: ms.Tensor) -> ms.Tensor:
        _, n, c, h, w = clips_BNCHW.shape
        features_KD = self.encoder(clips_BNCHW.reshape((-1, c, h, w)))
        return self.head(features_KD.reshape((-1, n, *self.feature_shape)))
