"""Build streams and sinks from a configuration and run them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from ecolite_stream.app.sinks import SINKS
from ecolite_stream.app.systemd import notify_systemd
from ecolite_stream.app.versions import bundle_path
from ecolite_stream.config.choices import SOFTWARE
from ecolite_stream.config.drawn_views import DrawnViews, read_drawn
from ecolite_stream.config.printable import printable
from ecolite_stream.config.schema import ReconnectConfig, StreamConfig
from ecolite_stream.config.source_names import NamedSource, named_source
from ecolite_stream.config.views import several_view_names
from ecolite_stream.datasets.collect_sink import collector_among
from ecolite_stream.engines import Engine
from ecolite_stream.engines.auto_precision import choose_precision
from ecolite_stream.engines.check import open_checked
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle, read_bundle
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.observability.metrics_server import serve
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.recognition.models import model_of
from ecolite_stream.sinks.kind import Run, build_sinks
from ecolite_stream.sources import may_be_live, open_source, redact_url
from ecolite_stream.sources.pipe import NAME, STDIN
from ecolite_stream.web.page import with_page


def watch(config: StreamConfig, load: Callable[[], StreamConfig] | None = None) -> None:
    """Run a configuration until all its streams end.

    Args:
        config: settings of the run.
        load: reads the configuration again, for SIGHUP; None without a configuration file.

    Raises:
        EcoliteError: a source, the bundle or the engine cannot be used.
    """
    from ecolite_stream.app.control import PipelineControl
    from ecolite_stream.app.reload import Reloader, reload_on_sighup

    if not config.source:
        raise ConfigError("no source; try --source camera, --source FILE or --source pattern")
    bundle = read_bundle(bundle_path(config))
    loaded, config = config, with_precision(config, bundle)
    metrics = Metrics()
    streams = stream_inputs(config)
    names = [one.name for one in streams]
    control = PipelineControl(config, bundle, loaded.precision)
    sinks: list[Any] = []
    collecting = functools.partial(collector_among, sinks)
    with (
        serve(metrics, config.metrics, config.web.hosts)
        if config.metrics
        else contextlib.nullcontext(),
        with_page(names, bundle.spec.labels, metrics, config, control, collecting) as (
            connect,
            page,
        ),
    ):
        # Ports first: if one is taken, no file or folder has been made yet.
        views = {one.name: several_view_names((one.settings or config).views) for one in streams}
        sinks += build_sinks(SINKS, Run(config, names, bundle, views))
        pipeline = Pipeline(
            list(map(connect, streams)),
            engine_opener(config, bundle),
            model_of(bundle, config.engine, config.device, config.precision),
            [*sinks, *page],
            config,
            metrics,
        )
        control.attach(pipeline, connect, sinks)
        reloader = Reloader(loaded, load, pipeline, control, connect) if load else None
        with notify_systemd(pipeline.heartbeat), reload_on_sighup(reloader):
            pipeline.run()


def engine_opener(config: StreamConfig, bundle: Bundle) -> Callable[[], Engine]:
    """Opens the engine of a configuration with `open_checked`; its precision is not `auto`."""
    return lambda: open_checked(
        config.engine, bundle, config.device, config.precision, config.reuse
    )


def with_precision(config: StreamConfig, bundle: Bundle) -> StreamConfig:
    """The configuration with a precision in place of `auto`, which is reported on stderr.

    Raises:
        EngineError: no engine can run the bundle.
    """
    chosen = choose_precision(config.engine, bundle, config.device, config.precision)
    if chosen is None:
        return config
    click.echo(printable(f"precision {chosen.why}"), err=True)
    return dataclasses.replace(config, precision=chosen.precision)


def stream_inputs(
    specs: StreamConfig | Sequence[str | NamedSource],
    *,
    realtime: bool = False,
    reconnect: ReconnectConfig | None = None,
) -> list[StreamInput]:
    """The streams of a configuration or a list of sources, not yet opened.

    Args:
        specs: a configuration; or sources for `open_source`, each as SOURCE or NAME=SOURCE.
        realtime: play recordings at their own speed.
        reconnect: how to reopen lost live sources; None never reopens them.

    Raises:
        ConfigError: a name is invalid, or a name or standard input occurs twice.
    """
    config: StreamConfig | None = None
    if isinstance(specs, StreamConfig):
        config, realtime, reconnect = specs, specs.realtime, specs.reconnect
        specs = config.source
    sources = [named_source(spec) for spec in specs]
    named = list(zip(sources, stream_names(sources), strict=True))
    shared = config.decode if config else SOFTWARE
    streams = [
        _stream_input(source, name, realtime, reconnect, source.decode or shared)
        for source, name in named
    ]
    if config is None:
        return streams
    drawn = read_drawn(config.web.views_file)
    return [
        _with_settings(stream, config.of_stream(source), drawn.get(stream.name))
        for stream, source in zip(streams, sources, strict=True)
    ]


def _stream_input(
    source: NamedSource,
    name: str,
    realtime: bool,
    reconnect: ReconnectConfig | None,
    decode: str,
) -> StreamInput:
    waits = reconnect or ReconnectConfig()
    again = reconnect if waits.enabled and may_be_live(source.url) else None
    return StreamInput(
        name,
        functools.partial(
            open_source,
            source.url,
            name=name,
            realtime=realtime,
            end_is_worth_a_warning=not again,
            open_timeout_s=waits.open_s,
            read_timeout_s=waits.silent_s,
            decode=decode,
        ),
        again,
        source=source.url,
    )


def _with_settings(
    stream: StreamInput, configured: StreamConfig, drawn: DrawnViews | None
) -> StreamInput:
    """The stream with its settings; views that were drawn on the page replace configured ones."""
    settings = configured if drawn is None else drawn.over(configured)
    return dataclasses.replace(stream, settings=settings, configured=configured)


def stream_names(sources: Sequence[NamedSource]) -> list[str]:
    """The name of each stream: as configured, or its source without credentials.

    Raises:
        ConfigError: a name or standard input occurs twice.
    """
    if [source.url for source in sources].count(STDIN) > 1:
        raise ConfigError("standard input, -, is a source twice; name it once")
    unnamed = distinct_names(
        NAME if source.url == STDIN else redact_url(source.url)
        for source in sources
        if source.name is None
    )
    others = iter(unnamed)
    names = [next(others) if source.name is None else source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two streams are named {name!r}; give each its own name")
    return names


def distinct_names(specs: Iterable[str]) -> list[str]:
    """A distinct stream name for each source; repeated sources get a number."""
    names: list[str] = []
    for spec in specs:
        name, number = spec, 1
        while name in names:
            number += 1
            name = f"{spec}#{number}"
        names.append(name)
    return names
