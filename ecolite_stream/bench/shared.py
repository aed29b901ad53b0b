"""What the commands of `ecolite-bench` share: options, opened engines, progress, publishing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from ecolite_stream.bench.report import Report
from ecolite_stream.bundle import Bundle
from ecolite_stream.engines import ENGINE_NAMES, Engine, open_engine

PATH = click.Path(path_type=Path)
BUNDLE = click.option("--bundle", "folder", type=PATH, help="Model folder. [the embedded one]")
ENGINE = click.option(
    "--engine",
    type=click.Choice(("auto", *ENGINE_NAMES)),
    default="auto",
    help="What computes. [auto: the fastest]",
)
JSON = click.option("--json", "json_file", type=PATH, help="File for all results.")
ABOVE_ZERO = click.FloatRange(0, min_open=True)


@contextmanager
def opened(
    bundle: Bundle, names: Iterable[str], device: str | None = None
) -> Iterator[list[Engine]]:
    """A bundle's engines of those names, closed at the end."""
    engines = [open_engine(name, bundle, device) for name in dict.fromkeys(names)]
    with closing_all(engines):
        yield engines


@contextmanager
def closing_all(engines: list[Engine]) -> Iterator[list[Engine]]:
    """Engines that are closed at the end, those that are added meanwhile too."""
    try:
        yield engines
    finally:
        with ExitStack() as stack:
            for engine in engines:
                stack.callback(engine.close)


@contextmanager
def progress(doing: str, length: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr where that is a terminal; the function moves it on."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=length, label=doing, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update


def publish(report: Report, json_file: Path | None) -> None:
    """Print a report, and write it to a file where one is named."""
    click.echo(str(report))
    if json_file:
        report.write_json(json_file)
