"""What dividing recordings among processes costs: a worker for each core against one with all.

Both run `ecolite-stream archive` on the same drawn clips, in turn; of each the quickest run counts.
A simulation with the measured cost of a clip estimates the time on several machines.

python -m ecolite_stream.bench.speed.archive [CLIPS [SECONDS [ROUNDS]]]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ecolite_stream.app.entry import run
from ecolite_stream.archive.folder import KINDS
from ecolite_stream.archive.tasks import Results
from ecolite_stream.bench.measuring.process_tree import children_cpu_s
from ecolite_stream.bench.speed.archive_nodes import Cost, simulated_s
from ecolite_stream.bench.speed.streams import write_camera_video
from ecolite_stream.engines.cores import usable_cores
from ecolite_stream.errors import ConfigError, EcoliteError

NODES = (1, 4, 8)
"""Machines that are simulated."""
MANY = 10
"""Times as many clips, for a second simulation in which starting hardly counts."""


@dataclass(frozen=True)
class Run:
    """One run of the command.

    Attributes:
        wall_s: from its start to its end.
        cpu_s: time of the processor on all cores, all processes together.
        results: of one of its recordings.
    """

    wall_s: float
    cpu_s: float
    results: Results


def run_archive(clips: Path, out: Path, workers: int, *options: str) -> Run:
    """Archive a folder in a process of its own; the output folder is removed afterwards.

    Raises:
        EcoliteError: the command failed.
    """
    words = [sys.executable, "-m", "ecolite_stream", "archive", str(clips), "--out", str(out)]
    cpu_s, began_s = children_cpu_s(), time.perf_counter()
    done = subprocess.run(
        [*words, "--workers", str(workers), *options], capture_output=True, text=True
    )
    wall_s, cpu_s = time.perf_counter() - began_s, children_cpu_s() - cpu_s
    if done.returncode:
        raise EcoliteError(f"the archive failed: {done.stderr.strip()[-300:]}")
    results = _a_result(out)
    shutil.rmtree(out)
    return Run(wall_s, cpu_s, results)


def _a_result(out: Path) -> Results:
    predictions, events = (next(out.glob(f"results/*.{kind}.jsonl")).read_bytes() for kind in KINDS)
    return Results(predictions, events)


def compare(clips: Path, out: Path, rounds: int, *options: str) -> dict[int, Run]:
    """The quickest run, in wall time and in processor time, by number of workers."""
    counts = (1, len(usable_cores()))
    runs: dict[int, list[Run]] = {count: [] for count in counts}
    for _ in range(rounds):
        for count in runs:
            runs[count].append(run_archive(clips, out, count, *options))
    return {count: _best(found) for count, found in runs.items()}


def _best(runs: Sequence[Run]) -> Run:
    wall_s, cpu_s = min(run.wall_s for run in runs), min(run.cpu_s for run in runs)
    return Run(wall_s, cpu_s, runs[0].results)


def cost_of(each: Run, alone: Run, clips: int, cores: int) -> Cost:
    """What starting and what a recording cost.

    Args:
        each: of so many clips, with a worker for each of so many cores.
        alone: of as many clips as cores, likewise: each worker starts, and has one.
        clips: more than cores.
        cores: of this machine.
    """
    clip_s = (each.wall_s - alone.wall_s) / (clips / cores - 1)
    return Cost(max(0.0, alone.wall_s - clip_s), max(0.0, clip_s), each.results)


def measure(scratch: Path, clips: int, seconds: int, rounds: int) -> None:
    """Measure and print."""
    cores = len(usable_cores())
    folder, few, out = scratch / "clips", scratch / "few", scratch / "out"
    for to in (folder, few):
        to.mkdir()
    first = folder / "0.mp4"
    write_camera_video(first, seconds)
    for number in range(1, clips):
        shutil.copy(first, folder / f"{number}.mp4")
    for number in range(cores):
        shutil.copy(first, few / f"{number}.mp4")
    found = compare(folder, out, rounds)
    print(f"{clips} clips of {seconds} s, {cores} cores, best of {rounds} runs")
    for count, taken in found.items():
        print(f"{count} workers: {taken.wall_s:.1f} s, processor {taken.cpu_s:.1f} s")
    one, each = found[1], found[cores]
    print(
        f"a worker for each core takes {each.wall_s / one.wall_s:.2f} times as long as one with "
        f"all, and {each.cpu_s / one.cpu_s:.2f} times the processor"
    )
    alone = _best([run_archive(few, out, cores) for _ in range(rounds)])
    _simulate(cost_of(each, alone, clips, cores), clips, cores, scratch)


def _simulate(cost: Cost, clips: int, cores: int, scratch: Path) -> None:
    print(
        f"simulated: starting takes {cost.start_s:.1f} s, a clip {cost.clip_s:.2f} s on one core; "
        "the network between machines takes none"
    )
    for count in (clips, MANY * clips):
        of_one = simulated_s(cost, count, cores, scratch)
        for nodes in NODES:
            taken_s = of_one if nodes == 1 else simulated_s(cost, count, nodes * cores, scratch)
            print(
                f"{count} clips, {nodes} machines of {cores} cores: {taken_s:.1f} s, "
                f"{of_one / taken_s:.2f} times as fast as one"
            )


def main(clips: int = 200, seconds: int = 4, rounds: int = 3) -> None:
    """Print what came of it.

    Raises:
        ConfigError: there is one core, so that there is nothing to divide, or as few clips.
    """
    cores = len(usable_cores())
    if cores < 2:
        raise ConfigError("this process may use one core only; run it where it may use two")
    if clips <= cores:
        raise ConfigError(f"{clips} clips are too few for {cores} cores; name more")
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch), clips, seconds, rounds)


@click.command()
@click.argument("clips", type=click.IntRange(1), default=200)
@click.argument("seconds", type=click.IntRange(1), default=4)
@click.argument("rounds", type=click.IntRange(1), default=3)
def _command(clips: int, seconds: int, rounds: int) -> None:
    """Measure what dividing recordings among processes costs."""
    main(clips, seconds, rounds)


if __name__ == "__main__":
    run(_command)
