"""Actions in the frames of a stream, in one thread: sample, encode, remember, classify.

No thread, no clock and no I/O: the same frames give the same predictions, byte for byte. For many
streams at once, in batches, see `pipeline`.
"""

from __future__ import annotations

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.engines.base import Engine
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.recognition.stream_state import StreamState
from ecolite_stream.types import Frame, Prediction, Sample


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
        check_fits(self.config, spec)

    def observe(self, frame: Frame) -> Prediction | None:
        """Take a frame of any stream; where its time goes back, the stream starts afresh.

        Returns:
            A prediction where one is due, else None.

        Raises:
            EngineError: the engine failed.
        """
        state = self._streams.get(frame.stream)
        if state is None:
            state = self._streams[frame.stream] = StreamState(self.spec, self.config)
        return self._predict(state, state.sample(frame))

    def finish(self, stream: str) -> Prediction | None:
        """End a stream and forget it.

        Returns:
            Its only prediction, where it was too short for one to become due; else None.

        Raises:
            EngineError: the engine failed.
        """
        state = self._streams.pop(stream, None)
        return None if state is None else self._predict(state, state.finish())

    def _predict(self, state: StreamState, sample: Sample | None) -> Prediction | None:
        if sample is None:
            return None
        clip_NCHW = state.remember(sample, self.engine.encode(sample.image[None])[0])
        if clip_NCHW is None:
            return None
        return state.conclude(self.engine.classify(clip_NCHW[None])[0])


def check_fits(config: StreamConfig, spec: ModelSpec) -> None:
    """Raise a ConfigError if a configuration contradicts the bundle."""
    wanted = config.memory.num_segments
    if wanted not in (None, spec.num_segments):
        raise ConfigError(
            f"the bundle has {spec.num_segments} segments, the configuration says {wanted}; "
            "edit memory.num_segments or export the bundle again"
        )
