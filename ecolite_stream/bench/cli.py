"""The command line `ecolite-bench`."""

from __future__ import annotations

from typing import NoReturn

import click

from ecolite_stream.app.entry import run
from ecolite_stream.bench.commands.calibrate import calibrate
from ecolite_stream.bench.commands.engines import engines
from ecolite_stream.bench.commands.memory import memory
from ecolite_stream.bench.commands.online import online
from ecolite_stream.bench.commands.speed import speed
from ecolite_stream.bench.commands.streams import streams
from ecolite_stream.bench.commands.ucf101 import ucf101
from ecolite_stream.bench.commands.unknown import unknown
from ecolite_stream.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="ecolite-stream")
def bench() -> None:
    """Measure the accuracy and speed of a bundle on this machine.

    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 a limit is exceeded,
    2 usage or configuration, 3 clip or video, 4 bundle, 5 engine, 130 interrupted.
    """


for command in (calibrate, engines, memory, online, speed, streams, ucf101, unknown):
    bench.add_command(command)


def main() -> NoReturn:
    """Entry point of `ecolite-bench`."""
    run(bench)


if __name__ == "__main__":
    main()
