"""Turn batches of samples into predictions and events: no thread, no clock.

The same batches give the same outputs, in the engine thread and in a replay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ecolite_stream.engines.base import Engine
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.recognition.events import Decision
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

MOST_PER_STEP = 4
"""Most outputs of a view per batch: a prediction, the end of an event, the start of another and, at
the end of a run, its end."""


class BatchStep:
    """Holds the state and the decision of every view, from batch to batch.

    Both are made at the view's first sample and dropped when the view or its stream ends.

    Args:
        make_state: makes the state of a view.
        make_events: makes the decision of a view: when its events begin and end.
        metrics: counters.
    """

    def __init__(
        self,
        make_state: Callable[[ViewKey], ViewState],
        make_events: Callable[[ViewKey], Decision],
        metrics: Metrics,
    ) -> None:
        self._make_state = make_state
        self._make_events = make_events
        self._metrics = metrics
        self._states: dict[ViewKey, ViewState] = {}
        self._decisions: dict[ViewKey, Decision] = {}
        self._anchors: dict[str, StreamAnchor] = {}

    def run_batch(self, engine: Engine, current: EngineBatch) -> Iterator[Prediction | Event]:
        """Yield the predictions and events of a batch, in order.

        Raises:
            EngineError: the engine failed.
        """
        self._anchors.update((anchor.stream, anchor) for anchor in current.anchors)
        for samples in _until_views_end(current.samples):
            yield from self._run_samples(engine, samples)
        for stream in current.quiet:
            for key in self._keys_of(stream):
                yield from self._decision(key).finish(lost=True)
        yield from self.finish(current.ended)

    def _run_samples(
        self, engine: Engine, samples: tuple[Sample, ...]
    ) -> Iterator[Prediction | Event]:
        for prediction in self._predict(engine, samples):
            anchor = self._anchors.get(prediction.stream)
            if anchor is not None and anchor.live:
                prediction = dataclasses.replace(prediction, at=anchor.at(prediction.time_s))
            yield prediction
            decision = self._decision(prediction.key)
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

    def _end(self, keys: Iterable[ViewKey]) -> Iterator[Event]:
        for key in keys:
            self._states.pop(key, None)
            if (decision := self._decisions.pop(key, None)) is not None:
                yield from decision.finish()

    def _keys_of(self, stream: str) -> list[ViewKey]:
        return [key for key in self._decisions if key[0] == stream]

    def _state(self, key: ViewKey) -> ViewState:
        if key not in self._states:
            self._states[key] = self._make_state(key)
        return self._states[key]

    def _decision(self, key: ViewKey) -> Decision:
        if key not in self._decisions:
            self._decisions[key] = self._make_events(key)
        return self._decisions[key]

    def _predict(self, engine: Engine, samples: tuple[Sample, ...]) -> list[Prediction]:
        if not samples:
            return []
        self._metrics.taken(samples)
        features = self._encode(engine, samples)
        due: list[tuple[ViewState, FloatArray | None]] = []  # a clip, or None where idle
        for sample, feature in zip(samples, features, strict=True):
            if sample.ends_view:
                continue
            state = self._state(sample.key)
            clip_NCHW = state.remember(sample, feature)
            if clip_NCHW is not None:
                due.append((state, None if state.is_idle(sample) else clip_NCHW))
        logits = iter(self._classify(engine, [clip for _, clip in due if clip is not None]))
        predictions = [
            state.conclude_idle() if clip is None else state.conclude(next(logits))
            for state, clip in due
        ]
        for prediction in predictions:
            self._metrics.predicted(prediction)
        return predictions

    def _encode(self, engine: Engine, samples: tuple[Sample, ...]) -> list[FloatArray | None]:
        """A feature for each sample that has an image."""
        images = [sample.image for sample in samples if sample.image is not None]
        if images:
            with self._metrics.timed("encode"):
                encoded = iter(engine.encode(np.stack(images)))
        features: list[FloatArray | None] = []
        for sample in samples:
            if sample.image is None:
                features.append(None)
                if not sample.ends_view:
                    self._metrics.spared(sample)
            else:
                features.append(next(encoded))
                self._metrics.frames_encoded.labels(sample.stream).inc()
        return features

    def _classify(self, engine: Engine, clips: list[FloatArray]) -> Iterable[FloatArray]:
        if not clips:
            return ()
        with self._metrics.timed("classify"):
            return engine.classify(np.stack(clips))


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
