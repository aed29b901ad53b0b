"""Logits of live predictions of labelled clips, to fit a calibration.

Scores are fitted only to predictions with a full memory: earlier ones depend on how little was
streamed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecolite_stream.bench.measuring.watch import watch
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError, SourceError, one_line
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.known import LEAST_FILL
from ecolite_stream.recognition.recognizer import Recognizer
from ecolite_stream.sources import open_source
from ecolite_stream.types import FloatArray, Prediction

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """Live predictions of labelled clips.

    Attributes:
        logits: (K, classes) float64, without any temperature.
        right: (K,) int64, the label of each.
        clips: (K,) int64, the number of the clip that each is of.
    """

    logits: Doubles
    right: npt.NDArray[np.int64]
    clips: npt.NDArray[np.int64]

    @property
    def is_right(self) -> npt.NDArray[np.bool_]:
        """(K,) whether the best class is that of the clip."""
        return np.asarray(self.logits.argmax(axis=1) == self.right)

    def of(self, chosen: npt.NDArray[np.bool_]) -> Samples:
        """The chosen ones; `chosen` is (K,)."""
        return Samples(self.logits[chosen], self.right[chosen], self.clips[chosen])


class RecordingEngine:
    """An engine that keeps the logits of each clip it classifies, in order."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.encode = engine.encode
        self.close = engine.close
        self.logits: list[FloatArray] = []
        self._classify = engine.classify

    def classify(self, features: FloatArray) -> FloatArray:
        logits = self._classify(features)
        self.logits += list(logits)
        return logits


@dataclass(frozen=True)
class Collected:
    """Samples, and clips without any.

    Attributes:
        samples: with a full memory.
        half_full: with a memory filled to `LEAST_FILL` or more, to fit a bound.
        clips: number of clips.
        too_short: names of clips that never filled the memory.
        unreadable: names and reasons.
    """

    samples: Samples
    half_full: Samples
    clips: int
    too_short: tuple[str, ...]
    unreadable: Mapping[str, str]


def collect(
    clips: Sequence[ClipFile],
    engine: Engine,
    spec: ModelSpec,
    config: StreamConfig,
    on_clip: Callable[[], None] = lambda: None,
) -> Collected:
    """Stream clips through the pipeline of `ecolite-stream` and keep their logits.

    Raises:
        ConfigError: no clip fills the memory.
        EngineError: the engine failed.
    """
    logits: list[FloatArray] = []
    right: list[int] = []
    numbers: list[int] = []
    fills: list[float] = []
    too_short, unreadable = [], {}
    for number, clip in enumerate(clips):
        try:
            found = list(_logits_and_fills(clip, engine, spec, config))
        except SourceError as error:
            unreadable[clip.name] = one_line(error)
        else:
            logits += [row for row, _ in found]
            fills += [fill for _, fill in found]
            right += len(found) * [spec.labels.index(clip.label)]
            numbers += len(found) * [number]
            too_short += [] if any(fill == 1 for _, fill in found) else [clip.name]
        on_clip()
    if 1 not in fills:
        raise ConfigError(
            f"none of {len(clips)} clips fills the memory of {spec.clip_seconds:g} s; name longer "
            "ones to calibrate on"
        )
    half_full = Samples(np.array(logits, np.float64), np.array(right), np.array(numbers))
    samples = half_full.of(np.array(fills) == 1)
    return Collected(
        samples, half_full, len(set(samples.clips.tolist())), tuple(too_short), unreadable
    )


def _logits_and_fills(
    clip: ClipFile, engine: Engine, spec: ModelSpec, config: StreamConfig
) -> Iterator[tuple[FloatArray, float]]:
    """Of each prediction with a memory filled to `LEAST_FILL` or more."""
    config = replace(config, gate=False)  # every prediction has logits
    recording = RecordingEngine(engine)
    predictions: list[Prediction] = []
    watch(open_source(str(clip.path)), Recognizer(recording, spec, config), predictions.append)
    for prediction, logits in zip(predictions, recording.logits, strict=True):
        if prediction.memory_fill >= LEAST_FILL:
            yield logits, prediction.memory_fill
