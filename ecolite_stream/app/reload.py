"""SIGHUP: read the configuration again and apply changes of streams and of the bundle."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from ecolite_stream.app.build import stream_inputs
from ecolite_stream.app.control import PipelineControl
from ecolite_stream.app.versions import bundle_path
from ecolite_stream.config.schema import STREAM_SETTINGS, StreamConfig
from ecolite_stream.errors import EcoliteError, one_line
from ecolite_stream.model.bundle import read_bundle
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.recognition.recognizer import check_fits

_log = logging.getLogger(__name__)

OF_STREAMS = frozenset({"source", "include", "logins", "reconnect", "realtime", *STREAM_SETTINGS})
_OF_BUNDLE = frozenset({"bundle"})
"""Settings that a reload applies; the others need a restart."""
_POLL_S = 1.0


class CanReload(Protocol):
    """Applies a changed configuration."""

    def reload(self) -> str:
        """Read and apply it; return the changes in one line, or raise an EcoliteError."""


class Reloader:
    """Applies a changed configuration to a run.

    It adds new streams, removes missing ones and reopens those whose source or settings changed.
    The others go on and lose no frame. If the configured bundle is another one than at the last
    look, by path, content or current version, all streams change to it first.

    Args:
        config: current configuration of the run.
        load: reads the configuration again.
        pipeline: the run.
        control: changes the bundle.
        connect: connects a new stream to the page.
    """

    def __init__(
        self,
        config: StreamConfig,
        load: Callable[[], StreamConfig],
        pipeline: Pipeline,
        control: PipelineControl,
        connect: Callable[[StreamInput], StreamInput] = lambda stream: stream,
    ) -> None:
        self._config = config
        self._load = load
        self._pipeline = pipeline
        self._control = control
        self._digest = control.bundle.digest  # as configured; the API may have changed it since
        self._connect = connect
        self._failed: frozenset[str] = frozenset()  # streams that the last reload could not add

    def reload(self) -> str:
        """Read and apply the configuration.

        Returns:
            The changes, in one line.

        Raises:
            EcoliteError: the configuration is wrong; the run is unchanged.
        """
        config = self._load()
        bundle = read_bundle(bundle_path(config))
        is_new = bundle.digest != self._digest
        spec = bundle.spec if is_new else self._control.bundle.spec
        wanted = {stream.name: stream for stream in stream_inputs(config)}
        for stream in wanted.values():
            check_fits(stream.settings or config, spec)
        gone, new, changed = self._compare(wanted)
        restart = needs_restart(self._config, config, OF_STREAMS | _OF_BUNDLE)
        swapped = is_new and self._control.change_bundle(bundle.path, bundle.digest)
        self._digest = bundle.digest
        self._config = config
        for name in gone + changed:
            if name in self._pipeline.streams:
                self._pipeline.remove(name)
        failed = self._add([wanted[name] for name in new + changed])
        return in_words(
            {
                "changed to bundle": [bundle.digest[:12]] if swapped else [],
                "added": [name for name in new if name not in self._failed],
                "removed": gone,
                "opened anew": [name for name in changed if name not in self._failed],
                "not added, reload again:": failed,
                "restart to apply": restart,
            }
        )

    def _compare(self, wanted: Mapping[str, StreamInput]) -> tuple[list[str], list[str], list[str]]:
        """Names of streams that are (gone, new, changed) since the last configuration."""
        there = {stream.name: stream for stream in stream_inputs(self._config)}
        gone = [name for name in there if name not in wanted]
        new: list[str] = []
        changed: list[str] = []
        for name, stream in wanted.items():
            if name not in there or name in self._failed:
                found = new
            elif differs(there[name], stream):
                found = changed
            else:
                continue
            if not self._is_applied(stream):  # by the API, or as views that were drawn on the page
                found.append(name)
        return gone, new, changed

    def _add(self, streams: Sequence[StreamInput]) -> list[str]:
        """Add streams; return why some could not be added. The next reload tries those again."""
        errors: dict[str, str] = {}
        for stream in streams:
            try:
                self._pipeline.add(self._connect(stream))
            except EcoliteError as error:
                errors[stream.name] = f"{stream.name} ({one_line(error)})"
        self._failed = frozenset(errors)
        return list(errors.values())

    def _is_applied(self, stream: StreamInput) -> bool:
        if stream.name not in self._pipeline.streams:
            return False
        return not differs(self._pipeline.stream_input(stream.name), stream)


def needs_restart(
    before: StreamConfig, after: StreamConfig, applied: frozenset[str] = OF_STREAMS
) -> list[str]:
    """Names of changed settings that are not among those that a reload applies."""
    return [
        field.name
        for field in dataclasses.fields(after)
        if field.name not in applied and getattr(after, field.name) != getattr(before, field.name)
    ]


def in_words(changes: Mapping[str, Sequence[str]]) -> str:
    """One line of what changed: names by kind of change."""
    parts = [f"{what} {', '.join(names)}" for what, names in changes.items() if names]
    return "; ".join(parts) or "nothing changed"


def differs(one: StreamInput, other: StreamInput) -> bool:
    """Whether two streams differ in source or settings."""
    return (one.source, one.settings, one.reconnect) != (
        other.source,
        other.settings,
        other.reconnect,
    )


@contextlib.contextmanager
def reload_on_sighup(reloader: CanReload | None) -> Iterator[None]:
    """Reload at each SIGHUP while the block runs; without a reloader do nothing."""
    if reloader is None or not hasattr(signal, "SIGHUP"):
        yield
        return
    asked, ended = threading.Event(), threading.Event()

    def run() -> None:
        while not ended.is_set():
            if not asked.wait(_POLL_S) or ended.is_set():
                continue
            asked.clear()
            try:
                _log.warning("configuration read again: %s", reloader.reload())
            except EcoliteError as error:
                _log.error("configuration not applied, the run goes on: %s", one_line(error))
            except Exception:  # this thread must be there for the next SIGHUP
                _log.exception("configuration not applied: unexpected error; report it")

    before = signal.signal(signal.SIGHUP, lambda *_: asked.set())
    thread = threading.Thread(target=run, name="reload", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        asked.set()
        signal.signal(signal.SIGHUP, before)
