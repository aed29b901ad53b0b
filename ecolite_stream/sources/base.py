"""What every source is: a named iterator of frames that can be closed."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol

from ecolite_stream.types import Frame

WAIT_S = 10.0
"""How long a source may take to open, or to give more, unless it is told otherwise."""


class Source(Protocol):
    """An iterator of frames, and a context manager that closes itself.

    A source is opened when it is made; errors of opening are raised there. Ending is not an
    error: the iterator is exhausted. One thread iterates; `close` may come from any other.

    Attributes:
        name: what people are shown; a URL is without its credentials.
        live: whether frames come at their own pace and are lost when nobody takes them, so that
            a slow consumer should rather drop old frames than fall behind.
    """

    name: str
    live: bool

    def __next__(self) -> Frame:
        """The next frame.

        Raises:
            SourceError: the source broke, or held no frame at all.
        """
        ...

    def close(self) -> None:
        """Release the source; iteration ends. May be called again, from any thread, at any time.

        It never waits for a read that blocks: the thread that reads releases the rest when the
        read returns.
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
