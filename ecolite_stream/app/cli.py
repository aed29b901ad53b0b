"""The command line `ecolite-stream`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NoReturn

import click

from ecolite_stream.app.commands import LazyGroup
from ecolite_stream.app.default_store import (
    NO_DEFAULT,
    no_store_option,
    with_default_store,
    without_default_store,
)
from ecolite_stream.app.entry import run_and_leave
from ecolite_stream.app.page_files import with_page_files
from ecolite_stream.app.recognition_options import recognition_options, with_options
from ecolite_stream.app.sinks import SINK_KEYS, RunConfig, sink_options
from ecolite_stream.config.includes import load_stream_config
from ecolite_stream.config.printable import printable
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.views import parse_view
from ecolite_stream.version import __version__


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND ...]",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--source",
    multiple=True,
    metavar="[NAME=]SOURCE",
    help="camera, camera:1, a video file, a URL, - or pattern; repeat for more streams.",
)
@recognition_options
@click.option("--realtime", is_flag=True, default=None, help="Play files at their own speed.")
@click.option("--no-reconnect", is_flag=True, default=None, help="Do not reopen lost live sources.")
@click.option(
    "--view",
    multiple=True,
    metavar="VIEW",
    help="Look at center, whole, follow, subjects:K or NAME=X,Y,WIDTH,HEIGHT; again for more.",
)
@no_store_option
@click.option("--events", is_flag=True, default=None, help="Print events instead of predictions.")
@sink_options
@click.option(
    "--metrics", metavar="[HOST:]PORT", help="Serve Prometheus metrics; without HOST, locally only."
)
@click.option(
    "--web", metavar="[HOST:]PORT", help="Serve a page of the run; without HOST, locally only."
)
@click.option("--config", type=click.Path(path_type=Path), help="YAML file; options override it.")
@click.option(
    "--check-config",
    is_flag=True,
    help="Check the configuration and describe the run; run nothing.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log every state change of a stream.")
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
    """Recognize actions live in cameras, files and streams.

    Labels go to stdout, everything else to stderr. Exit codes: 0 done, 2 usage or configuration,
    3 source, 4 bundle, 5 engine, 130 interrupted.
    """
    if context.invoked_subcommand is not None:
        flags = (config, check_config, verbose)
        if any(flags) or any(value not in (None, ()) for value in options.values()):
            command = context.invoked_subcommand
            raise click.UsageError(
                f"put options after the subcommand: ecolite-stream {command} --source ..."
                if command == "check"
                else f"put options after the subcommand: ecolite-stream {command} ..."
            )
        return
    if verbose:
        logging.getLogger("ecolite_stream").setLevel(logging.INFO)

    def load() -> StreamConfig:
        read = load_stream_config(config, RunConfig) if config else RunConfig()
        return with_page_files(with_default_store(merge(read, options)), config)

    settings = load()
    if check_config:
        from ecolite_stream.app.check_config import describe_run

        click.echo("\n".join(map(printable, describe_run(settings))))
    else:
        from ecolite_stream.app.build import watch

        watch(settings, load if config else None)


def merge(config: StreamConfig, options: dict[str, Any]) -> StreamConfig:
    """A configuration, overridden by the given options."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if "view" in given:
        given["views"] = tuple(map(parse_view, given.pop("view")))
    if given.pop("no_reconnect", False):
        given["reconnect"] = False
    alone = given.pop(NO_DEFAULT, False)
    merged = with_options(config, given, _SECTIONS)
    return without_default_store(merged) if alone else merged


_SECTIONS = {
    "events": ("events", "show"),
    "reconnect": ("reconnect", "enabled"),
    "web": ("web", "address"),
    **SINK_KEYS,
}
"""(section, key) of each further option that sets a key of a section."""


def main() -> NoReturn:
    """Entry point of `ecolite-stream`."""
    run_and_leave(stream)


if __name__ == "__main__":
    main()
