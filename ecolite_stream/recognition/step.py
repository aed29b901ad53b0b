"""From the samples of all streams to predictions and events: no thread, no clock.

The same rounds give the same outputs, whoever calls: the engine's thread, or a replay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ecolite_stream.engines.base import Engine
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.recognition.events import Decision
from ecolite_stream.recognition.stream_state import StreamState
from ecolite_stream.types import EngineBatch, Event, FloatArray, Prediction, StreamAnchor

MOST_PER_STEP = 4
"""What comes of a stream in a round at most: a prediction, the end of an event and the start of
another, and at the end of a run the end of that one."""


class BatchStep:
    """What is remembered and decided of every stream, from round to round.

    Args:
        states: of each stream, by its name.
        decisions: likewise; what they decide comes after what they decide from.
        metrics: what is counted.
    """

    def __init__(
        self,
        states: Mapping[str, StreamState],
        decisions: Mapping[str, Decision],
        metrics: Metrics,
    ) -> None:
        self._states = states
        self._decisions = decisions
        self._metrics = metrics
        self._anchors: dict[str, StreamAnchor] = {}

    def run_batch(self, engine: Engine, current: EngineBatch) -> Iterator[Prediction | Event]:
        """What a round leads to, in order: it is made as it is asked for.

        Raises:
            EngineError: the engine failed.
        """
        self._anchors.update((anchor.stream, anchor) for anchor in current.anchors)
        for prediction in self._predict(engine, current):
            anchor = self._anchors.get(prediction.stream)
            if anchor is not None and anchor.live:
                prediction = dataclasses.replace(prediction, at=anchor.at(prediction.time_s))
            yield prediction
            decision = self._decisions[prediction.stream]
            if decision.abstains(prediction):
                self._metrics.abstained(prediction)
            for event in decision.observe(prediction, anchor):
                if event.kind == "start":
                    self._metrics.began(event)
                yield event
        yield from self.finish(current.quiet, lost=True)
        yield from self.finish(current.ended)

    def finish(self, streams: Iterable[str] | None = None, lost: bool = False) -> Iterator[Event]:
        """The events that streams, or all of them, end with; `lost` as `Decision.finish` has it."""
        for stream in self._decisions if streams is None else streams:
            yield from self._decisions[stream].finish(lost)

    def _predict(self, engine: Engine, current: EngineBatch) -> list[Prediction]:
        samples = current.samples
        if not samples:
            return []
        self._metrics.taken(samples)
        with self._metrics.timed("encode"):
            features_KCHW = engine.encode(np.stack([sample.image for sample in samples]))
        clips: list[tuple[StreamState, FloatArray]] = []
        for sample, feature in zip(samples, features_KCHW, strict=True):
            self._metrics.frames_encoded.labels(sample.stream).inc()
            state = self._states[sample.stream]
            clip_NCHW = state.remember(sample, feature)
            if clip_NCHW is not None:
                clips.append((state, clip_NCHW))
        if not clips:
            return []
        with self._metrics.timed("classify"):
            logits_BC = engine.classify(np.stack([clip for _, clip in clips]))
        predictions = [
            state.conclude(logits) for (state, _), logits in zip(clips, logits_BC, strict=True)
        ]
        for prediction in predictions:
            self._metrics.predicted(prediction)
        return predictions
