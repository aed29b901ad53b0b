"""What every sink is."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from ecolite_stream.types import Frame, Prediction, Sent

RETRY_AFTER_S = (0.5, 2.0)


class Sink(Protocol):
    """A context manager that takes predictions or events, one at a time, from one thread.

    Attributes:
        takes: the types it receives, of `Prediction`, `Event` and `EngineBatch`.
        wants_all: every prediction of a live stream is of use to it, however late, and not just the
            newest one.
        retry_after_s: seconds to wait before each further try of what is of a live stream.
    """

    takes: tuple[type[Sent], ...] = (Prediction,)
    wants_all: bool = False
    retry_after_s: Sequence[float] = RETRY_AFTER_S

    def send(self, output: Any, /) -> None:
        """Take a prediction or an event, whichever it `takes`."""

    def add_stream(self, name: str) -> None:
        """Expect a stream that joins the run; may come from any thread."""
        return None

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


@runtime_checkable
class FrameSink(Sink, Protocol):
    """A sink that is shown the frames, too."""

    def show(self, frame: Frame, live: bool, /) -> bool:
        """Look at a frame, due or not, before it is predicted from; tell whether there was room.

        It comes from the thread that reads the stream, not from the sink's. Of a live stream it
        must not wait; a recording may be held up, so that nothing of it is lost.
        """

    def hurry(self) -> None:
        """The run is being stopped, from any thread: `close` must not take long."""
