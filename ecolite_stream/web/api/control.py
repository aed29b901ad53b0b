"""What the API needs of a run to change its streams."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from ecolite_stream.config.drawn_views import DrawnViews
from ecolite_stream.sinks.alert_book import AlertBook


class RunControl(Protocol):
    """A run whose streams can be changed while it goes on; any thread may call it.

    All methods raise a ConfigError for what cannot be done, and those that take the name of a
    stream a KeyError where there is no such stream.

    Attributes:
        alerts: the alert rules; None where the run sends no alerts, or is still starting.
    """

    alerts: AlertBook | None

    def names(self) -> Collection[str] | None:
        """The streams that are watched or paused; None where that is not known yet."""

    def add(self, source: dict[str, Any]) -> str:
        """Watch another source; keys as those of a source in the configuration; return its name."""

    def remove(self, name: str) -> None:
        """End a stream."""

    def views(self, name: str) -> tuple[DrawnViews, bool]:
        """Views and mask of a stream, and whether they were drawn on the page."""

    def set_views(self, name: str, drawn: DrawnViews | None) -> None:
        """Give a stream other views at once and keep them; None takes the configuration's again.

        Raises:
            OSError: they cannot be kept; nothing has changed.
        """

    def pause(self, name: str) -> None:
        """Stop reading a stream until `resume`."""

    def resume(self, name: str) -> None:
        """Read a paused stream again."""
