"""From frames to predictions: sample, preprocess, encode, remember, classify.

No thread, no clock and no I/O: the same frames give the same predictions, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecolite_stream.bundle import ModelSpec
from ecolite_stream.config import StreamConfig
from ecolite_stream.engines.base import Engine
from ecolite_stream.errors import ConfigError
from ecolite_stream.memory import Memory, make_memory
from ecolite_stream.preprocess import preprocess
from ecolite_stream.sampling import Ticker
from ecolite_stream.types import FloatArray, Frame, Prediction

FIRST_LABEL_S = 0.5
"""When a first label is due, in seconds, however rare the later ones.

A first label is promised within 1 s; half of it is left for frame rates that do not hit the tick.
"""

PAPER_SMOOTHING = 0.5
"""P_A = (P + P_A) / 2 in Algorithm 1."""


@dataclass(frozen=True)
class Due:
    """What a frame is needed for."""

    sample: bool
    prediction: bool


class StreamState:
    """What is known of one stream: when something is due, its memory and its running average."""

    def __init__(self, memory: Memory, every_s: float, smoothing: float) -> None:
        self.memory = memory
        self._samples = Ticker(memory.sample_period_s)
        self._predictions = Ticker(every_s, first_after_s=min(every_s, FIRST_LABEL_S))
        self._smoothing = smoothing
        self._average: FloatArray | None = None
        self.last_frame: Frame | None = None
        self.last_is_remembered = False

    @property
    def has_predicted(self) -> bool:
        """Whether there was a prediction yet."""
        return self._average is not None

    def due(self, time_s: float) -> Due:
        """What the frame at this stream time is needed for; asking takes the ticks."""
        prediction = self._predictions.due(time_s)
        # A prediction is made from what is there now, so its frame is always looked at.
        return Due(sample=self._samples.due(time_s) or prediction, prediction=prediction)

    def average(self, probabilities: FloatArray) -> FloatArray:
        """Probabilities (classes,) averaged with those before: P_A of Algorithm 1 at 0.5."""
        if self._average is not None:
            old, new = np.float32(self._smoothing), np.float32(1 - self._smoothing)
            probabilities = old * self._average + new * probabilities
        self._average = probabilities
        return probabilities


class Recognizer:
    """Recognizes actions in any number of streams, each with a memory of its own.

    Args:
        engine: runs the bundle's graphs.
        spec: the bundle's description.
        config: memory policy, period and smoothing.

    Raises:
        ConfigError: the configuration contradicts the bundle.
    """

    def __init__(self, engine: Engine, spec: ModelSpec, config: StreamConfig | None = None) -> None:
        self.engine = engine
        self.spec = spec
        self.config = config or StreamConfig()
        self._streams: dict[str, StreamState] = {}
        wanted = self.config.memory.num_segments
        if wanted not in (None, spec.num_segments):
            raise ConfigError(
                f"the bundle has {spec.num_segments} segments, the configuration says {wanted}; "
                "edit memory.num_segments or export the bundle again"
            )

    def observe(self, frame: Frame) -> Prediction | None:
        """Take a frame of any stream; the times of a stream ascend.

        Returns:
            A prediction where one is due, else None.
        """
        state = self._state(frame)
        state.last_frame = frame
        due = state.due(frame.time_s)
        state.last_is_remembered = due.sample
        if due.sample:
            self._remember(state, frame)
        return self._predict(state, frame) if due.prediction else None

    def finish(self, stream: str) -> Prediction | None:
        """End a stream and forget it.

        Returns:
            Its only prediction, where it was too short for one to become due; else None.
        """
        state = self._streams.pop(stream, None)
        if state is None or state.has_predicted or state.last_frame is None:
            return None
        if not state.last_is_remembered:
            self._remember(state, state.last_frame)
        return self._predict(state, state.last_frame)

    def _state(self, frame: Frame) -> StreamState:
        """The state of the frame's stream, fresh where a gap says so."""
        state = self._streams.get(frame.stream)
        if state is None or self._forgets(state, frame):
            state = self._streams[frame.stream] = self._new_state()
        return state

    def _forgets(self, state: StreamState, frame: Frame) -> bool:
        memory, last = self.config.memory, state.last_frame
        gap_s = frame.time_s - last.time_s if last else 0.0
        return memory.on_gap == "reset" and gap_s > memory.gap_s

    def _new_state(self) -> StreamState:
        config = self.config
        memory = make_memory(
            config.memory.policy,
            self.spec.num_segments,
            config.memory.span_s or self.spec.clip_seconds,
            config.every_s,
        )
        smoothing = config.smoothing
        if smoothing is None:
            smoothing = PAPER_SMOOTHING if config.memory.policy == "paper" else 0.0
        return StreamState(memory, config.every_s, smoothing)

    def _remember(self, state: StreamState, frame: Frame) -> None:
        image = preprocess(frame.image, self.spec.preprocessing)
        state.memory.add(self.engine.encode(image[None])[0], frame.time_s)

    def _predict(self, state: StreamState, frame: Frame) -> Prediction:
        fill = state.memory.fill
        logits = self.engine.classify(state.memory.recall()[None])[0]
        scores = state.average(softmax(logits / self.spec.temperature))
        best = np.argsort(-scores, kind="stable")[: self.config.top]
        top = tuple((self.spec.labels[i], float(scores[i])) for i in best)
        return Prediction(
            stream=frame.stream,
            frame=frame.index,
            time_s=frame.time_s,
            label=top[0][0],
            score=top[0][1],
            top=top,
            memory_fill=fill,
        )


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities (classes,) of logits (classes,)."""
    powers = np.exp(logits - logits.max())
    probabilities: FloatArray = (powers / powers.sum()).astype(np.float32)
    return probabilities
