"""What the API needs of a run to change its streams."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol


class RunControl(Protocol):
    """A run whose streams can be changed while it goes on; any thread may call it.

    All methods raise a ConfigError for what cannot be done, and `remove`, `pause` and `resume` a
    KeyError where there is no such stream.
    """

    def names(self) -> Collection[str] | None:
        """The streams that are watched or paused; None where that is not known yet."""

    def add(self, source: dict[str, Any]) -> str:
        """Watch another source; keys as those of a source in the configuration; return its name."""

    def remove(self, name: str) -> None:
        """End a stream."""

    def pause(self, name: str) -> None:
        """Stop reading a stream until `resume`."""

    def resume(self, name: str) -> None:
        """Read a paused stream again."""
