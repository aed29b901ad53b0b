"""Which model each stream of a run uses."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ecolite_stream.recognition.models import Model


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

    def drop_unused(self, numbers: Iterable[int], needed: Collection[int]) -> list[int]:
        """Forget those of the numbers that are neither assigned nor needed; return them."""
        used = {self._default, *self._assigned.values(), *needed}
        unused = [number for number in numbers if number not in used]
        for number in unused:
            del self.by_number[number]
        return unused
