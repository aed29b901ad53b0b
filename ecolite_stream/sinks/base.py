"""What every sink is."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol

from ecolite_stream.types import Prediction, Sent


class Sink(Protocol):
    """A context manager that takes predictions or events, one at a time, from one thread.

    Attributes:
        takes: what it is sent, of `Prediction`, `Event` and `Round`; `send` may name just those.
    """

    takes: tuple[type[Sent], ...] = (Prediction,)

    def send(self, output: Any, /) -> None:
        """Take a prediction or an event, whichever it `takes`."""

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
