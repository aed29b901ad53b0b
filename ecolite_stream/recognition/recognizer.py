"""Actions in the frames of a stream, in one thread: sample, encode, remember, classify.

No thread, no clock and no I/O: the same frames give the same predictions, byte for byte. For many
streams at once, in batches, see `pipeline`.
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
        self._samplers: dict[str, StreamSampler] = {}
        self._states: dict[ViewKey, ViewState] = {}
        check_fits(self.config, spec)

    def observe(self, frame: Frame) -> Prediction | None:
        """Take a frame of a stream with one view; it starts anew where its time goes back.

        Returns:
            A prediction where one is due, else None; of several views, that of the first.

        Raises:
            EngineError: the engine failed.
        """
        return next(iter(self.observe_views(frame)), None)

    def observe_views(self, frame: Frame) -> list[Prediction]:
        """Take a frame of any stream.

        Returns:
            A prediction for each view in which one is due.

        Raises:
            EngineError: the engine failed.
        """
        sampler = self._samplers.get(frame.stream)
        if sampler is None:
            sampler = self._samplers[frame.stream] = StreamSampler(self.spec, self.config)
        return self._predict(sampler.sample(frame))

    def finish(self, stream: str) -> Prediction | None:
        """End a stream and forget it.

        Returns:
            Its only prediction, where it was too short for one to become due; else None.

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
            f"the bundle has {spec.num_segments} segments, the configuration says {wanted}; "
            "edit memory.num_segments or export the bundle again"
        )
