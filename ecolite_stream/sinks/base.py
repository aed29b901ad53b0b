"""The protocols of sinks."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from ecolite_stream.types import Frame, Prediction, Sent

RETRY_AFTER_S = (0.5, 2.0)


class Sink(Protocol):
    """A context manager that receives predictions or events one at a time, from one thread.

    Attributes:
        takes: the types it receives, of `Prediction`, `Event` and `EngineBatch`.
        wants_all: whether it needs every prediction of a live stream, not only the newest.
        retry_after_s: seconds to wait before each further try, for live streams.
        log_name: its name in logs: that of its setting. An empty one is the name of its class.
    """

    takes: tuple[type[Sent], ...] = (Prediction,)
    wants_all: bool = False
    retry_after_s: Sequence[float] = RETRY_AFTER_S
    log_name: str = ""

    def send(self, output: Any, /) -> None:
        """Process an output of a type it `takes`."""

    def add_stream(self, name: str, views: Sequence[str] = ()) -> None:
        """Expect a stream added to the run, or added again; called from any thread.

        Args:
            name: of the stream.
            views: names of its views, if it has several.
        """
        return None

    def remove_stream(self, name: str) -> None:
        """Drop what is kept of a removed stream; called from any thread.

        The stream has ended, but its last outputs may still wait for this sink.
        """
        return None

    def change_views(self, name: str, views: Sequence[str]) -> None:
        """Expect other views of a stream; arguments as of `add_stream`; called from any thread."""
        return None

    def close(self) -> None:
        """Finish pending work; nothing is sent afterwards."""

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
    """A sink that also receives frames."""

    def show(self, frame: Frame, live: bool, /) -> bool:
        """Receive a frame, due or not, before its prediction; return whether there was room.

        Called in the thread that reads the stream. For a live stream it must not wait; a recording
        may wait, so that no frame is lost.
        """

    def hurry(self) -> None:
        """Make `close` quick: the run is stopping. Called from any thread."""
