"""Learning curves: `curves.csv`, one row an epoch, and a picture where matplotlib is installed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.data.folders import naming
from trainer.weights.files import write_whole

COLUMNS = ("epoch", "loss", "validation_loss", "top1", "top5", "lr", "seconds", "waited_s")
CURVES, PICTURE = "curves.csv", "curves.png"

Row = Mapping[str, float | None]
"""By `COLUMNS`: mean loss of the steps, lr of the last one, seconds in all and spent
waiting for clips; None where nothing was validated."""


def write_curves(folder: Path, rows: Sequence[Row]) -> None:
    """Write the curves of all epochs so far, whole or not at all.

    Raises:
        OSError: the folder cannot be written to.
    """
    with naming(folder / CURVES):
        write_whole(folder / CURVES, lambda path: _write_rows(path, rows))
    with naming(folder / PICTURE):
        _draw(folder / PICTURE, rows)


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, restval=None, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _draw(path: Path, rows: Sequence[Row]) -> None:
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        return  # curves.csv holds the same
    pairs = [(("loss", "validation_loss"), "loss"), (("top1", "top5"), "share right")]
    shown = [p for p in pairs if any(row[name] is not None for row in rows for name in p[0])]
    figure = Figure(figsize=(4 * len(shown), 4), layout="constrained")
    places = figure.subplots(1, len(shown), squeeze=False, sharex=True)[0]
    for axes, (names, title) in zip(places, shown, strict=True):
        for name in names:
            points = [(row["epoch"], row[name]) for row in rows if row[name] is not None]
            if points:  # not every epoch is validated
                axes.plot(*zip(*points, strict=True), marker=".", label=name)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel(title)
        axes.set_ylim(0, 1.02 if title == "share right" else None)
        axes.legend(loc="lower right" if title == "share right" else "best")
    write_whole(path, lambda temporary: figure.savefig(temporary))
