"""Shared by the commands of `ecolite-bench`: options, engines, progress, reports."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ecolite_stream.bench.report.report import Report
from ecolite_stream.config.choices import PRECISIONS
from ecolite_stream.engines import ENGINE_NAMES, Engine
from ecolite_stream.engines.check import open_checked
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle

PATH = click.Path(path_type=Path)
BUNDLE = click.option("--bundle", "folder", type=PATH, help="Bundle folder. [the embedded one]")
ENGINE = click.option(
    "--engine",
    type=click.Choice(("auto", *ENGINE_NAMES)),
    default="auto",
    help="Inference engine. [auto: the best installed]",
)
PRECISION = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Inference precision. [engine default]",
)
ABOVE_ZERO = click.FloatRange(0, min_open=True)


@contextmanager
def opened(
    bundle: Bundle,
    names: Iterable[str],
    device: str | None = None,
    precision: str | None = None,
) -> Iterator[list[Engine]]:
    """Open a bundle's engines by name, each checked; close them at the end."""
    engines: list[Engine] = []
    with closing_all(engines):
        for name in dict.fromkeys(names):
            engines.append(open_checked(name, bundle, device, precision))
        yield engines


@contextmanager
def closing_all(engines: list[Engine]) -> Iterator[list[Engine]]:
    """Close all engines at the end, those added meanwhile too."""
    try:
        yield engines
    finally:
        with ExitStack() as stack:
            for engine in engines:
                stack.callback(engine.close)


@contextmanager
def progress(doing: str, length: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr if that is a terminal; the function advances it."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=length, label=doing, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update


class StreamClock:
    """Advances a progress bar in whole seconds of stream time.

    Args:
        length_s: seconds of the bar for this stream, at most.
        step: advances the bar.
    """

    def __init__(self, length_s: int, step: Callable[[int], None]) -> None:
        self._length_s = length_s
        self._step = step
        self._told_s = 0

    def tell(self, time_s: float) -> None:
        """Set the stream time, in seconds."""
        now_s = min(int(time_s), self._length_s)
        if now_s > self._told_s:
            self._step(now_s - self._told_s)
            self._told_s = now_s


@dataclass(frozen=True)
class Output:
    """Where to write a report, beside the terminal; None writes nothing.

    Attributes:
        json_file: all results.
        folder: all results, the tables as Markdown, and the figures.
    """

    json_file: Path | None
    folder: Path | None

    def prepare(self) -> None:
        """Create the folder and check that of the file, before the measurement.

        Raises:
            ConfigError: it cannot be made, or the file cannot be one.
        """
        if self.json_file is not None:
            if self.json_file.is_dir():
                raise ConfigError(f"--json {self.json_file} is a folder; name a file")
            if not self.json_file.parent.is_dir():
                raise ConfigError(f"--json {self.json_file} cannot be written; make its folder")
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"--report {self.folder} cannot be made: {error.strerror}; name another folder"
            ) from error


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Add --report and --json to a command; it receives both as `output`."""

    @click.option(
        "--report", type=PATH, help="Folder for report.json, report.md and figures (PNG)."
    )
    @click.option("--json", "json_file", type=PATH, help="File for report.json alone.")
    @functools.wraps(command)
    def wrapped(*args: Any, report: Path | None, json_file: Path | None, **options: Any) -> None:
        output = Output(json_file, report)
        output.prepare()
        command(*args, **options, output=output)

    return wrapped


def publish(report: Report, output: Output) -> None:
    """Print a report and write it to `output`."""
    click.echo(str(report))
    if output.json_file:
        report.write_json(output.json_file)
    if output.folder:
        report.write(output.folder)
