"""Which model each stream of a run uses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.recognition.models import Model
from ecolite_stream.recognition.recognizer import check_fits
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.sinks import Sink
from ecolite_stream.types import EngineBatch


class ModelsInUse:
    """Numbers the models of a run and assigns them to streams. The caller locks.

    Args:
        first: model 0, which all streams begin with.

    Attributes:
        by_number: the models that samples may be for.
    """

    def __init__(self, first: Model) -> None:
        self.by_number = {0: first}
        self._newest = self._default = 0
        self._assigned: dict[str, int] = {}

    def of(self, stream: str) -> tuple[int, Model]:
        """(number, model) of a stream, known or not."""
        number = self._assigned.get(stream, self._default)
        return number, self.by_number[number]

    def add(self, model: Model, streams: Iterable[str] | None) -> int:
        """Assign a new model to streams, or to all, known or not; return its number."""
        self._newest += 1
        self.by_number[self._newest] = model
        if streams is None:
            self._default, self._assigned = self._newest, {}
        else:
            self._assigned.update(dict.fromkeys(streams, self._newest))
        return self._newest

    def forget(self, stream: str) -> None:
        """A stream is gone; another one of its name uses the model of all."""
        self._assigned.pop(stream, None)

    def drop_unused(self, numbers: Iterable[int], needed: Collection[int]) -> list[int]:
        """Forget those of the numbers that are neither assigned nor needed; return them."""
        used = {self._default, *self._assigned.values(), *needed}
        unused = [number for number in numbers if number not in used]
        for number in unused:
            del self.by_number[number]
        return unused


def check_change(
    model: Model,
    names: Collection[str] | None,
    settings: Mapping[str, StreamConfig],
    sinks: Iterable[Sink],
) -> None:
    """Check that streams of a run can change to a model.

    Args:
        model: the new one.
        names: of the streams; None is all.
        settings: of all streams, by name.
        sinks: of the run.

    Raises:
        ConfigError: there is no such stream, its settings contradict the bundle, or the run is
            recorded.
    """
    if any(issubclass(EngineBatch, sink.takes) for sink in sinks):
        raise ConfigError(
            "this run is recorded, and a recording has one bundle; restart the run to change it"
        )
    for name in settings if names is None else names:
        if name not in settings:
            known = ", ".join(sorted(settings)) or "none"
            raise ConfigError(f"there is no stream {name!r}; streams: {known}")
        check_fits(settings[name], model.spec)
        StreamSampler(model.spec, settings[name])  # checks the memory settings
