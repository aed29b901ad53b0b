"""What the API needs of a run to change its streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ecolite_stream.config.drawn_views import DrawnViews
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.sinks.alert_book import AlertBook
from ecolite_stream.web.api.operations import ApiError

_CHANGE_S = 15.0

Changed = TypeVar("Changed")


class KnownVersion(Protocol):
    """A version of the model; see `app.versions.Version`."""

    @property
    def digest(self) -> str: ...

    @property
    def path(self) -> Path: ...

    @property
    def name(self) -> str: ...

    @property
    def created(self) -> str | None: ...

    @property
    def is_current(self) -> bool: ...

    @property
    def held_out(self) -> tuple[int, int] | None: ...


class RunControl(Protocol):
    """A run that can be changed while it goes on; any thread may call it.

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

    @property
    def bundle(self) -> Bundle:
        """The bundle of the run."""

    def versions(self) -> Sequence[KnownVersion]:
        """The versions that `set_bundle` takes; an EcoliteError where they cannot be read."""

    def add_version(self, path: Path) -> str:
        """Copy a bundle to the versions; return its digest."""

    def set_bundle(self, digest_or_path: str) -> None:
        """Change all streams to a version and keep that; an EcoliteError says what was not done."""

    def on_bundle(self, call: Callable[[Bundle], object]) -> None:
        """Call a function with each later bundle of all streams."""


async def change_run(
    control: RunControl | None, may_control: bool, change: Callable[[RunControl], Changed]
) -> Changed:
    """Change a run, in another thread.

    Args:
        control: of the run; None where it cannot be changed.
        may_control: whether visitors may change it.
        change: does it.

    Raises:
        ApiError: it cannot be changed, or takes too long.
        EcoliteError: it cannot be changed so.
        KeyError: it has no such stream.
    """
    if not may_control:
        raise ApiError(409, "changing the run needs a token; set web.token")
    if control is None:
        raise ApiError(503, "this run cannot be changed")
    try:
        async with asyncio.timeout(_CHANGE_S):
            return await asyncio.to_thread(change, control)
    except TimeoutError as error:
        raise ApiError(
            503, f"the change takes longer than {_CHANGE_S:g} s and goes on; look again later"
        ) from error
