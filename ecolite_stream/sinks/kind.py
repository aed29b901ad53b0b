"""A kind of sink: its section of the configuration, its option, its check and how it is built."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.engines import choose_engine
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.sinks.base import Sink

Config = TypeVar("Config")


@dataclass(frozen=True)
class Run:
    """The run that sinks are checked and built for.

    Attributes:
        config: its configuration.
        streams: names of its streams.
        bundle: its model.
    """

    config: StreamConfig
    streams: Sequence[str]
    bundle: Bundle

    @property
    def engine(self) -> str:
        """The name of its engine, never `auto`.

        Raises:
            EngineError: no installed engine can run the bundle.
        """
        config = self.config
        return choose_engine(config.engine, self.bundle, config.device, config.precision)


@dataclass(frozen=True)
class SinkKind(Generic[Config]):
    """A kind of sink; its file defines one, and `SINKS` in `app/sinks.py` lists it.

    Attributes:
        section: key of its section in the configuration file; the option is named after it. None
            if its settings are keys of the top level.
        config: frozen dataclass of its settings. Each has a default; the defaults build no sink.
        key: the setting that the option sets; the sink is built unless it is None.
        help: what the sink does, for `--help` and the table in docs/events.md.
        check: finds out, without opening or writing anything, whether `build` would work; returns
            what goes where, for `--check-config`; raises a ConfigError.
        build: makes the sink; raises a ConfigError.
        metavar: how `--help` names the value of the option.
        extra: the extra of the package that it needs, if any. Its library must be imported inside
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
        """What options and error messages call it."""
        return self.section or self.key

    def is_wanted(self, config: StreamConfig) -> bool:
        """Whether a run with this configuration has such a sink."""
        return getattr(config.section(self.config), self.key) is not None

    def check_for(self, run: Run) -> str:
        """Check the settings of a run; return what goes where.

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
            return self.build(run.config.section(self.config), run)

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
    """The sinks that a run's configuration asks for, in the order of the kinds.

    All are checked before the first is built: an error in one leaves no file of another behind.

    Raises:
        ConfigError: one cannot be built.
    """
    wanted = [kind for kind in kinds if kind.is_wanted(run.config)]
    for kind in wanted:
        kind.check_for(run)
    return [kind.build_for(run) for kind in wanted]


def check_writable(path: Path) -> Path:
    """The path, if a file or folder can be written or made there; nothing is touched.

    Raises:
        ConfigError: it cannot.
    """
    try:
        there = next(place for place in (path, *path.parents) if place.exists())
        can = os.access(there, os.W_OK) and (there == path or there.is_dir())
    except OSError:  # a folder on the way may not be entered
        can = False
    if not can:
        raise ConfigError(f"{path}: cannot be written; choose another place, or change its rights")
    return path
