"""What dividing recordings among processes costs: a worker for each core against one with all.

Both run `ecolite-stream archive` on the same drawn clips, in turn; of each the quickest run counts.

python -m ecolite_stream.bench.speed.archive [CLIPS [SECONDS [ROUNDS]]]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.archive.workers import usable_cores
from ecolite_stream.bench.measuring.process_tree import children_cpu_s
from ecolite_stream.bench.speed.streams import write_camera_video
from ecolite_stream.errors import ConfigError, EcoliteError


@dataclass(frozen=True)
class Run:
    """One run of the command.

    Attributes:
        wall_s: from its start to its end.
        cpu_s: time of the processor on all cores, all processes together.
    """

    wall_s: float
    cpu_s: float


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
    run = Run(time.perf_counter() - began_s, children_cpu_s() - cpu_s)
    if done.returncode:
        raise EcoliteError(f"the archive failed: {done.stderr.strip()[-300:]}")
    shutil.rmtree(out)
    return run


def compare(clips: Path, out: Path, rounds: int, *options: str) -> dict[int, Run]:
    """The quickest run, in wall time and in processor time, by number of workers."""
    counts = (1, len(usable_cores()))
    runs: dict[int, list[Run]] = {count: [] for count in counts}
    for _ in range(rounds):
        for count in runs:
            runs[count].append(run_archive(clips, out, count, *options))
    return {
        count: Run(min(run.wall_s for run in found), min(run.cpu_s for run in found))
        for count, found in runs.items()
    }


def main(clips: int = 200, seconds: int = 4, rounds: int = 3) -> None:
    """Print what came of it.

    Raises:
        ConfigError: there is one core, so that there is nothing to divide.
    """
    if len(usable_cores()) < 2:
        raise ConfigError("this process may use one core only; run it where it may use two")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "clips"
        folder.mkdir()
        first = folder / "0.mp4"
        write_camera_video(first, seconds)
        for number in range(1, clips):
            shutil.copy(first, folder / f"{number}.mp4")
        found = compare(folder, Path(scratch) / "out", rounds)
    print(f"{clips} clips of {seconds} s, {len(usable_cores())} cores, best of {rounds} runs")
    for count, run in found.items():
        print(f"{count} workers: {run.wall_s:.1f} s, processor {run.cpu_s:.1f} s")
    one, each = found[1], found[max(found)]
    print(
        f"a worker for each core takes {each.wall_s / one.wall_s:.2f} times as long as one with "
        f"all, and {each.cpu_s / one.cpu_s:.2f} times the processor"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
