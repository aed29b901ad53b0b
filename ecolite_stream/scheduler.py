"""Many streams, one engine: due samples of all streams are encoded and classified in batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ecolite_stream.decision import Decision
from ecolite_stream.engines.base import Engine
from ecolite_stream.inbox import Inbox
from ecolite_stream.metrics import Metrics
from ecolite_stream.stream_state import Sample, StreamState
from ecolite_stream.types import FloatArray, Output, Prediction


class Scheduler:
    """The thread that opens, calls and closes the engine; nobody else touches it.

    In each round it takes a step of every stream that has one, so that nobody starves: all frames
    go through the encoder as one batch, each feature into its stream's memory, and all clips
    through the head as one batch. Under overload rounds take longer and every stream predicts
    less often.

    Args:
        open_engine: makes the engine, warm.
        states: of each stream, by its name.
        decisions: likewise; what they decide is published after what they decide from.
        inbox: where samples come from.
        publish: takes each prediction and each event; it must not wait.
        has_room: whether predictions of recordings are welcome; until then their samples wait.
        metrics: what is counted.

    Attributes:
        turns: grows at least once a second, unless a call of the engine lasts longer.
    """

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        states: Mapping[str, StreamState],
        decisions: Mapping[str, Decision],
        inbox: Inbox,
        publish: Callable[[Output], None],
        has_room: Callable[[], bool],
        metrics: Metrics,
    ) -> None:
        self.error: BaseException | None = None
        self.engine_is_open = threading.Event()
        self.done = threading.Event()
        self.turns = 0
        self._open_engine = open_engine
        self._states = states
        self._decisions = decisions
        self._inbox = inbox
        self._publish = publish
        self._has_room = has_room
        self._metrics = metrics
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin; `engine_is_open` or `done` says what came of it."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            engine = self._open_engine()
            try:
                self.engine_is_open.set()
                while steps := self._inbox.take(self._recordings_wait):
                    for prediction in self._round(engine, steps):
                        self._tell(prediction)
                    for stream in (stream for stream, step in steps.items() if not step):
                        self._finish(stream)
            finally:
                for stream in self._decisions:
                    self._finish(stream)
                engine.close()
        except BaseException as error:  # raised again by whoever waits for `done`
            self.error = error
        finally:
            self._inbox.close()
            self.done.set()

    def _recordings_wait(self) -> bool:
        """Asked whenever the inbox looks for a step, at least once a second: so it is the pulse."""
        self.turns += 1
        return not self._has_room()

    def _tell(self, prediction: Prediction) -> None:
        self._publish(prediction)
        decision = self._decisions[prediction.stream]
        if decision.abstains(prediction):
            self._metrics.abstained(prediction)
        for event in decision.observe(prediction):
            if event.kind == "start":
                self._metrics.began(event)
            self._publish(event)

    def _finish(self, stream: str) -> None:
        for event in self._decisions[stream].finish():
            self._publish(event)

    def _round(self, engine: Engine, steps: Mapping[str, Sequence[Sample]]) -> list[Prediction]:
        samples = [sample for step in steps.values() for sample in step]
        if not samples:
            return []
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
