"""The first stage of the 3D net without what an earlier window has computed.

Windows overlap. A 3x3x3 convolution depends on three neighbours in time, so most of its steps are
those of the window before, at other places. Steps near the two ends differ, since zeros stand
beside them. The stage is computed step by step here: a step of a layer is a 2D convolution of its
three neighbours, stacked as channels. Each step is kept under the numbers of its neighbours, so
windows may slide by any number of frames, repeat frames, or belong to several views.

Later stages halve the time. Little of them is the same, and they run as they are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ecolite_stream.engines.base import Run
from ecolite_stream.types import FloatArray

MOST_KEPT_BYTES = 256_000_000
"""Most bytes of kept steps. At full size, N = 16, a window takes 31 million."""

Layer = Callable[..., Sequence[FloatArray]]
"""Neighbours (K, 3 * C, h, w), and maybe shortcuts (K, D, h, w) -> outputs (K, D, h, w)."""

_BESIDE = 0
"""The number of the zeros beside a window."""
_SAMPLED = 64
"""Values of a frame that find it again; all values are compared then."""


@dataclass(frozen=True)
class Stage:
    """The layers of res3, and all that comes after them.

    Attributes:
        first: res3a_2: neighbours of frames -> its sum, and that after batch norm and ReLU.
        second: res3b_1: neighbours of the latter -> the layer's output.
        third: res3b_2: neighbours of that, and the first layer's sum -> the stage's output.
        rest: the stage's output (N, D, h, w) of one clip -> logits (1, classes).
    """

    first: Layer
    second: Layer
    third: Layer
    rest: Run


@dataclass(frozen=True, eq=False)
class _Kept:
    """A step of a layer, or a frame: its number, never used twice, and its maps (C, h, w)."""

    number: int
    maps: tuple[FloatArray, ...]

    @property
    def size_bytes(self) -> int:
        return sum(one.nbytes for one in self.maps)


class ReusingHead:
    """A head that computes each step of res3 once for all windows that share it.

    The logits are those of the arguments, to rounding: a kept step has the values that it would be
    given again.

    Args:
        stage: the head in parts.
        most_bytes: of kept steps; those used longest ago are dropped first.
    """

    def __init__(self, stage: Stage, most_bytes: int = MOST_KEPT_BYTES) -> None:
        self._stage = stage
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._bytes = 0
        self._newest = _BESIDE

    @property
    def kept_bytes(self) -> int:
        """Bytes of kept steps and frames."""
        return self._bytes

    def classify(self, features_BNCHW: FloatArray) -> FloatArray:
        """(B, N, C, h, w) -> logits (B, classes) float32."""
        return np.concatenate([self._classify(clip) for clip in features_BNCHW])

    def _classify(self, features_NCHW: FloatArray) -> FloatArray:
        frames = [self._frame(map_CHW) for map_CHW in features_NCHW]
        sums = self._steps(self._stage.first, frames)
        inner = self._steps(self._stage.second, sums)
        outputs = self._steps(self._stage.third, inner, sums)
        self._drop_oldest()
        return self._stage.rest(np.stack([step.maps[0] for step in outputs]))

    def _frame(self, map_CHW: FloatArray) -> _Kept:
        """A frame under the number that it had before, if it was seen before."""
        stride = max(1, map_CHW.size // _SAMPLED)
        key = map_CHW.ravel()[::stride].tobytes()
        kept = self._find(key)
        if kept is None or not np.array_equal(kept.maps[0], map_CHW):
            kept = self._keep(key, (np.array(map_CHW),))
        return kept

    def _steps(
        self, layer: Layer, inputs: Sequence[_Kept], shortcuts: Sequence[_Kept] | None = None
    ) -> list[_Kept]:
        """All steps of a layer for a window; those that are not kept are computed together."""
        numbers = [_BESIDE, *(one.number for one in inputs), _BESIDE]
        keys = [(layer, *numbers[place : place + 3]) for place in range(len(inputs))]
        steps = {key: kept for key in keys if (kept := self._find(key)) is not None}
        missing = {key: place for place, key in enumerate(keys) if key not in steps}
        if missing:
            places = list(missing.values())
            given = [_neighbours(inputs, places)]
            if shortcuts is not None:
                given.append(np.stack([shortcuts[place].maps[0] for place in places]))
            computed = layer(*given)
            for row, key in enumerate(missing):
                steps[key] = self._keep(key, tuple(np.array(output[row]) for output in computed))
        return [steps[key] for key in keys]

    def _find(self, key: Hashable) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def _keep(self, key: Hashable, maps: tuple[FloatArray, ...]) -> _Kept:
        if (old := self._kept.pop(key, None)) is not None:
            self._bytes -= old.size_bytes
        self._newest += 1
        kept = self._kept[key] = _Kept(self._newest, maps)
        self._bytes += kept.size_bytes
        return kept

    def _drop_oldest(self) -> None:
        while self._bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.size_bytes


def _neighbours(steps: Sequence[_Kept], places: Sequence[int]) -> FloatArray:
    """The steps before, at and after each place, zeros beside the window: (K, 3 * C, h, w)."""
    channels, height, width = steps[0].maps[-1].shape
    found = np.zeros((len(places), 3, channels, height, width), np.float32)
    for three, place in zip(found, places, strict=True):
        for tap, neighbour in enumerate(range(place - 1, place + 2)):
            if 0 <= neighbour < len(steps):
                three[tap] = steps[neighbour].maps[-1]
    return found.reshape((len(places), 3 * channels, height, width))
