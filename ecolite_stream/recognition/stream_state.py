"""One stream, without an engine: which of its frames are due, its memory and its running average.

    sample(frame) -> Sample or None        by the thread that reads the stream
    remember(sample, feature) -> clip or None, conclude(logits) -> Prediction
                                           by the thread that has the engine

The two sides share nothing but the samples that pass from one to the other: no lock is needed.
"""

from __future__ import annotations

import numpy as np

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import preprocess
from ecolite_stream.model.sampling import Ticker
from ecolite_stream.recognition.memory import Memory, make_memory
from ecolite_stream.types import FloatArray, Frame, Prediction, Sample

FIRST_LABEL_S = 0.5
"""When a first label is due, in seconds, however rare the later ones.

A first label is promised within 1 s; half of it is left for frame rates that do not hit the tick.
"""

SMOOTHING = {"window": 0.4, "paper": 0.5, "pyramid": 0.0}
"""Share of earlier answers in each, where nobody says otherwise.

Algorithm 1 has P_A = (P + P_A) / 2. What 0.4 does for the window: docs/demo-model.md.
"""


class Sampler:
    """Which frames of a stream are due, and ready-made samples of those.

    A stream starts afresh where its time goes back, and, if the memory is reset across gaps, where
    no frame came for `gap_s`.
    """

    def __init__(self, spec: ModelSpec, config: StreamConfig, sample_period_s: float) -> None:
        self._preprocessing = spec.preprocessing
        self._config = config
        self._sample_period_s = sample_period_s
        self._last: Frame | None = None
        self._predicted = False
        self._reset_state = False
        self._reset()

    def sample(self, frame: Frame) -> Sample | None:
        """The frame as a sample, where it is due; its picture is not looked at otherwise."""
        if self._last is not None and self._breaks(frame.time_s - self._last.time_s):
            self._reset()
            self._reset_state = True
        self._last = frame
        predicts = self._predictions.due(frame.time_s)
        # A prediction is made from what is there now, so its frame is always looked at.
        if not (self._samples.due(frame.time_s) or predicts):
            return None
        self._predicted = self._predicted or predicts
        return self._sample(frame, predicts)

    def finish(self) -> Sample | None:
        """At the end of a stream too short for a prediction to become due: its last frame."""
        if self._predicted or self._last is None:
            return None
        return self._sample(self._last, predicts=True)

    def _breaks(self, step_s: float) -> bool:
        memory = self._config.memory
        return step_s < 0 or (memory.on_gap == "reset" and step_s > memory.gap_s)

    def _reset(self) -> None:
        every_s = self._config.every_s
        self._samples = Ticker(self._sample_period_s)
        self._predictions = Ticker(every_s, first_after_s=min(every_s, FIRST_LABEL_S))

    def _sample(self, frame: Frame, predicts: bool) -> Sample:
        image = preprocess(frame.image, self._preprocessing)
        resets, self._reset_state = self._reset_state, False
        return Sample(
            frame.stream, frame.index, frame.time_s, frame.arrived_s, image, predicts, resets
        )


class StreamState:
    """A stream's sampler, its memory and its running average.

    Args:
        spec: the bundle's description.
        config: memory policy, period and smoothing.
    """

    def __init__(self, spec: ModelSpec, config: StreamConfig) -> None:
        self._spec = spec
        self._config = config
        self._forget()
        self._sampler = Sampler(spec, config, self._memory.sample_period_s)
        self._newest: Sample | None = None

    @property
    def samples_per_prediction(self) -> int:
        """How many samples are due between two predictions, about."""
        return max(1, round(self._config.every_s / self._memory.sample_period_s))

    def sample(self, frame: Frame) -> Sample | None:
        """See `Sampler.sample`."""
        return self._sampler.sample(frame)

    def finish(self) -> Sample | None:
        """See `Sampler.finish`."""
        return self._sampler.finish()

    def remember(self, sample: Sample, feature: FloatArray) -> FloatArray | None:
        """Keep a sample's feature (*feature_shape) float32.

        Returns:
            The clip (N, *feature_shape) float32 to classify, where a prediction is due.
        """
        if sample.reset_state:
            self._forget()
        if self._newest is None or sample.frame != self._newest.frame:
            self._memory.add(feature, sample.time_s)
        self._newest = sample
        if not sample.predicts:
            return None
        self._fill = self._memory.fill
        return self._memory.recall()

    def conclude(self, logits: FloatArray) -> Prediction:
        """What the logits (classes,) float32 of the last clip say."""
        sample, spec = self._newest, self._spec
        assert sample is not None  # remember() came first
        scores = self._averaged(softmax(logits / spec.temperature))
        best = np.argsort(-scores, kind="stable")[: self._config.top]
        top = tuple((spec.labels[i], float(scores[i])) for i in best)
        return Prediction(
            stream=sample.stream,
            frame=sample.frame,
            time_s=sample.time_s,
            label=top[0][0],
            score=top[0][1],
            top=top,
            memory_fill=self._fill,
            arrived_s=sample.arrived_s,
        )

    def _forget(self) -> None:
        self._memory = self._empty_memory()
        self._average: FloatArray | None = None
        self._fill = 0.0
        self._newest = None

    def _empty_memory(self) -> Memory:
        config, spec = self._config, self._spec
        span_s = config.memory.span_s or spec.clip_seconds
        return make_memory(config.memory.policy, spec.num_segments, span_s, config.every_s)

    def _averaged(self, probabilities: FloatArray) -> FloatArray:
        """Probabilities (classes,) averaged with those before: P_A of Algorithm 1 at 0.5."""
        smoothing = self._config.smoothing
        if smoothing is None:
            smoothing = SMOOTHING[self._config.memory.policy]
        if self._average is not None:
            old, new = np.float32(smoothing), np.float32(1 - smoothing)
            probabilities = old * self._average + new * probabilities
        self._average = probabilities
        return probabilities


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities (classes,) of logits (classes,)."""
    powers = np.exp(logits - logits.max())
    probabilities: FloatArray = (powers / powers.sum()).astype(np.float32)
    return probabilities
