"""ECO-Lite and ECO-Full in PyTorch, with the published names: the reference of our networks.

Written from the tables of the papers and releases alone, independently of `trainer.network`;
`tests/trainer/test_network_reference.py` checks it against the golden numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# block: 1x1; 3x3 (reduce, out); double 3x3 (reduce, first, second); pool (kind, projection).
# Where there is no 1x1 the block halves the size; 3c of ECO-Lite is its double branch alone.
INCEPTION = {
    "3a": (64, (64, 64), (64, 96, 96), ("avg", 32)),
    "3b": (64, (64, 96), (64, 96, 96), ("avg", 64)),
    "3c": (None, (128, 160), (64, 96, 96), ("max", None)),
    "4a": (224, (64, 96), (96, 128, 128), ("avg", 128)),
    "4b": (192, (96, 128), (96, 128, 128), ("avg", 128)),
    "4c": (160, (128, 160), (128, 160, 160), ("avg", 128)),
    "4d": (96, (128, 192), (160, 192, 192), ("avg", 128)),
    "4e": (None, (128, 192), (192, 256, 256), ("max", None)),
    "5a": (352, (192, 320), (160, 224, 224), ("avg", 128)),
    "5b": (352, (192, 320), (192, 224, 224), ("max", 128)),
}
STAGES_3D = {4: 256, 5: 512}


class TorchEco(nn.Module):
    """Clips (B, N, 3, S, S) float32 -> logits (B, classes). Loading a state dict makes its shapes.

    `forward` leaves the maps that enter the 3D net, (B * N, 96, h, w), in `features` and what
    enters the classifier in `pooled`.
    """

    def __init__(self, num_classes: int, full: bool = False, width: float = 1.0) -> None:
        super().__init__()
        self.full, self.width = full, width
        self.base_model = nn.ModuleDict()
        self.new_fc = nn.LazyLinear(num_classes)
        self._conv("conv1_7x7_s2", 64, 7, 2)
        self._conv("conv2_3x3_reduce", 64, 1)
        self._conv("conv2_3x3", 192, 3)
        for block, (one, three, double, (_, projection)) in INCEPTION.items():
            if full or block in ("3a", "3b"):
                self._inception(block, one, three, double, projection)
        if not full:
            self._conv("inception_3c_double_3x3_reduce", 64, 1)
            self._conv("inception_3c_double_3x3_1", 96, 3)
        self._conv3d("res3a_2", 128)
        self._norm3d("res3a_bn")
        for name in ("res3b_1", "res3b_2"):
            self._conv3d(name, 128)
        for name in ("res3b_1_bn", "res3b_bn"):
            self._norm3d(name)
        for stage, channels in STAGES_3D.items():
            for name, stride in (("a_1", 2), ("a_2", 1), ("a_down", 2), ("b_1", 1), ("b_2", 1)):
                self._conv3d(f"res{stage}{name}", channels, stride)
            for name in ("a_1_bn", "a_bn", "b_1_bn", "b_bn"):
                self._norm3d(f"res{stage}{name}")

    def _channels(self, channels: int) -> int:
        return max(8, 8 * round(channels * self.width / 8))

    def _conv(self, name: str, channels: int, kernel: int, stride: int = 1) -> None:
        channels = self._channels(channels)
        self.base_model[name] = nn.LazyConv2d(channels, kernel, stride, kernel // 2)
        self.base_model[f"{name}_bn"] = nn.LazyBatchNorm2d()

    def _conv3d(self, name: str, channels: int, stride: int = 1) -> None:
        self.base_model[name] = nn.LazyConv3d(self._channels(channels), 3, stride, 1)

    def _norm3d(self, name: str) -> None:
        self.base_model[name] = nn.LazyBatchNorm3d()

    def _inception(
        self,
        block: str,
        one: int | None,
        three: tuple[int, int],
        double: tuple[int, int, int],
        projection: int | None,
    ) -> None:
        stride = 1 if one else 2
        name = f"inception_{block}"
        if one:
            self._conv(f"{name}_1x1", one, 1)
        self._conv(f"{name}_3x3_reduce", three[0], 1)
        self._conv(f"{name}_3x3", three[1], 3, stride)
        self._conv(f"{name}_double_3x3_reduce", double[0], 1)
        self._conv(f"{name}_double_3x3_1", double[1], 3)
        self._conv(f"{name}_double_3x3_2", double[2], 3, stride)
        if projection:
            self._conv(f"{name}_pool_proj", projection, 1)

    def _apply2d(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = functional.relu(self.base_model[f"{name}_bn"](self.base_model[name](x)))
        return x

    def _apply_inception(self, block: str, x: Tensor) -> Tensor:
        name, (one, _, _, (kind, projection)) = f"inception_{block}", INCEPTION[block]
        if not one:
            pooled = max_pool_ceil(x)
        elif kind == "max":
            pooled = functional.max_pool2d(x, 3, 1, 1)
        else:
            pooled = functional.avg_pool2d(x, 3, 1, 1)
        double = [f"{name}_double_3x3_{part}" for part in ("reduce", "1", "2")]
        return torch.cat(
            [
                *([self._apply2d(x, f"{name}_1x1")] if one else []),
                self._apply2d(x, f"{name}_3x3_reduce", f"{name}_3x3"),
                self._apply2d(x, *double),
                self._apply2d(pooled, f"{name}_pool_proj") if projection else pooled,
            ],
            1,
        )

    def _norm_relu(self, name: str, x: Tensor) -> Tensor:
        return functional.relu(self.base_model[name](x))

    def _apply_residual(self, stage: int, x: Tensor) -> Tensor:
        layer, name = self.base_model, f"res{stage}"
        if stage == 3:
            a = layer["res3a_2"](x)
        else:
            a = layer[f"{name}a_2"](self._norm_relu(f"{name}a_1_bn", layer[f"{name}a_1"](x)))
            a = a + layer[f"{name}a_down"](x)
        b = layer[f"{name}b_1"](self._norm_relu(f"{name}a_bn", a))
        b = layer[f"{name}b_2"](self._norm_relu(f"{name}b_1_bn", b))
        return self._norm_relu(f"{name}b_bn", a + b)

    def trunk(self, images: Tensor) -> Tensor:
        """Frames (K, 3, S, S) -> what leaves block 3b."""
        x = max_pool_ceil(self._apply2d(images, "conv1_7x7_s2"))
        x = max_pool_ceil(self._apply2d(x, "conv2_3x3_reduce", "conv2_3x3"))
        return self._apply_inception("3b", self._apply_inception("3a", x))

    def maps(self, trunk: Tensor) -> Tensor:
        """What leaves block 3b -> the maps that enter the 3D net, (K, 96, h, w)."""
        names = ("inception_3c_double_3x3_reduce", "inception_3c_double_3x3_1")
        return self._apply2d(trunk, *names)

    def volume(self, maps: Tensor) -> Tensor:
        """Maps of clips (B, N, 96, h, w) -> what the 3D net makes of each, (B, 512, t, h, w)."""
        volume = maps.transpose(1, 2)
        for stage in (3, 4, 5):
            volume = self._apply_residual(stage, volume)
        return volume

    def pool(self, maps: Tensor) -> Tensor:
        """Maps of clips (B, N, 96, h, w) -> the vector that the 3D net makes of each, (B, 512)."""
        return self.volume(maps).mean((2, 3, 4))

    def forward(self, clips: Tensor) -> Tensor:
        b, n = clips.shape[:2]
        x = self.trunk(clips.flatten(0, 1))
        self.features = self.maps(x)
        self.pooled = self.pool(self.features.unflatten(0, (b, n)))
        if self.full:
            for block in list(INCEPTION)[2:]:
                x = self._apply_inception(block, x)
            vectors = x.mean((2, 3)).unflatten(0, (b, n)).mean(1)
            self.pooled = torch.cat([vectors, self.pooled], 1)
        return self.new_fc(self.pooled)


def max_pool_ceil(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, 2, ceil_mode=True)
