"""The streams of a run by name: their inputs, readers and views, and which are paused."""

from __future__ import annotations

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.pipeline.reader import Reader, StreamInput
from ecolite_stream.recognition.step import MOST_PER_STEP


class StreamTable:
    """Streams by name. It has no lock of its own: the pipeline's guards it.

    Args:
        config: settings of streams that have none of their own.

    Attributes:
        readers: of all streams, paused ones and those being removed included.
        paused: inputs of paused streams.
    """

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._inputs: dict[str, StreamInput] = {}
        self._per_batch: dict[str, int] = {}
        self.readers: dict[str, Reader] = {}
        self.paused: dict[str, StreamInput] = {}

    def check_free(self, name: str) -> None:
        """Raise a ConfigError if a stream of that name is watched or paused."""
        if name in self.states():
            raise ConfigError(f"there is a stream {name!r} already; remove it first")

    def watch(self, stream: StreamInput, reader: Reader, most_views: int) -> None:
        """Add a stream with at most so many views at a time."""
        self._inputs[stream.name] = stream
        self._per_batch[stream.name] = MOST_PER_STEP * most_views
        self.readers[stream.name] = reader

    def change(self, stream: StreamInput, most_views: int) -> None:
        """Note other settings of a watched or paused stream.

        Raises:
            ConfigError: there is no such stream.
        """
        if stream.name in self.paused:
            self.paused[stream.name] = stream
            return
        self.reader(stream.name)
        self._inputs[stream.name] = stream
        before = self._per_batch[stream.name]
        self._per_batch[stream.name] = max(before, MOST_PER_STEP * most_views)

    def stop(self, name: str) -> StreamInput:
        """End the reader of a watched stream; return its input.

        Raises:
            ConfigError: there is no such stream.
        """
        reader = self.reader(name)
        stream = self._inputs.pop(name)
        reader.remove()
        return stream

    def forget(self, name: str) -> None:
        """Drop what is left of a removed stream."""
        self.readers.pop(name, None)
        self._per_batch.pop(name, None)

    def states(self) -> dict[str, str]:
        """State of each stream by name: `watched` or `paused`."""
        watched = [name for name, reader in self.readers.items() if not reader.is_removed]
        return {**dict.fromkeys(watched, "watched"), **dict.fromkeys(self.paused, "paused")}

    def reader(self, name: str) -> Reader:
        """The reader of a watched stream.

        Raises:
            ConfigError: there is no such stream.
        """
        reader = self.readers.get(name)
        if reader is None or reader.is_removed:
            known = ", ".join(sorted(self._inputs)) or "none"
            raise ConfigError(f"there is no stream {name!r}; streams: {known}")
        return reader

    def input_of(self, name: str) -> StreamInput:
        """A watched or paused stream as it was added or last changed.

        Raises:
            ConfigError: there is no such stream.
        """
        if name in self.paused:
            return self.paused[name]
        self.reader(name)
        return self._inputs[name]

    def settings(self, name: str) -> StreamConfig:
        """Settings of a stream; those of the run for one that is not there."""
        stream = self._inputs.get(name) or self.paused.get(name)
        return (stream and stream.settings) or self._config

    def most_per_batch(self) -> int:
        """Most outputs of one batch of all streams."""
        return 1 + sum(self._per_batch.values())
