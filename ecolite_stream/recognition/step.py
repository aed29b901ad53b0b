"""Turn batches of samples into predictions and events: no thread, no clock.

The same batches give the same outputs, in the engine thread and in a replay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.engines.base import Engine
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.recognition.events import Decision, decision_for
from ecolite_stream.recognition.models import Model
from ecolite_stream.recognition.view_state import ViewState
from ecolite_stream.types import (
    EngineBatch,
    Event,
    FloatArray,
    Prediction,
    Sample,
    StreamAnchor,
    ViewKey,
)

MOST_AT_ONCE = 8
"""Most pictures or clips in one call of the engine: a CPU gains nothing by more, and its memory
grows with them."""
MOST_PER_STEP = 4
"""Most outputs of a view per batch: a prediction, the end of an event, the start of another and, at
the end of a run, its end."""


@dataclass(frozen=True, eq=False)
class _Due:
    """A prediction that is due: the clip to classify with a model, or None where idle."""

    state: ViewState
    model: int
    clip: FloatArray | None


class BatchStep:
    """Holds the state and the decision of every view, from batch to batch.

    Both are made at the view's first sample and dropped when the view or its stream ends. At the
    first sample for another model a view keeps its decision; it keeps its memory if the features
    of both models are the same.

    Args:
        models: the models that samples are for, by number; the caller may add some.
        settings: settings of a stream, by name.
        metrics: counters.
    """

    def __init__(
        self,
        models: Mapping[int, Model],
        settings: Callable[[str], StreamConfig],
        metrics: Metrics,
    ) -> None:
        self._models = models
        self._settings = settings
        self._metrics = metrics
        self._model_of_state: dict[ViewKey, Model] = {}
        self._model_of_decision: dict[ViewKey, Model] = {}
        self._states: dict[ViewKey, ViewState] = {}
        self._decisions: dict[ViewKey, Decision] = {}
        self._anchors: dict[str, StreamAnchor] = {}

    def run_batch(
        self, engines: Mapping[int, Engine], current: EngineBatch
    ) -> Iterator[Prediction | Event]:
        """Yield the predictions and events of a batch, in order.

        Args:
            engines: of the models, by number.
            current: the batch.

        Raises:
            EngineError: an engine failed.
        """
        self._anchors.update((anchor.stream, anchor) for anchor in current.anchors)
        for samples in _until_views_end(current.samples):
            yield from self._run_samples(engines, samples)
        for stream in current.quiet:
            for key in self._keys_of(stream):
                yield from self._decisions[key].finish(lost=True)
        yield from self.finish(current.ended)

    def _run_samples(
        self, engines: Mapping[int, Engine], samples: tuple[Sample, ...]
    ) -> Iterator[Prediction | Event]:
        for sample in samples:
            yield from self._change_decision(sample)
        for prediction in self._predict(engines, samples):
            anchor = self._anchors.get(prediction.stream)
            if anchor is not None and anchor.live:
                prediction = dataclasses.replace(prediction, at=anchor.at(prediction.time_s))
            yield prediction
            decision = self._decisions[prediction.key]
            if decision.abstains(prediction):
                self._metrics.abstained(prediction)
            for event in decision.observe(prediction, anchor):
                if event.kind == "start":
                    self._metrics.began(event)
                yield event
        for sample in samples:
            if sample.ends_view:
                self._metrics.view_ended(sample.key)
                yield from self._end([sample.key])

    def finish(self, streams: Iterable[str] | None = None) -> Iterator[Event]:
        """Yield the last events of these streams, or of all, and drop their states."""
        if streams is None:
            yield from self._end(list(self._decisions))
            return
        for stream in streams:
            yield from self._end(self._keys_of(stream))
            self._anchors.pop(stream, None)

    def _end(self, keys: Iterable[ViewKey]) -> Iterator[Event]:
        for key in keys:
            self._states.pop(key, None)
            self._model_of_state.pop(key, None)
            self._model_of_decision.pop(key, None)
            if (decision := self._decisions.pop(key, None)) is not None:
                yield from decision.finish()

    def _keys_of(self, stream: str) -> list[ViewKey]:
        return [key for key in self._decisions if key[0] == stream]

    def _state(self, sample: Sample) -> ViewState:
        """The state of a sample's view, for the model of the sample."""
        key, model = sample.key, self._models[sample.model]
        before = self._model_of_state.get(key)
        if before is None or not model.has_features_of(before):
            self._states[key] = ViewState(model.spec, self._settings(sample.stream))
        elif before is not model:
            self._states[key].change_bundle(model.spec)
        self._model_of_state[key] = model
        return self._states[key]

    def _change_decision(self, sample: Sample) -> Iterator[Event]:
        """Prepare the decision of a sample's view for the model of the sample."""
        key, model = sample.key, self._models[sample.model]
        before = self._model_of_decision.get(key)
        if before is None:
            self._decisions[key] = decision_for(
                sample.stream,
                self._settings(sample.stream),
                model.spec.thresholds,
                sample.view,
                model.digest,
            )
        elif before is not model:
            yield from self._decisions[key].change_bundle(model.spec, model.digest)
        self._model_of_decision[key] = model

    def _predict(
        self, engines: Mapping[int, Engine], samples: tuple[Sample, ...]
    ) -> list[Prediction]:
        if not samples:
            return []
        self._metrics.taken(samples)
        features = self._encode(engines, samples)
        due: list[_Due] = []
        for sample, feature in zip(samples, features, strict=True):
            if sample.ends_view:
                continue
            state = self._state(sample)
            clip_NCHW = state.remember(sample, feature)
            if clip_NCHW is not None:
                clip = None if state.is_idle(sample) else clip_NCHW
                due.append(_Due(state, sample.model, clip))
        logits = self._classify(engines, due)
        predictions = [
            one.state.conclude_idle() if one.clip is None else one.state.conclude(logits[place])
            for place, one in enumerate(due)
        ]
        for prediction in predictions:
            self._metrics.predicted(prediction)
        return predictions

    def _encode(
        self, engines: Mapping[int, Engine], samples: tuple[Sample, ...]
    ) -> list[FloatArray | None]:
        """A feature for each sample that has an image."""
        features: list[FloatArray | None] = [None] * len(samples)
        images: dict[int, dict[int, FloatArray]] = {}  # model -> place -> image
        for place, sample in enumerate(samples):
            if sample.image is not None:
                images.setdefault(sample.model, {})[place] = sample.image
                self._metrics.frames_encoded.labels(sample.stream).inc()
            elif not sample.ends_view:
                self._metrics.spared(sample)
        for model, of_model in images.items():
            with self._metrics.timed("encode"):
                encoded = _in_parts(engines[model].encode, list(of_model.values()))
            for place, feature in zip(of_model, encoded, strict=True):
                features[place] = feature
        return features

    def _classify(
        self, engines: Mapping[int, Engine], due: Sequence[_Due]
    ) -> dict[int, FloatArray]:
        """The logits (classes,) of each clip, by its place."""
        clips: dict[int, dict[int, FloatArray]] = {}  # model -> place -> clip
        for place, one in enumerate(due):
            if one.clip is not None:
                clips.setdefault(one.model, {})[place] = one.clip
        logits: dict[int, FloatArray] = {}
        for model, of_model in clips.items():
            with self._metrics.timed("classify"):
                found = _in_parts(engines[model].classify, list(of_model.values()))
            logits.update(zip(of_model, found, strict=True))
        return logits


def _in_parts(run: Callable[[FloatArray], FloatArray], items: list[FloatArray]) -> list[FloatArray]:
    """The results of `run` on batches of at most `MOST_AT_ONCE` items."""
    parts = (items[i : i + MOST_AT_ONCE] for i in range(0, len(items), MOST_AT_ONCE))
    return [result for part in parts for result in run(np.stack(part))]


def _until_views_end(samples: tuple[Sample, ...]) -> Iterator[tuple[Sample, ...]]:
    """Samples in parts, so that a view that ended and one that takes its name are in two."""
    ended: set[ViewKey] = set()
    first = 0
    for place, sample in enumerate(samples):
        if sample.key in ended:
            yield samples[first:place]
            first, ended = place, set()
        if sample.ends_view:
            ended.add(sample.key)
    yield samples[first:]
