"""The confusion matrix of an evaluation as a picture: (H, W, 3) uint8 BGR."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ecolite_stream.bench.report.drawing.canvas import (
    GRID,
    INK,
    LINE,
    PAD,
    PAPER,
    blank,
    text_width,
    widest,
    write,
    write_upwards,
)
from ecolite_stream.types import Image

TITLE = "Confusion: row = class, column = taken for; share of the row"
_WITH_NUMBERS = 28
"""Side of a cell that holds the number of its clips, in pixels."""


def confusion_figure(labels: Sequence[str], counts: npt.NDArray[np.int64]) -> Image:
    """Rows are classes, columns what they were taken for; a row's darkness adds up to its clips.

    Args:
        labels: of rows and columns.
        counts: (classes, classes).
    """
    cell = max(LINE - 4, min(44, 900 // max(1, len(labels))))
    margin = widest(labels) + 2 * PAD
    side, head = cell * len(labels), margin + LINE + PAD
    figure = blank(head + side + PAD, max(margin + side + 2 * PAD, text_width(TITLE) + 2 * PAD))
    write(figure, TITLE, (PAD, LINE))
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    for row, label in enumerate(labels):
        top = head + row * cell
        write(figure, label, (margin - PAD // 2 - text_width(label), top + cell // 2 + 5))
        write_upwards(figure, label, (margin + row * cell + cell // 2, head - PAD // 2))
        for column in range(len(labels)):
            at = (margin + column * cell, top)
            _cell(figure, at, cell, shares[row, column])
            if cell >= _WITH_NUMBERS and counts[row, column]:
                _count(figure, at, cell, int(counts[row, column]))
    cv2.rectangle(figure, (margin, head), (margin + side, head + side), INK, 1)
    return figure


def _cell(figure: Image, at: tuple[int, int], cell: int, share: float) -> None:
    # The square root keeps a single confusion among forty clips visible.
    ink = float(np.sqrt(share))
    color = tuple(round(255 + ink * (full - 255)) for full in (100, 50, 10))
    corner = (at[0] + cell - 1, at[1] + cell - 1)
    cv2.rectangle(figure, at, corner, color, -1)
    cv2.rectangle(figure, at, (at[0] + cell, at[1] + cell), GRID, 1)


def _count(figure: Image, at: tuple[int, int], cell: int, count: int) -> None:
    text = str(count)
    dark = figure[at[1] + cell // 2, at[0] + cell // 2].mean() < 150
    place = (at[0] + (cell - text_width(text)) // 2, at[1] + cell // 2 + 5)
    write(figure, text, place, PAPER if dark else INK)
