"""What every sink is."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from ecolite_stream.types import Prediction


class Sink(Protocol):
    """A context manager that takes predictions, one at a time, from one thread."""

    def send(self, prediction: Prediction) -> None:
        """Take a prediction."""

    def close(self) -> None:
        """Finish what was begun; nothing is sent afterwards."""

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
