"""A kind of sink: its configuration section, option, check and factory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks.base import Sink
from ecolite_stream.types import LeaseMark

if TYPE_CHECKING:
    from ecolite_stream.model.bundle import Bundle

Config = TypeVar("Config")


class Fence(Protocol):
    """Refuses events in the transaction that would write them."""

    def refused(self, connection: Any, marks: Mapping[str, LeaseMark], /) -> set[str]:
        """The ids of events that must not be written, given the marks of all by id."""


@dataclass(frozen=True)
class Run:
    """The run that sinks are checked and built for.

    Attributes:
        config: its configuration.
        streams: names of its streams.
        bundle: its model.
        views: names of the views of each stream that has several; () for the others.
        fence: refuses events of leases that have ended; None outside of a fleet.
    """

    config: StreamConfig
    streams: Sequence[str]
    bundle: Bundle
    views: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fence: Fence | None = None

    @property
    def engine(self) -> str:
        """The name of its engine, never `auto`.

        Raises:
            EngineError: no installed engine can run the bundle.
        """
        from ecolite_stream.engines import choose_engine

        config = self.config
        return choose_engine(config.engine, self.bundle, config.device, config.precision)


@dataclass(frozen=True)
class SinkKind(Generic[Config]):
    """A kind of sink; its file defines one, and `SINKS` in `app/sinks.py` lists it.

    Attributes:
        section: its section in the configuration file, which also names the option. None if its
            settings are keys of the top level.
        config: frozen dataclass of its settings. Each has a default; the defaults build no sink.
        key: the setting that the option sets; the sink is built unless it is None.
        help: one sentence for `--help` and the table in docs/events.md.
        check: checks the settings without opening or writing anything; returns the text for
            `--check-config`; raises a ConfigError.
        build: makes the sink; raises a ConfigError.
        metavar: placeholder of the option's value in `--help`.
        extra: the extra that installs its library, if any.

    `--help` imports every kind: import this library, NumPy, OpenCV, PyAV and the network inside
    functions.
    """

    section: str | None
    config: type[Config]
    key: str
    help: str
    check: Callable[[Config, Run], str]
    build: Callable[[Config, Run], Sink]
    metavar: str | None = None
    extra: str | None = None

    @property
    def name(self) -> str:
        """Its name in options and error messages."""
        return self.section or self.key

    def is_wanted(self, config: StreamConfig) -> bool:
        """Whether the configuration asks for this sink."""
        return getattr(config.section(self.config), self.key) is not None

    def check_for(self, run: Run) -> str:
        """Check the settings of a run; return the text for `--check-config`.

        Raises:
            ConfigError: the extra is not installed, or the sink cannot be built.
        """
        with self._naming_the_extra():
            return self.check(run.config.section(self.config), run)

    def build_for(self, run: Run) -> Sink:
        """Build the sink of a run.

        Raises:
            ConfigError: the extra is not installed, or the sink cannot be built.
        """
        with self._naming_the_extra():
            sink = self.build(run.config.section(self.config), run)
        sink.log_name = self.name
        return sink

    @contextlib.contextmanager
    def _naming_the_extra(self) -> Iterator[None]:
        try:
            yield
        except ModuleNotFoundError as error:
            if self.extra is None:
                raise
            raise ConfigError(
                f"{self.name} needs {error.name}, which is not installed; "
                f"run pip install 'ecolite-stream[{self.extra}]'"
            ) from error


def build_sinks(kinds: Sequence[SinkKind[Any]], run: Run) -> list[Sink]:
    """Build the sinks of a run, in the order of the kinds.

    All are checked before the first is built, so that an error leaves no files behind.

    Raises:
        ConfigError: a sink cannot be built.
    """
    wanted = [kind for kind in kinds if kind.is_wanted(run.config)]
    for kind in wanted:
        kind.check_for(run)
    return [kind.build_for(run) for kind in wanted]


def check_writable(path: Path) -> Path:
    """Return a path if it can be written or made; change nothing.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        there = next(place for place in (path, *path.parents) if place.exists())
        can = os.access(there, os.W_OK) and (there == path or there.is_dir())
    except OSError:  # no permission to enter a parent folder
        can = False
    if not can:
        raise ConfigError(f"{path}: cannot be written; choose another place or change permissions")
    return path
