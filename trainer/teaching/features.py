"""Pooled features of all windows of a clip, as a live stream of it gives them.

A clip runs through the sampler, the views and the memory of `ecolite-stream`, with a prediction
every `EVERY_S` seconds, once for each framing and variant. So teaching sees what live sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.errors import SourceError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.recognition.view_state import ViewState
from ecolite_stream.sources import open_source
from ecolite_stream.types import FloatArray, Frame, Image, Luma, Sample

EVERY_S = 0.2
"""Seconds between two windows."""
LONGEST_S = 60.0
"""Of a clip so many seconds are used, from its start."""
CLOSER = 0.8
"""Share of width and height that the variants `closer` keep, around the middle."""
SIDES = ("plain", "mirrored")
VARIANTS = (*SIDES, "closer", "closer mirrored")
"""What a clip is shown as; the first is what a live stream sees."""


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one clip in one variant.

    Attributes:
        pooled: (K, D) float32 pooled features, K >= 1, in the order of time.
        fill: (K,) float32, the share of the memory that had been seen, 0 to 1.
    """

    pooled: FloatArray = field(repr=False)
    fill: FloatArray = field(repr=False)

    @property
    def judged(self) -> FloatArray:
        """Windows of a full memory; all of them where none was full."""
        full_K = self.fill == 1
        return self.pooled[full_K] if full_K.any() else self.pooled


ClipWindows = Mapping[str, Windows]
"""Variant -> its windows."""


class FeatureMaker:
    """Makes the windows of clips.

    Args:
        engine: as `head_graph.opened_without_classifier` opens it.
        spec: the description of the bundle.
    """

    def __init__(self, engine: Engine, spec: ModelSpec) -> None:
        self._engine = engine
        self._spec = spec

    def windows(self, path: Path, framings: Sequence[str]) -> dict[str, ClipWindows]:
        """Framing -> the windows of a clip; the file is decoded once.

        Raises:
            SourceError: it cannot be read, or has no frame.
            EngineError: the engine failed.
        """
        runs = {framing: self._runs(framing) for framing in framings}
        with open_source(str(path)) as source:
            for frame in source:
                if frame.time_s > LONGEST_S:
                    break
                frame = replace(frame, pixels=cache(lambda frame=frame: frame.image))
                for run in (run for of_framing in runs.values() for run in of_framing):
                    run.observe(frame)
        made: dict[str, ClipWindows] = {}
        for framing, of_framing in runs.items():
            made[framing] = {k: v for run in of_framing for k, v in run.finish().items()}
        if not all(windows.keys() == set(VARIANTS) for windows in made.values()):
            raise SourceError(f"{path} holds no frame; record it again")
        return made

    def _runs(self, framing: str) -> list[_Run]:
        how = replace(self._spec.preprocessing, framing=framing)
        spec = replace(self._spec, preprocessing=how)
        return [_Run(self._engine, spec, is_closer) for is_closer in (False, True)]


class _Run:
    """One framing of one clip, seen plain and mirrored, from afar or closer.

    The square that is due is mirrored, not the picture: the network sees the same, for half of the
    work.
    """

    def __init__(self, engine: Engine, spec: ModelSpec, is_closer: bool) -> None:
        config = StreamConfig(every_s=EVERY_S, gate=False, smoothing=0.0, top=1)
        self._engine = engine
        self._is_closer = is_closer
        self._sampler = StreamSampler(spec, config)
        self._states = [ViewState(spec, config) for _ in SIDES]
        self._logits = np.zeros(len(spec.labels), np.float32)  # which nobody reads
        self._pooled: list[FloatArray] = []
        self._fill: list[float] = []

    def observe(self, frame: Frame) -> None:
        for sample in self._sampler.sample(closer(frame) if self._is_closer else frame):
            self._take(sample)

    def finish(self) -> dict[str, Windows]:
        """Variant -> windows; nothing where there was no frame."""
        for sample in self._sampler.finish():
            self._take(sample)
        if not self._pooled:
            return {}
        pooled_K2D, fill_K = np.stack(self._pooled), np.array(self._fill, np.float32)
        names = VARIANTS[2:] if self._is_closer else VARIANTS[:2]
        return {
            name: Windows(np.ascontiguousarray(pooled_K2D[:, side]), fill_K)
            for side, name in enumerate(names)
        }

    def _take(self, sample: Sample) -> None:
        image = sample.image
        if image is None:  # which happens with a gate only
            return
        features = self._engine.encode(np.stack([image, image[:, :, ::-1]]))
        clips = [s.remember(sample, f) for s, f in zip(self._states, features, strict=True)]
        clips_BNCHW = [clip for clip in clips if clip is not None]
        if clips_BNCHW:
            self._pooled.append(self._engine.classify(np.stack(clips_BNCHW)))
            self._fill.append(self._states[0].conclude(self._logits).memory_fill)


def closer(frame: Frame) -> Frame:
    """The middle of a frame; pixels and brightness are made when wanted."""

    def middle(picture: Image) -> Image:
        height, width = picture.shape[:2]
        top, left = int(height * (1 - CLOSER) / 2), int(width * (1 - CLOSER) / 2)
        return picture[top : height - top, left : width - left]

    luma: Callable[[int], Luma] | None = frame.luma
    middle_luma = None if luma is None else lambda long_side: middle(luma(long_side))
    return replace(frame, pixels=lambda: middle(frame.image), luma=middle_luma)
