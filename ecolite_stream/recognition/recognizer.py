"""Recognize actions in one thread: sample, encode, remember, classify.

No thread, no clock, no I/O: the same frames give the same predictions, byte for byte. `pipeline`
runs many streams in batches.
"""

from __future__ import annotations

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.engines.base import Engine
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.recognition.view_state import ViewState
from ecolite_stream.types import Frame, Prediction, Sample, ViewKey


class Recognizer:
    """Recognizes actions in any number of streams, each with its own memory.

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
        self._samplers: dict[str, StreamSampler] = {}
        self._states: dict[ViewKey, ViewState] = {}
        check_fits(self.config, spec)

    def observe(self, frame: Frame) -> Prediction | None:
        """Process a frame of a stream with one view; if time goes back, its state is reset.

        Returns:
            The prediction if one is due, else None; of several views, the first one's.

        Raises:
            EngineError: the engine failed.
        """
        return next(iter(self.observe_views(frame)), None)

    def observe_views(self, frame: Frame) -> list[Prediction]:
        """Process a frame of a stream.

        Returns:
            The prediction of each view in which one is due.

        Raises:
            EngineError: the engine failed.
        """
        sampler = self._samplers.get(frame.stream)
        if sampler is None:
            sampler = self._samplers[frame.stream] = StreamSampler(self.spec, self.config)
        return self._predict(sampler.sample(frame))

    def finish(self, stream: str) -> Prediction | None:
        """End a stream and drop its state.

        Returns:
            Its only prediction if it was too short for a due one, else None.

        Raises:
            EngineError: the engine failed.
        """
        sampler = self._samplers.pop(stream, None)
        predictions = [] if sampler is None else self._predict(sampler.finish())
        for key in [key for key in self._states if key[0] == stream]:
            del self._states[key]
        return next(iter(predictions), None)

    def _predict(self, samples: list[Sample]) -> list[Prediction]:
        return [found for sample in samples if (found := self._predict_one(sample)) is not None]

    def _predict_one(self, sample: Sample) -> Prediction | None:
        if sample.ends_view:
            self._states.pop(sample.key, None)
            return None
        state = self._states.get(sample.key)
        if state is None:
            state = self._states[sample.key] = ViewState(self.spec, self.config)
        feature = None if sample.image is None else self.engine.encode(sample.image[None])[0]
        clip_NCHW = state.remember(sample, feature)
        if clip_NCHW is None:
            return None
        if state.is_idle(sample):
            return state.conclude_idle()
        return state.conclude(self.engine.classify(clip_NCHW[None])[0])


def check_fits(config: StreamConfig, spec: ModelSpec) -> None:
    """Raise a ConfigError if a configuration contradicts the bundle."""
    wanted = config.memory.num_segments
    if wanted not in (None, spec.num_segments):
        raise ConfigError(
            f"the bundle has {spec.num_segments} segments, memory.num_segments is {wanted}; "
            "edit memory.num_segments or export the bundle again"
        )
