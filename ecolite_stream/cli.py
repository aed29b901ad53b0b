"""The command line `ecolite-stream`."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from ecolite_stream import __version__
from ecolite_stream.bundle import demo_bundle_path, read_bundle
from ecolite_stream.commands import run_and_leave
from ecolite_stream.config import ENGINES, StreamConfig
from ecolite_stream.engines import choose_engine, open_engine
from ecolite_stream.engines.names import PRECISIONS
from ecolite_stream.errors import ConfigError
from ecolite_stream.includes import load_stream_config
from ecolite_stream.memory import POLICIES
from ecolite_stream.metrics import Metrics, serve
from ecolite_stream.pipeline import Pipeline, stream_inputs
from ecolite_stream.plan import planned
from ecolite_stream.replay import recorder, replay
from ecolite_stream.service import told_to_systemd
from ecolite_stream.sinks import (
    ConsoleSink,
    JsonFileSink,
    JsonLinesSink,
    Sink,
    WebhookSink,
    mqtt_sink,
)
from ecolite_stream.sinks.clips import ClipSink
from ecolite_stream.sinks.video import VideoSink
from ecolite_stream.source_check import check
from ecolite_stream.web.page import with_page


@click.group(
    invoke_without_command=True,
    subcommand_metavar="[COMMAND ...]",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--source",
    multiple=True,
    metavar="[NAME=]SOURCE",
    help="camera, camera:1, a video file, a URL, - or pattern; again for more streams.",
)
@click.option("--bundle", type=click.Path(path_type=Path), help="Model folder. [the embedded one]")
@click.option(
    "--engine", type=click.Choice(ENGINES), help="What computes. [auto: the best installed]"
)
@click.option("--device", help="Where: cpu, ascend, ascend:0, gpu:0. [cpu]")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Of the numbers. [the engine's]")
@click.option("--memory", type=click.Choice(POLICIES), help="What is remembered. [window]")
@click.option("--span", type=float, help="Seconds the window spans. [the bundle's clip length]")
@click.option("--every", type=float, help="Seconds between two labels. [0.5]")
@click.option("--smoothing", type=float, help="Share of earlier answers in each, 0 to 1.")
@click.option("--top", type=int, help="How many labels to list. [5]")
@click.option("--realtime", is_flag=True, default=None, help="Play files at their own speed.")
@click.option(
    "--no-reconnect", is_flag=True, default=None, help="Do not open lost live sources again."
)
@click.option("--json", is_flag=True, default=None, help="JSON Lines instead of text.")
@click.option("--events", is_flag=True, default=None, help="Events instead of predictions.")
@click.option(
    "--json-file",
    type=click.Path(path_type=Path),
    help="Write predictions and events as JSON Lines, too.",
)
@click.option("--webhook", metavar="URL", help="Post events as JSON to a web server, too.")
@click.option("--mqtt", metavar="URL", help="Publish events and states at an MQTT broker, too.")
@click.option(
    "--clips", type=click.Path(path_type=Path), help="Write a video of each event to a folder, too."
)
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="Write the stream with its labels to FILE.mp4, or several to a folder, too.",
)
@click.option(
    "--record", type=click.Path(path_type=Path), help="Keep the run in a folder, for replay, too."
)
@click.option(
    "--metrics", metavar="[HOST:]PORT", help="Serve metrics for Prometheus, to this machine only."
)
@click.option(
    "--web", metavar="[HOST:]PORT", help="Serve a page to watch the run with, to this machine only."
)
@click.option("--config", type=click.Path(path_type=Path), help="YAML file; options override it.")
@click.option(
    "--check-config", is_flag=True, help="Say what would run, or what is wrong, and run nothing."
)
@click.option("-v", "--verbose", is_flag=True, help="Log every change of a stream's state, too.")
@click.version_option(__version__, package_name="ecolite-stream")
@click.pass_context
def stream(
    context: click.Context,
    /,
    config: Path | None,
    check_config: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Watch a camera, a file or a stream and say, live, which action it shows.

    Labels go to stdout, everything else to stderr. Exit codes: 0 done, 2 usage or configuration,
    3 source, 4 bundle, 5 engine, 130 interrupted.
    """
    if context.invoked_subcommand is not None:
        flags = (config, check_config, verbose)
        if any(flags) or any(value not in (None, ()) for value in options.values()):
            raise click.UsageError(f"options go behind the word {context.invoked_subcommand}")
        return
    if verbose:
        logging.getLogger("ecolite_stream").setLevel(logging.INFO)
    settings = merge(load_stream_config(config) if config else StreamConfig(), options)
    if check_config:
        click.echo("\n".join(planned(settings)))
    else:
        watch(settings)


