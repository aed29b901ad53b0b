"""`ecolite-stream models`: versions of the model; list, use, back, add and remove them."""

from __future__ import annotations

from pathlib import Path

import click

from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.app.versions import (
    Version,
    add_version,
    list_versions,
    remove_version,
    use_previous_version,
    use_version,
)
from ecolite_stream.config.includes import load_stream_config
from ecolite_stream.config.printable import printable
from ecolite_stream.errors import ConfigError

_APPLY = "a service without bundle: changes to it at SIGHUP (systemctl reload)"


@click.group(invoke_without_command=True, subcommand_metavar="[COMMAND ...]")
@click.option("--folder", type=click.Path(path_type=Path), help="Use this folder of versions.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Use the folder of versions in this YAML file.",
)
@click.pass_context
def models(context: click.Context, folder: Path | None, config: Path | None) -> None:
    """List versions of the model; the current one has a star.

    Put --folder or --config before a subcommand.
    """
    if folder is not None and config is not None:
        raise ConfigError("give --folder or --config, not both")
    if config is not None:
        folder = load_stream_config(config, RunConfig).models
    context.obj = folder
    if context.invoked_subcommand is None:
        _print(folder)


@models.command(name="list")
@click.pass_obj
def list_(folder: Path | None) -> None:
    """List versions, the oldest first."""
    _print(folder)


@models.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.pass_obj
def add(folder: Path | None, path: Path) -> None:
    """Copy the bundle at PATH into the folder of versions and print its digest."""
    click.echo(add_version(path, folder))


@models.command()
@click.argument("digest")
@click.pass_obj
def use(folder: Path | None, digest: str) -> None:
    """Make the version DIGEST current; its first 6 characters are enough, or `embedded`."""
    click.echo(f"current: {use_version(digest, folder)[:12]}; {_APPLY}", err=True)


@models.command()
@click.pass_obj
def back(folder: Path | None) -> None:
    """Return to the version that was used before the current one."""
    click.echo(f"current: {use_previous_version(folder)[:12]}; {_APPLY}", err=True)


@models.command()
@click.argument("digest")
@click.pass_obj
def remove(folder: Path | None, digest: str) -> None:
    """Delete a version that is not current."""
    click.echo(f"removed {remove_version(digest, folder)[:12]}", err=True)


def _print(folder: Path | None) -> None:
    for version in list_versions(folder):
        click.echo(printable(_line(version)))


def _line(version: Version) -> str:
    star = "*" if version.is_current else " "
    parts = [star, version.digest[:12], version.created or " " * 20, version.name]
    if version.held_out is not None:
        right, clips = version.held_out
        parts.append(f"{right} of {clips} held-out clips right")
    return "  ".join(parts)
