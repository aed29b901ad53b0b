"""The 3D net in its continual form, with the weights of a trained window, in PyTorch.

The continual form (Hedegaard and Iosifidis, "Continual 3D Convolutional Neural Networks for
Real-time Processing of Videos", ECCV 2022) computes each step of each layer once and keeps it. A
window computes all N steps for each label, with zeros beside them. `trainer.reference.continual`
compares the two.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.reference.torch_eco import TorchEco

PER_LABEL = 2
"""New samples a label."""


@dataclass(frozen=True)
class Form:
    """Taps in time of a continual head. Steps of res4 and res5 are labels, those of res3 samples.

    Attributes:
        taps: of the convolutions of res3, the first ones of res4, its others, the first ones of
            res5, its others.
        dilation: of res5's others, in labels; 2 is that of a window, where res5 halves the steps.
        mean_of: the newest labels that the mean over time spans.
    """

    taps: tuple[int, int, int, int, int]
    dilation: int = 1
    mean_of: int = 1

    def taps_of(self, name: str) -> tuple[int, int, int]:
        """(taps, dilation, stride) of a convolution."""
        if name.startswith("res3"):
            return self.taps[0], 1, 1
        is_first = name.endswith(("a_1", "a_down"))
        if name.startswith("res4"):
            return (self.taps[1], 1, PER_LABEL) if is_first else (self.taps[2], 1, 1)
        return (self.taps[3], 1, 1) if is_first else (self.taps[4], self.dilation, 1)

    @property
    def span(self) -> int:
        """Samples that a label depends on."""
        res3, first4, res4, first5, res5 = (count - 1 for count in self.taps)
        labels = 3 * res4 + first5 + 3 * res5 * self.dilation + self.mean_of - 1
        return 1 + 3 * res3 + first4 + PER_LABEL * labels


FORMS = {
    "short": Form((2, 3, 1, 1, 1), mean_of=2),
    "short, res3 whole": Form((3, 2, 1, 1, 1)),
    "long": Form((2, 3, 2, 3, 1)),
    "longest": Form((2, 3, 2, 3, 2), dilation=2),
}


class CausalConv(nn.Module):
    """A trained 3x3x3 convolution that sees its newest step and the steps before: the `taps` first.

    Before a stream begins, its first step is repeated. With `streams` it keeps the steps that the
    next call needs. Taps left out are added to the newest, so that a still picture gives the same.
    """

    def __init__(self, trained: nn.Conv3d, taps: int, dilation: int, stride: int) -> None:
        super().__init__()
        strides = (stride, *trained.stride[1:])
        self.conv = nn.Conv3d(
            trained.in_channels, trained.out_channels, (taps, 3, 3), strides, (0, 1, 1), dilation
        )
        self.conv.dilation = (dilation, 1, 1)
        weight = trained.weight.detach()
        newest = weight[:, :, taps - 1 :].sum(2, keepdim=True)
        self.conv.weight.data = torch.cat([weight[:, :, : taps - 1], newest], 2)
        self.conv.bias.data = trained.bias.detach().clone()
        self.kept = (taps - 1) * dilation - (stride - 1)
        self.streams = False
        self.past: Tensor | None = None

    def forward(self, steps: Tensor) -> Tensor:
        whole = with_past(steps, self.kept, self.past)
        if self.streams:
            self.past = whole[:, :, whole.shape[2] - self.kept :]
        return self.conv(whole)


class Mean(nn.Module):
    """The mean of the newest vectors: (B, C, T) -> (B, C, T)."""

    def __init__(self, mean_of: int) -> None:
        super().__init__()
        self.mean_of = mean_of
        self.streams = False
        self.past: Tensor | None = None

    def forward(self, vectors: Tensor) -> Tensor:
        whole = with_past(vectors, self.mean_of - 1, self.past)
        if self.streams:
            self.past = whole[:, :, whole.shape[2] - self.mean_of + 1 :]
        return functional.avg_pool1d(whole, self.mean_of, 1)


def with_past(steps: Tensor, kept: int, past: Tensor | None) -> Tensor:
    """Steps (B, C, T, ...) with those before them; at a beginning the first is repeated."""
    before = steps[:, :, :1].repeat_interleave(kept, 2) if past is None else past
    return torch.cat([before, steps], 2)


class ContinualHead(nn.Module):
    """Maps (B, T, C, h, w), T even -> logits (B, T / 2, classes), each from its past alone.

    After `stream()` a call continues the one before.
    """

    def __init__(self, trained: TorchEco, form: Form, dropout: float = 0.0) -> None:
        super().__init__()
        self.eco = head_layers(trained)
        for name, layer in list(self.eco.base_model.items()):
            if isinstance(layer, nn.Conv3d):
                self.eco.base_model[name] = CausalConv(layer, *form.taps_of(name))
        self.mean, self.dropout = Mean(form.mean_of), nn.Dropout(dropout)

    def stream(self) -> None:
        """Begin a stream."""
        for part in self.modules():
            if isinstance(part, CausalConv | Mean):
                part.streams, part.past = True, None

    def forward(self, maps: Tensor, wanted: Tensor | None = None) -> Tensor:
        """wanted: numbers of the labels to return, (B, J); None for all."""
        volume = self.eco.volume(maps)
        vectors = self.mean(volume.mean((3, 4))).transpose(1, 2)
        if wanted is not None:
            vectors = vectors[torch.arange(len(maps))[:, None], wanted]
        return self.eco.new_fc(self.dropout(vectors))


class WindowHead(nn.Module):
    """The same from windows of the newest `num_segments` samples, as ECO-Lite is trained."""

    def __init__(self, trained: TorchEco, num_segments: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.eco, self.num_segments = head_layers(trained), num_segments
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Tensor, wanted: Tensor | None = None) -> Tensor:
        """wanted: numbers of the labels to return, (B, J); None for all."""
        if wanted is None:
            wanted = torch.arange(maps.shape[1] // PER_LABEL).expand(len(maps), -1)
        newest = PER_LABEL * wanted + PER_LABEL - 1
        places = (newest[..., None] + torch.arange(1 - self.num_segments, 1)).clamp(min=0)
        windows = maps[torch.arange(len(maps))[:, None, None], places]
        vectors = self.eco.pool(windows.flatten(0, 1))
        return self.eco.new_fc(self.dropout(vectors)).unflatten(0, wanted.shape)


Head = ContinualHead | WindowHead


def head_layers(trained: TorchEco) -> TorchEco:
    """A copy without the 2D net."""
    head = copy.deepcopy(trained)
    for name in [name for name in head.base_model if not name.startswith("res")]:
        del head.base_model[name]
    return head


def multiply_adds(head: nn.Module, maps: Tensor) -> int:
    """Multiply-adds of the convolutions and the classifier in one call, padding included."""
    total = 0

    def add(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    layers = [layer for layer in head.modules() if isinstance(layer, nn.Conv3d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    with torch.no_grad():
        head(maps)
    for hook in hooks:
        hook.remove()
    return total
