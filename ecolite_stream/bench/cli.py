"""The command line `ecolite-bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from ecolite_stream import __version__
from ecolite_stream.bench.report import Report
from ecolite_stream.commands import run

BUNDLE = click.option(
    "--bundle", type=click.Path(path_type=Path), help="Model folder. [the embedded one]"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="ecolite-stream")
def bench() -> None:
    """Measure what a bundle is worth on this machine."""
