"""The protocol of sources: a named, closable iterator of frames."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol

from ecolite_stream.types import Frame

WAIT_S = 10.0
"""Default timeout for opening a source and for each read, in seconds."""


class Source(Protocol):
    """An iterator of frames, and a context manager that closes itself.

    The constructor opens the source and raises its errors. At the end the iterator is exhausted.
    One thread iterates; any thread may call `close`.

    Attributes:
        name: name for messages, without credentials.
        live: whether frames arrive at their own pace, so that a slow consumer should drop old
            frames rather than fall behind.
    """

    name: str
    live: bool

    def __next__(self) -> Frame:
        """The next frame.

        Raises:
            SourceError: the source failed, or has no frame.
        """
        ...

    def close(self) -> None:
        """Release the source and end the iteration; call it from any thread, also repeatedly.

        It never waits for a blocked read: the reading thread releases the rest when it returns.
        """
        ...

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
