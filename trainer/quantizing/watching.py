"""What engines see and say of a clip, window by window, as a live stream of it would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.errors import SourceError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.recognition.view_state import ViewState
from ecolite_stream.sources import open_source
from ecolite_stream.types import FloatArray, Sample

EVERY_S = 0.2
"""Seconds between two windows."""
LONGEST_S = 60.0
"""Of a clip so many seconds are used, from its start."""


@dataclass(frozen=True, eq=False)
class Watched:
    """The windows of one clip.

    Attributes:
        images: (M, 3, S, S) float32, every encoded frame.
        clips: (K, N, *feature_shape) float32, every window, with features of the first engine.
        logits: (E, K, classes) float32, of each engine by its own features.
    """

    images: FloatArray = field(repr=False)
    clips: FloatArray = field(repr=False)
    logits: FloatArray = field(repr=False)

    @property
    def labels(self) -> FloatArray:
        """(E, K), the label with the highest score."""
        return self.logits.argmax(axis=-1)


def watch(path: Path, spec: ModelSpec, engines: Sequence[Engine]) -> Watched:
    """Run a clip through the sampler, the views, and a memory for each engine.

    Raises:
        SourceError: it cannot be read, or is too short for a window.
        EngineError: an engine failed.
    """
    config = StreamConfig(every_s=EVERY_S, gate=False, smoothing=0.0, top=1)
    sampler = StreamSampler(spec, config)
    run = _Run([(engine, ViewState(spec, config)) for engine in engines])
    with open_source(str(path)) as source:
        for frame in source:
            if frame.time_s > LONGEST_S:
                break
            for sample in sampler.sample(frame):
                run.observe(sample)
    for sample in sampler.finish():
        run.observe(sample)
    if not run.clips:
        raise SourceError(f"{path} holds no window; record a longer clip")
    return Watched(
        np.stack(run.images), np.stack(run.clips), np.stack(run.logits).transpose(1, 0, 2)
    )


class _Run:
    def __init__(self, engines: Sequence[tuple[Engine, ViewState]]) -> None:
        self.images: list[FloatArray] = []
        self.clips: list[FloatArray] = []
        self.logits: list[FloatArray] = []
        self._engines = engines

    def observe(self, sample: Sample) -> None:
        if sample.image is None:  # which happens with a gate, and where a view ends
            return
        self.images.append(sample.image)
        made: list[FloatArray] = []
        for number, (engine, state) in enumerate(self._engines):
            clip = state.remember(sample, engine.encode(sample.image[None])[0])
            if clip is None:
                continue
            if number == 0:
                self.clips.append(clip)
            made.append(engine.classify(clip[None])[0])
            state.conclude(made[-1])
        if made:
            self.logits.append(np.stack(made))