stream.add_command(check)
stream.add_command(replay)


def merge(config: StreamConfig, options: dict[str, Any]) -> StreamConfig:
    """A configuration with the options laid over it that were given."""
    given = {key: value for key, value in options.items() if value not in (None, ())}
    if "every" in given:
        given["every_s"] = given.pop("every")
    if given.pop("no_reconnect", False):
        given["reconnect"] = False
    sections: dict[str, dict[str, Any]] = {}
    for option, (section, key) in _SECTIONS.items():
        if option in given:
            sections.setdefault(section, {})[key] = given.pop(option)
    for section, values in sections.items():
        given[section] = dataclasses.replace(getattr(config, section), **values)
    return dataclasses.replace(config, **given)


_SECTIONS = {
    "memory": ("memory", "policy"),
    "span": ("memory", "span_s"),
    "events": ("events", "show"),
    "reconnect": ("reconnect", "enabled"),
    "json_file": ("json_file", "path"),
    "webhook": ("webhook", "url"),
    "mqtt": ("mqtt", "url"),
    "clips": ("clips", "folder"),
    "video": ("video", "path"),
    "record": ("record", "folder"),
    "web": ("web", "address"),
}
"""Options that are a key of a section."""


def watch(config: StreamConfig) -> None:
    """Open what a configuration names and run it to its end.

    Raises:
        EcoliteError: a source, the bundle or the engine cannot be used.
    """
    if not config.source:
        raise ConfigError("no source; try --source camera, --source FILE or --source pattern")
    bundle = read_bundle(config.bundle or demo_bundle_path())
    metrics = Metrics()
    streams = stream_inputs(config.source, realtime=config.realtime, reconnect=config.reconnect)
    names = [one.name for one in streams]
    engine = config.engine
    if config.record.folder is not None:
        engine = choose_engine(config.engine, bundle, config.device, config.precision)
    with (
        serve(metrics, config.metrics) if config.metrics else contextlib.nullcontext(),
        with_page(streams, bundle.spec.labels, metrics, config) as (shown_streams, page),
    ):
        # Behind the ports: where one is taken, no file and no folder is left behind.
        sinks = _sinks(config, names, bundle.spec.labels)
        if config.record.folder is not None:
            sinks.append(recorder(config, bundle, names, engine))
        pipeline = Pipeline(
            shown_streams,
            lambda: open_engine(engine, bundle, config.device, config.precision),
            bundle.spec,
            [*sinks, *page],
            config,
            metrics,
        )
        with told_to_systemd(pipeline.pulse):
            pipeline.run()


def _sinks(config: StreamConfig, streams: Sequence[str], labels: Sequence[str]) -> list[Sink]:
    """Stdout first, for its end is the end of the run."""
    several, events = len(config.source) > 1, config.events.show
    sinks: list[Sink] = [
        JsonLinesSink(sys.stdout, events)
        if config.json
        else ConsoleSink(sys.stdout, max(map(len, labels)), several, events)
    ]
    file, webhook = config.json_file, config.webhook
    if webhook.url is not None:
        sinks.append(WebhookSink(webhook.url, webhook.timeout_s, webhook.retry_for_s))
    if file.path is not None:
        sinks.append(JsonFileSink(file.path, file.max_bytes, file.kept))
    if config.clips.folder is not None:
        sinks.append(ClipSink(config))
    if config.video.path is not None:
        sinks.append(VideoSink(config.video.path, streams))
    if config.mqtt.url is not None:
        sinks.append(mqtt_sink(config.mqtt, streams))
    return sinks


def main() -> NoReturn:
    """Entry point of `ecolite-stream`."""
    run_and_leave(stream)


if __name__ == "__main__":
    main()
