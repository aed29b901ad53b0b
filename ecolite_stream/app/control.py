"""Add, remove, pause and resume the streams of a run, for the API."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ecolite_stream.app.build import stream_inputs
from ecolite_stream.config.drawn_views import DrawnViews, drawn_text, read_drawn
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.source_names import NamedSource
from ecolite_stream.config.strict import make_config
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.media.new_files import replace_text
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput
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
        spec: the bundle's description.
    """

    def __init__(self, config: StreamConfig, spec: ModelSpec) -> None:
        self._config = config
        self._spec = spec
        self._pipeline: Pipeline | None = None
        self.alerts: AlertBook | None = None
        self._connect: Callable[[StreamInput], StreamInput] = lambda stream: stream
        self._lock = threading.Lock()  # one change at a time

    def attach(
        self,
        pipeline: Pipeline,
        connect: Callable[[StreamInput], StreamInput],
        sinks: Sequence[Sink] = (),
    ) -> None:
        """Set the pipeline, the function that connects streams to the page, and the sinks."""
        self._pipeline, self._connect = pipeline, connect
        self.alerts = next((sink.book for sink in sinks if isinstance(sink, AlertSink)), None)

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
        check_fits(stream.settings or config, self._spec)
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
            check_fits(settings, self._spec)
            if path is None:
                raise ConfigError("this run has no file for views; set web.views_file")
            kept = {key: one for key, one in read_drawn(path).items() if key != name}
            if drawn is not None:
                kept[name] = drawn
            replace_text(path, drawn_text(kept))
            pipeline.change_views(self._connect(dataclasses.replace(stream, settings=settings)))

    def _running(self) -> Pipeline:
        if self._pipeline is None:
            raise ConfigError("the run is still starting; try again")
        return self._pipeline

    def _having(self, name: str) -> Pipeline:
        pipeline = self._running()
        if name not in pipeline.streams:
            raise KeyError(name)
        return pipeline
