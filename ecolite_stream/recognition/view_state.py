"""The memory and the running average of one view, without an engine.

    remember(sample, feature) -> clip or None, conclude(logits) -> Prediction

Runs in the engine thread; `sampler` is the other half.
"""

from __future__ import annotations

import numpy as np

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.known import LEAST_FILL, energy
from ecolite_stream.recognition.memory import empty_memory
from ecolite_stream.types import FloatArray, Prediction, Sample

SMOOTHING = {"window": 0.4, "paper": 0.5, "pyramid": 0.0}
"""Default weight of the running average, by memory policy.

Algorithm 1 has P_A = (P + P_A) / 2. docs/demo-model.md measures 0.4 for the window.
"""


class ViewState:
    """The state of one view: its memory and its running average.

    Args:
        spec: the bundle's description.
        config: settings of the stream.
    """

    def __init__(self, spec: ModelSpec, config: StreamConfig) -> None:
        self._config = config
        self._use(spec)
        self._newest: Sample | None = None
        self._feature: FloatArray | None = None
        self._average: FloatArray | None = None
        self._forget()

    def change_bundle(self, spec: ModelSpec) -> None:
        """Use another bundle with the same features from now on; keep the memory."""
        self._use(spec)
        self._average = None  # of other labels

    def _use(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._idle = None if spec.idle_label is None else spec.labels.index(spec.idle_label)
        self._span_s = self._config.memory.span_s or spec.clip_seconds

    def remember(self, sample: Sample, feature: FloatArray | None) -> FloatArray | None:
        """Add a sample's feature, (*feature_shape) float32; None repeats the newest one.

        Returns:
            The clip to classify, (N, *feature_shape) float32; None if no prediction is due.
        """
        if sample.reset_state:
            self._forget()
        feature = self._feature if feature is None else feature
        if feature is None:  # the sample with the feature to repeat was dropped
            return None
        if self._newest is None or sample.frame != self._newest.frame:
            self._memory.add(feature, sample.time_s)
        self._feature, self._newest = feature, sample
        if not sample.predicts:
            return None
        self._fill = self._memory.fill
        return self._memory.recall()

    def is_idle(self, sample: Sample) -> bool:
        """Whether to skip the network: nothing has moved for the whole span of the memory."""
        return (
            self._config.gate
            and self._idle is not None
            and self._config.memory.policy == "window"
            and sample.still_s >= self._span_s
        )

    def conclude_idle(self) -> Prediction:
        """The prediction for a still view: the bundle's idle label."""
        probabilities = np.zeros(len(self._spec.labels), np.float32)
        probabilities[self._idle] = 1
        known = None if self._spec.energy_bound is None else True
        return self._predict(probabilities, known)

    def conclude(self, logits: FloatArray) -> Prediction:
        """The prediction from the logits, (classes,) float32, of the last clip."""
        bound = self._spec.energy_bound
        known = None
        if bound is not None and self._fill >= LEAST_FILL:
            known = bool(energy(logits) >= bound)
        return self._predict(softmax(logits / self._spec.temperature), known)

    def _predict(self, probabilities: FloatArray, known: bool | None) -> Prediction:
        sample, spec = self._newest, self._spec
        assert sample is not None  # remember() was called
        scores = self._averaged(probabilities)
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
            view=sample.view,
            box=sample.box,
            known=known,
        )

    def _forget(self) -> None:
        self._memory = empty_memory(self._spec, self._config)
        self._fill = 0.0
        self._average = self._newest = self._feature = None

    def _averaged(self, probabilities: FloatArray) -> FloatArray:
        """Running average of probabilities (classes,): P_A of Algorithm 1 at smoothing 0.5."""
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
