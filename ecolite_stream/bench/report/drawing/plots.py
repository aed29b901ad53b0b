"""Bars, and lines over two axes: the figures of all reports. (H, W, 3) uint8 BGR."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from ecolite_stream.bench.report.drawing.canvas import (
    COLORS,
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

WIDTH, HEIGHT = 560, 400
"""Of the area within the axes, in pixels."""

_BARS = 420


@dataclass(frozen=True)
class Bar:
    """One of a bar chart.

    Attributes:
        label: what stands on its left.
        value: its length, at least 0.
        text: what stands at its end.
        kind: the number of its colour.
    """

    label: str
    value: float
    text: str
    kind: int = 0


@dataclass(frozen=True)
class Axis:
    """What is measured along an edge, from 0 to `high`."""

    title: str
    high: float
    unit: str = ""

    @property
    def ticks(self) -> list[float]:
        """EngineBatch numbers, 4 to 10 steps."""
        step = 10 ** math.floor(math.log10(self.high))
        for finer in (1, 2, 5, 10):
            if self.high / (step / finer) >= 4:
                step /= finer
                break
        return [step * number for number in range(int(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Series:
    """Points under one name; `weights` are the areas of their marks, relative to the largest."""

    name: str
    points: Sequence[tuple[float, float]]
    weights: Sequence[float] = ()


def bar_figure(
    title: str, bars: Sequence[Bar], full: float | None = None, kinds: Sequence[str] = ()
) -> Image:
    """A bar below the other, in their order.

    Args:
        title: what they show.
        bars: at least one.
        full: the value that fills the width; the largest, where None.
        kinds: names of the colours, where there are several.
    """
    margin = widest(bar.label for bar in bars) + 2 * PAD
    width = margin + _BARS + widest(bar.text for bar in bars) + 2 * PAD
    width = max(width, text_width(title) + 2 * PAD, _legend_width(kinds))
    head = 2 * LINE + (LINE if kinds else 0)
    figure = blank(head + LINE * len(bars) + PAD, width)
    write(figure, title, (PAD, LINE))
    _legend(figure, kinds, (PAD, 2 * LINE))
    top, bottom = head - LINE // 2, figure.shape[0] - PAD // 2
    for quarter in range(5):
        x = margin + _BARS * quarter // 4
        cv2.line(figure, (x, top), (x, bottom), GRID, 1)
    most = full or max(bar.value for bar in bars) or 1
    for place, bar in enumerate(bars):
        _draw_bar(figure, bar, (margin, head + place * LINE), bar.value / most)
    cv2.line(figure, (margin, top), (margin, bottom), INK, 1)
    return figure


def _draw_bar(figure: Image, bar: Bar, at: tuple[int, int], share: float) -> None:
    left, top = at
    write(figure, bar.label, (left - PAD // 2 - text_width(bar.label), top + LINE // 2 + 2))
    length = round(_BARS * min(share, 1))
    if length:
        corner = (left + length, top + LINE // 2 + 5)
        cv2.rectangle(figure, (left, top - 1), corner, COLORS[bar.kind % len(COLORS)], -1)
    cv2.rectangle(
        figure,
        (left + length + 1, top - 1),
        (left + length + 10 + text_width(bar.text), top + LINE // 2 + 5),
        PAPER,
        -1,
    )  # no line of the grid through the number
    write(figure, bar.text, (left + length + 7, top + LINE // 2 + 2))


def line_figure(
    title: str, across: Axis, up: Axis, series: Sequence[Series], diagonal: bool = False
) -> Image:
    """Lines with a mark at each point.

    Args:
        title: what they show.
        across: of x.
        up: of y.
        series: in the order of the legend.
        diagonal: whether to draw the line where y is x; both axes end at the same value then.
    """
    size = HEIGHT if diagonal else WIDTH  # a square, so that the diagonal is one
    left = widest(_tick(tick, up) for tick in up.ticks) + LINE + 2 * PAD
    top = 3 * LINE
    names = [line.name for line in series]
    width = max(left + size + 3 * PAD, text_width(title) + 2 * PAD, _legend_width(names))
    figure = blank(top + HEIGHT + 3 * LINE, width)
    write(figure, title, (PAD, LINE))
    _legend(figure, names, (PAD, 2 * LINE))
    area = _Area((left, top), size, across, up)
    area.draw_axes(figure)
    if diagonal:
        ends = (area.pixel((0, 0)), area.pixel((across.high, up.high)))
        cv2.line(figure, *ends, (150, 150, 150), 1, cv2.LINE_AA)
    for kind, line in enumerate(series):
        area.draw(figure, line, kind)
    return figure


@dataclass(frozen=True)
class _Area:
    """The area within the axes; `at` is its upper left corner in the figure."""

    at: tuple[int, int]
    width: int
    across: Axis
    up: Axis

    def pixel(self, point: tuple[float, float]) -> tuple[int, int]:
        x, y = point[0] / self.across.high, point[1] / self.up.high
        return self.at[0] + round(self.width * x), self.at[1] + round(HEIGHT * (1 - y))

    def draw_axes(self, figure: Image) -> None:
        (left, top), right, bottom = self.at, self.at[0] + self.width, self.at[1] + HEIGHT
        for tick in self.across.ticks:
            x, text = self.pixel((tick, 0))[0], _tick(tick, self.across)
            cv2.line(figure, (x, top), (x, bottom), GRID, 1)
            write(figure, text, (x - text_width(text) // 2, bottom + LINE))
        for tick in self.up.ticks:
            y, text = self.pixel((0, tick))[1], _tick(tick, self.up)
            cv2.line(figure, (left, y), (right, y), GRID, 1)
            write(figure, text, (left - PAD // 2 - text_width(text), y + 5))
        cv2.rectangle(figure, (left, top), (right, bottom), INK, 1)
        middle = left + (self.width - text_width(self.across.title)) // 2
        write(figure, self.across.title, (middle, bottom + 2 * LINE + PAD // 2))
        half = text_width(self.up.title) // 2
        write_upwards(figure, self.up.title, (PAD + LINE // 2, top + HEIGHT // 2 + half))

    def draw(self, figure: Image, line: Series, kind: int) -> None:
        color = COLORS[kind % len(COLORS)]
        pixels = [self.pixel(point) for point in line.points]
        for before, after in itertools.pairwise(pixels):
            cv2.line(figure, before, after, color, 2, cv2.LINE_AA)
        most = max(line.weights, default=1) or 1
        for number, pixel in enumerate(pixels):
            share = line.weights[number] / most if line.weights else 0.1
            cv2.circle(figure, pixel, round(3 + 9 * math.sqrt(share)), color, -1, cv2.LINE_AA)


def _tick(value: float, axis: Axis) -> str:
    return f"{value:.10g}{axis.unit}"


def _legend(figure: Image, names: Sequence[str], at: tuple[int, int]) -> None:
    x, y = at
    for kind, name in enumerate(names):
        cv2.rectangle(figure, (x, y - 10), (x + 12, y), COLORS[kind % len(COLORS)], -1)
        write(figure, name, (x + 20, y))
        x += text_width(name) + 20 + 2 * PAD


def _legend_width(names: Sequence[str]) -> int:
    return sum(text_width(name) + 20 + 2 * PAD for name in names) + PAD
