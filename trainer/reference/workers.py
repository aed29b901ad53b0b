"""Time the same epochs by one and by two processes on a CPU.

python -m trainer.reference.workers [--epochs 4]

The embedded model's network (ECO-Lite x0.25, 8 frames of 112 px) on synthetic people: one process
with batches of 8, then two with batches of 4. The quickest epoch after the first, which compiles,
counts. Run it on an idle machine.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from ecolite_stream.app.entry import run
from ecolite_stream.app.extras import program, require_extra
from ecolite_stream.bench.measuring.machine import machine_facts, versions
from ecolite_stream.errors import EcoliteError

BATCH, SEGMENTS, IMAGE_SIZE, WIDTH = 8, 8, 112, 0.25
FIGURES = 8  # a class


def seconds_an_epoch(start: list[str], batch_size: int, epochs: int, folder: Path) -> float:
    """The quickest epoch of a training after its first.

    Args:
        start: module and options, before those of the training.
        batch_size: of each process.
        epochs: how many, at least 2.
        folder: for its checkpoints.

    Raises:
        EcoliteError: it failed.
    """
    options = {
        "data.figures_per_class": FIGURES,
        "data.split": "none",
        "lr_schedule": "constant",
        "num_segments": SEGMENTS,
        "width": WIDTH,
        "preprocessing.image_size": IMAGE_SIZE,
        "preprocessing.scale": 0.0172,
        "augmentation.window_s": "[1.4, 1.8]",
        "batch_size": batch_size,
        "epochs": epochs,
        "output": folder / "run",
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", *start, *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise EcoliteError(f"{start[0]} failed: {ended.stderr.strip().splitlines()[-1]}")
    with (folder / "run" / "curves.csv").open(encoding="utf-8") as file:
        return min(float(row["seconds"]) for row in list(csv.DictReader(file))[1:])


@click.command()
@click.option("--epochs", default=4, show_default=True, type=click.IntRange(2))
def main(epochs: int) -> None:
    """Time epochs of one process and of two."""
    require_extra(program(), "mindspore", "train")
    for facts in (machine_facts(), versions()):
        click.echo(", ".join(f"{key} {value}" for key, value in facts.items()))
    with tempfile.TemporaryDirectory() as scratch:
        one, two = Path(scratch) / "one", Path(scratch) / "two"
        logs = ["--workers", "2", "--log-dir", str(two / "logs"), "--"]
        alone_s = seconds_an_epoch(["trainer.train"], BATCH, epochs, one)
        together_s = seconds_an_epoch(["trainer.launch", *logs], BATCH // 2, epochs, two)
    click.echo(
        f"one process, batches of {BATCH}: {alone_s:.1f} s an epoch; two, batches of {BATCH // 2} "
        f"each: {together_s:.1f} s; {alone_s / together_s:.2f} times as fast"
    )


if __name__ == "__main__":
    run(main)
