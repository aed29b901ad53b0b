"""Figures of an evaluation, drawn with OpenCV: (H, W, 3) uint8 BGR."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ecolite_stream.errors import ConfigError
from ecolite_stream.types import Image

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _PAPER, _GRID, _BAR = (40, 40, 40), (255, 255, 255), (225, 225, 225), (170, 110, 40)
_TEXT = 0.4
_PAD = 12


def confusion_figure(labels: Sequence[str], counts: npt.NDArray[np.int64]) -> Image:
    """Rows are classes, columns what they were taken for; a row's darkness adds up to its clips.

    Args:
        labels: of rows and columns.
        counts: (classes, classes).
    """
    cell = max(14, min(44, 900 // max(1, len(labels))))
    margin = _widest(labels) + 2 * _PAD
    side, head = cell * len(labels), margin + 30
    figure = np.full((head + side + _PAD, margin + side + _PAD + 20, 3), 255, np.uint8)
    _write(figure, "Confusion: row = class, column = taken for; share of the row", (_PAD, 20))
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    for row, label in enumerate(labels):
        top = head + row * cell
        _write(figure, label, (margin - _PAD // 2 - _width(label), top + cell // 2 + 4))
        for column in range(len(labels)):
            _cell(figure, (margin + column * cell, top), cell, shares[row, column])
            if cell >= 24 and counts[row, column]:
                _count(figure, (margin + column * cell, top), cell, int(counts[row, column]))
    _columns(figure, labels, (margin, head), cell)
    cv2.rectangle(figure, (margin, head), (margin + side, head + side), _INK, 1)
    return figure


def _cell(figure: Image, at: tuple[int, int], cell: int, share: float) -> None:
    # The square root keeps a single confusion among forty clips visible.
    ink = float(np.sqrt(share))
    color = tuple(round(255 + ink * (full - 255)) for full in (100, 50, 10))
    corner = (at[0] + cell - 1, at[1] + cell - 1)
    cv2.rectangle(figure, at, corner, color, -1)
    cv2.rectangle(figure, at, (at[0] + cell, at[1] + cell), _GRID, 1)


def _count(figure: Image, at: tuple[int, int], cell: int, count: int) -> None:
    text = str(count)
    dark = figure[at[1] + cell // 2, at[0] + cell // 2].mean() < 150
    place = (at[0] + (cell - _width(text)) // 2, at[1] + cell // 2 + 5)
    _write(figure, text, place, _PAPER if dark else _INK)


def _columns(figure: Image, labels: Sequence[str], at: tuple[int, int], cell: int) -> None:
    """Names above the columns, turned to be read from below."""
    for column, label in enumerate(labels):
        strip = np.full((cell, _width(label) + 4, 3), 255, np.uint8)
        _write(strip, label, (2, cell // 2 + 4))
        turned = cv2.rotate(strip, cv2.ROTATE_90_COUNTERCLOCKWISE)
        left, bottom = at[0] + column * cell, at[1] - 4
        figure[bottom - turned.shape[0] : bottom, left : left + cell] = turned


def accuracy_figure(rows: Sequence[tuple[str, int, int]]) -> Image:
    """A bar for each (class, videos, right), in their order."""
    line, bar = 18, 420
    margin = _widest([label for label, _, _ in rows]) + 2 * _PAD
    figure = np.full((40 + line * len(rows) + _PAD, margin + bar + 130, 3), 255, np.uint8)
    _write(figure, "Right by class, top-1", (_PAD, 20))
    for quarter in range(5):
        x = margin + bar * quarter // 4
        cv2.line(figure, (x, 32), (x, figure.shape[0] - _PAD), _GRID, 1)
    for place, (label, videos, right) in enumerate(rows):
        top = 36 + place * line
        _write(figure, label, (margin - _PAD // 2 - _width(label), top + 12))
        length = round(bar * right / videos)
        if length:
            cv2.rectangle(figure, (margin, top + 2), (margin + length, top + line - 4), _BAR, -1)
        share = f"{100 * right / videos:.0f} % of {videos}"
        _write(figure, share, (margin + length + 6, top + 12))
    return figure


def write_figure(path: Path, figure: Image) -> None:
    """Write a PNG.

    Raises:
        ConfigError: it cannot be written.
    """
    done, data = cv2.imencode(".png", figure)
    try:
        if not done:
            raise OSError("no PNG can be made")
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}") from error


def _widest(labels: Sequence[str]) -> int:
    return max(map(_width, labels), default=0)


def _width(text: str) -> int:
    return int(cv2.getTextSize(_ascii(text), _FONT, _TEXT, 1)[0][0])


def _write(
    image: Image, text: str, at: tuple[int, int], color: tuple[int, int, int] = _INK
) -> None:
    cv2.putText(image, _ascii(text), at, _FONT, _TEXT, color, 1, cv2.LINE_AA)


def _ascii(text: str) -> str:
    """OpenCV's font has no other letters."""
    return text.encode("ascii", "replace").decode()
