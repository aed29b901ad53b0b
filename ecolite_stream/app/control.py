"""Change the streams and the bundle of a run, for the API."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecolite_stream.app.build import engine_opener, stream_inputs
from ecolite_stream.app.versions import (
    Version,
    add_version,
    find_version,
    list_versions,
    use_version,
)
from ecolite_stream.config.drawn_views import DrawnViews, drawn_text, read_drawn
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.source_names import NamedSource
from ecolite_stream.config.strict import check_readable, make_config
from ecolite_stream.engines.auto_precision import choose_precision
from ecolite_stream.errors import BundleError, ConfigError, EcoliteError, SourceError
from ecolite_stream.media.new_files import locked_folder, replace_text
from ecolite_stream.model.bundle import Bundle, read_bundle
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.recognition.models import model_of
from ecolite_stream.recognition.recognizer import check_fits
from ecolite_stream.sinks import Sink
from ecolite_stream.sinks.alert_book import AlertBook
from ecolite_stream.sinks.alerts import AlertSink
from ecolite_stream.sources import check_spec
from ecolite_stream.sources.pipe import STDIN

MOST_STREAMS = 256


class PipelineControl:
    """Changes the streams of a pipeline. The pipeline is attached later: the page starts first.

    Args:
        config: of the run; added streams use its settings.
        bundle: the model at the start.
        precision: as configured; `auto` is chosen anew for each bundle.
    """

    def __init__(self, config: StreamConfig, bundle: Bundle, precision: str | None = None) -> None:
        self._config = config
        self._precision = precision
        self._bundle = bundle
        self._pipeline: Pipeline | None = None
        self.alerts: AlertBook | None = None
        self._connect: Callable[[StreamInput], StreamInput] = lambda stream: stream
        self._on_bundle: list[Callable[[Bundle], object]] = []
        self._swapping = threading.RLock()  # one bundle at a time; opening it takes long
        self._lock = threading.Lock()  # one change at a time

    def attach(
        self,
        pipeline: Pipeline,
        connect: Callable[[StreamInput], StreamInput] = lambda stream: stream,
        sinks: Sequence[Sink] = (),
    ) -> None:
        """Set the pipeline.

        Args:
            pipeline: the run.
            connect: connects new streams to the page.
            sinks: of the run; alert rules are read from them.
        """
        self._pipeline, self._connect = pipeline, connect
        self.alerts = next((sink.book for sink in sinks if isinstance(sink, AlertSink)), None)

    def on_bundle(self, call: Callable[[Bundle], object]) -> None:
        """Call a function with each later bundle of all streams."""
        self._on_bundle.append(call)

    @property
    def bundle(self) -> Bundle:
        """The bundle of the run."""
        return self._bundle

    def versions(self) -> list[Version]:
        """The versions that `set_bundle` takes.

        Raises:
            ConfigError: their folder cannot be read.
        """
        return list_versions(self._config.models)

    def add_version(self, path: Path) -> str:
        """Copy a bundle to the versions; return its digest.

        Raises:
            EcoliteError: it is no bundle, or the folder of versions cannot be written.
        """
        return add_version(path, self._config.models)

    def set_bundle(self, digest_or_path: str) -> None:
        """Change all streams to a version and make it the current one; no frame is lost.

        Args:
            digest_or_path: of a version: its digest, the first characters of it, or its folder.

        Raises:
            EcoliteError: there is no such version, or it cannot be used; the run is unchanged. Or
                the folder of versions cannot be written; the message says that the run has changed.
        """
        folder = self._config.models
        with self._swapping:  # or another change could come between the run and the folder
            version = find_version(digest_or_path, folder)
            self.change_bundle(version.path, version.digest)
            try:
                use_version(version.digest, folder)
            except EcoliteError as error:
                raise ConfigError(
                    f"the run uses version {version.digest[:12]} now, but the next one will not: "
                    f"{error}"
                ) from error

    def change_bundle(self, path: Path, digest: str | None = None) -> bool:
        """Change all streams to the bundle in any folder.

        Args:
            path: the bundle.
            digest: expected; None takes any.

        Returns:
            Whether the bundle changed.

        Raises:
            EcoliteError: it cannot be used; the run is unchanged.
        """
        config = self._config
        with self._swapping:
            pipeline = self._running()
            bundle = read_bundle(path)
            if digest not in (None, bundle.digest):
                raise BundleError(f"{path} holds another bundle; remove it and add it again")
            if bundle.digest == self._bundle.digest:
                return False
            chosen = choose_precision(config.engine, bundle, config.device, self._precision)
            precision = config.precision if chosen is None else chosen.precision
            model = model_of(bundle, config.engine, config.device, precision)
            opener = engine_opener(dataclasses.replace(config, precision=precision), bundle)
            pipeline.set_bundle(model, opener)
            self._bundle = bundle
            for call in self._on_bundle:
                call(bundle)
        return True

    def names(self) -> Collection[str] | None:
        """Names of watched and paused streams; None before the run begins."""
        return None if self._pipeline is None else self._pipeline.streams

    def add(self, source: dict[str, Any]) -> str:
        """Watch another source; return the name of its stream.

        Raises:
            ConfigError: the source is invalid, or its name is taken.
        """
        named = make_config(NamedSource, source, "source")
        if named.url == STDIN:
            raise ConfigError(
                "source: standard input cannot be added to a run; name it at the start"
            )
        try:
            check_spec(named.url)
        except SourceError as error:
            raise ConfigError(str(error)) from error
        config = dataclasses.replace(self._config, source=(named,))
        (stream,) = stream_inputs(config)
        check_fits(stream.settings or config, self._bundle.spec)
        with self._lock:
            pipeline = self._running()
            if len(pipeline.streams) >= MOST_STREAMS:
                raise ConfigError(f"{MOST_STREAMS} streams are watched; remove one first")
            if stream.name in pipeline.streams:
                raise ConfigError(f"there is a stream {stream.name!r} already; remove it first")
            pipeline.add(self._connect(stream))
        return stream.name

    def remove(self, name: str) -> None:
        """End a stream.

        Raises:
            KeyError: there is no such stream.
        """
        with self._lock:
            self._having(name).remove(name)

    def pause(self, name: str) -> None:
        """Close a stream's source until `resume`.

        Raises:
            KeyError: there is no such stream.
            ConfigError: it is paused already.
        """
        with self._lock:
            self._having(name).pause(name)

    def resume(self, name: str) -> None:
        """Reopen a paused stream's source.

        Raises:
            KeyError: there is no such stream.
            ConfigError: it is not paused.
        """
        with self._lock:
            self._having(name).resume(name)

    def views(self, name: str) -> tuple[DrawnViews, bool]:
        """Views and mask of a stream, and whether they were drawn on the page.

        Raises:
            KeyError: there is no such stream.
            ConfigError: the file of views is invalid.
        """
        settings = self._having(name).stream_input(name).settings or self._config
        is_drawn = name in read_drawn(self._config.web.views_file)
        return DrawnViews(settings.views, settings.mask), is_drawn

    def set_views(self, name: str, drawn: DrawnViews | None) -> None:
        """Give a stream other views at once and keep them; None takes the configuration's again.

        Raises:
            KeyError: there is no such stream.
            ConfigError: the bundle has no use for them, or the file of views is invalid.
            OSError: the file of views cannot be written; nothing has changed.
        """
        with self._lock:
            pipeline, path = self._having(name), self._config.web.views_file
            stream = pipeline.stream_input(name)
            configured = stream.configured or self._config
            settings = configured if drawn is None else drawn.over(configured)
            check_fits(settings, self._bundle.spec)
            if path is None:
                raise ConfigError("this run has no file for views; set web.views_file")
            changed = self._connect(dataclasses.replace(stream, settings=settings))
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked_folder(path.parent):  # another run may share the file
                before = read_drawn(path)
                kept = {key: one for key, one in before.items() if key != name}
                if drawn is not None:
                    kept[name] = drawn
                _write_drawn(path, kept)
                try:
                    pipeline.change_views(changed)
                except EcoliteError:  # the stream or the bundle changed meanwhile
                    _write_drawn(path, before)
                    raise

    def _running(self) -> Pipeline:
        if self._pipeline is None:
            raise ConfigError("the run is still starting; try again")
        return self._pipeline

    def _having(self, name: str) -> Pipeline:
        pipeline = self._running()
        if name not in pipeline.streams:
            raise KeyError(name)
        return pipeline


def _write_drawn(path: Path, drawn: Mapping[str, DrawnViews]) -> None:
    text = drawn_text(drawn)
    check_readable(text, path)
    replace_text(path, text)
