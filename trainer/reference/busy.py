"""Measure what short time slices save a training beside other work.

python -m trainer.reference.busy [--busy 2] [--rounds 8]

Two processes do training steps of the embedded model's size in turns, one with the slices that
`trainer` asks for, one with the system's own: alone, bound to a single core, and beside so many
others that only count. Run it on an idle machine.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median

import click

from ecolite_stream.app.entry import run
from ecolite_stream.app.extras import program, require_extra
from ecolite_stream.bench.measuring.machine import machine_facts, versions
from ecolite_stream.engines.time_slice import SLICE_S
from ecolite_stream.errors import EcoliteError

ALL_CORES = 1_000
STEPS = """
import os, sys
import trainer
from ecolite_stream.engines.time_slice import ask_for_short_slices
ask_for_short_slices(float(sys.argv[1]))
cores = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, cores[:int(sys.argv[2])])
from trainer.reference.training import SHAPES, mindspore_step, timed
step = mindspore_step(SHAPES["small"])
for _ in sys.stdin:
    print(timed(step), flush=True)
"""
COUNTING = "while True: pass"


@contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Python that runs some code, killed at the end."""
    command = [sys.executable, "-c", code, *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def step_seconds(child: subprocess.Popen[str]) -> float:
    """Seconds that a step takes there.

    Raises:
        EcoliteError: the process ended.
    """
    assert child.stdin is not None and child.stdout is not None
    child.send_signal(signal.SIGCONT)
    try:
        child.stdin.write("\n")
        child.stdin.flush()
        return float(child.stdout.readline())
    except (OSError, ValueError) as error:
        raise EcoliteError("a training step failed; see above") from error
    finally:
        child.send_signal(signal.SIGSTOP)  # while it waits its threads may spin


def compare(rounds: int, busy: int = 0, cores: int = ALL_CORES) -> Sequence[float]:
    """Median seconds of a step with short slices and without, beside `busy` other processes."""
    with ExitStack() as stack:
        children = [
            stack.enter_context(process(STEPS, str(slice_s), str(cores)))
            for slice_s in (SLICE_S, 0)
        ]
        for child in children:  # the first compiles
            step_seconds(child)
            step_seconds(child)
        for _ in range(busy):
            stack.enter_context(process(COUNTING))
        taken = [[step_seconds(child) for child in children] for _ in range(rounds)]
    return [median(column) for column in zip(*taken, strict=True)]


@click.command()
@click.option("--busy", default=2, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=8, show_default=True, type=click.IntRange(1))
def main(busy: int, rounds: int) -> None:
    """Time training steps with short time slices and without, alone and beside other work."""
    require_extra(program(), "mindspore", "train")
    for facts in (machine_facts(), versions()):
        click.echo(", ".join(f"{key} {value}" for key, value in facts.items()))
    for where, taken in (
        ("alone", compare(rounds)),
        ("bound to one core", compare(rounds, cores=1)),
        (f"beside {busy} busy processes", compare(rounds, busy)),
    ):
        short, own = taken
        click.echo(
            f"{where}: {short:.3f} s a step in short slices, {own:.3f} s in the system's; "
            f"{own / short:.2f} times as fast (medians)"
        )


if __name__ == "__main__":
    run(main)
