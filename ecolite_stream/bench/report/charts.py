"""Charts of reports as plain values; `write_chart` draws them with matplotlib (extra `plots`)."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecolite_stream.errors import ConfigError

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of series: blue, vermilion, green, purple, orange, sky; distinct for colour-blind
readers."""

_GRID = "#dedede"
_NUMBERED_CLASSES = 32
"""A confusion matrix of more classes omits the numbers in its cells."""

Figure = Any
"""A `matplotlib.figure.Figure`."""
Axes = Any
"""A `matplotlib.axes.Axes`."""


@dataclass(frozen=True)
class Bar:
    """A bar of a chart.

    Attributes:
        label: text on its left.
        value: its length, at least 0.
        text: text at its end.
        kind: number of its colour.
    """

    label: str
    value: float
    text: str
    kind: int = 0


@dataclass(frozen=True)
class Axis:
    """An axis from 0 to `high`."""

    title: str
    high: float
    unit: str = ""


@dataclass(frozen=True)
class Series:
    """Points under one name; `weights` are the areas of their marks, relative to the largest."""

    name: str
    points: Sequence[tuple[float, float]]
    weights: Sequence[float] = ()


class Chart(ABC):
    """A figure of a report."""

    @property
    @abstractmethod
    def size(self) -> tuple[float, float]:
        """Width and height, in inches."""

    @abstractmethod
    def draw(self, figure: Figure) -> None:
        """Draw onto an empty figure of that size."""


@dataclass(frozen=True)
class BarChart(Chart):
    """A bar below the other, in their order.

    Attributes:
        title: of the chart.
        bars: at least one.
        full: the value that fills the width; None is the largest.
        kinds: names of the colours, if there are several.
    """

    title: str
    bars: Sequence[Bar]
    full: float | None = None
    kinds: Sequence[str] = ()

    @property
    def size(self) -> tuple[float, float]:
        return 8.0, 0.7 + 0.3 * bool(self.kinds) + 0.24 * len(self.bars)

    def draw(self, figure: Figure) -> None:
        axes = figure.subplots()
        colors = [_color(bar.kind) for bar in self.bars]
        places = range(len(self.bars))
        drawn = axes.barh(places, [bar.value for bar in self.bars], height=0.75, color=colors)
        axes.bar_label(drawn, [bar.text for bar in self.bars], padding=4)
        axes.set_yticks(places, [bar.label for bar in self.bars])
        axes.set_ylim(len(self.bars) - 0.4, -0.6)
        most = self.full or max(bar.value for bar in self.bars) or 1
        axes.set_xlim(0, 1.15 * most)  # room for the text of the longest
        axes.set_xticks([most * quarter / 4 for quarter in range(5)], [])
        axes.grid(axis="x", color=_GRID)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        figure.suptitle(self.title)
        _legend(axes, self.kinds)


@dataclass(frozen=True)
class LineChart(Chart):
    """Lines with a mark at each point.

    Attributes:
        title: of the chart.
        across: of x.
        up: of y.
        series: in the order of the legend.
        diagonal: whether to draw the line where y is x; both axes end at the same value then.
    """

    title: str
    across: Axis
    up: Axis
    series: Sequence[Series]
    diagonal: bool = False

    @property
    def size(self) -> tuple[float, float]:
        return (5.0, 5.2) if self.diagonal else (7.0, 5.2)

    def draw(self, figure: Figure) -> None:
        axes = figure.subplots()
        figure.suptitle(self.title)
        if self.diagonal:
            axes.plot([0, self.across.high], [0, self.up.high], color="#969696", linewidth=1)
            axes.set_aspect("equal")
        for kind, line in enumerate(self.series):
            _draw_series(axes, line, _color(kind))
        axes.set(xlim=(0, self.across.high), ylim=(0, self.up.high))
        axes.set(xlabel=self.across.title, ylabel=self.up.title)
        axes.xaxis.set_major_formatter(f"{{x:.10g}}{self.across.unit}")
        axes.yaxis.set_major_formatter(f"{{x:.10g}}{self.up.unit}")
        axes.grid(color=_GRID)
        axes.set_axisbelow(True)
        _legend(axes, [line.name for line in self.series])


@dataclass(frozen=True)
class Panels(Chart):
    """Charts side by side."""

    charts: Sequence[Chart]

    @property
    def size(self) -> tuple[float, float]:
        sizes = [chart.size for chart in self.charts]
        return sum(width for width, _ in sizes), max(height for _, height in sizes)

    def draw(self, figure: Figure) -> None:
        widths = [chart.size[0] for chart in self.charts]
        parts = figure.subfigures(1, len(widths), squeeze=False, width_ratios=widths)[0]
        for chart, part in zip(self.charts, parts, strict=True):
            chart.draw(part)


@dataclass(frozen=True, eq=False)
class ConfusionChart(Chart):
    """The confusion matrix of an evaluation; the shares of a row add up to 1.

    Attributes:
        labels: of rows (classes) and columns (taken for).
        counts: (classes, classes).
    """

    labels: Sequence[str]
    counts: npt.NDArray[np.int64]

    @property
    def size(self) -> tuple[float, float]:
        classes = len(self.labels)
        side = classes * (0.45 if classes <= _NUMBERED_CLASSES else 0.17)
        names = 0.4 + 0.09 * max(map(len, self.labels), default=0)
        return max(6.0, side + names), side + names + 0.5

    def draw(self, figure: Figure) -> None:
        axes, places = figure.subplots(), range(len(self.labels))
        shares = self.counts / np.maximum(1, self.counts.sum(axis=1, keepdims=True))
        # The square root keeps a single confusion among forty clips visible.
        axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
        font = {"fontsize": "medium" if len(self.labels) <= _NUMBERED_CLASSES else "x-small"}
        axes.set_xticks(places, self.labels, rotation=90, **font)
        axes.set_yticks(places, self.labels, **font)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        figure.suptitle("Confusion: row = class, column = taken for; share of the row")
        if len(self.labels) <= _NUMBERED_CLASSES:
            for row, column in zip(*np.nonzero(self.counts), strict=True):
                color = "white" if shares[row, column] > 0.4 else "black"
                count = str(self.counts[row, column])
                axes.text(column, row, count, ha="center", va="center", color=color)


def write_chart(path: Path, chart: Chart) -> None:
    """Draw a chart as PNG.

    Raises:
        ConfigError: it cannot be written.
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    # Dollars in labels are no formulas; letters that the font lacks become boxes.
    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Canvas(figsize=chart.size, layout="constrained", dpi=100)
        chart.draw(figure)
        try:
            figure.savefig(path, format="png")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error}") from error


def _color(kind: int) -> str:
    return COLORS[kind % len(COLORS)]


def _draw_series(axes: Axes, line: Series, color: str) -> None:
    if not line.points:
        return
    x, y = zip(*line.points, strict=True)
    most = max(line.weights, default=1) or 1
    shares = [weight / most for weight in line.weights] or [0.1] * len(x)
    areas = [math.pi * (2 + 6 * math.sqrt(share)) ** 2 for share in shares]
    axes.plot(x, y, color=color, clip_on=False)
    axes.scatter(x, y, areas, color=color, clip_on=False, zorder=3)


def _legend(axes: Axes, names: Sequence[str]) -> None:
    """Above the axes, names in the order of their colours."""
    from matplotlib.patches import Patch

    patches = [Patch(color=_color(kind)) for kind, _ in enumerate(names)]
    if names:
        axes.legend(
            patches,
            names,
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            ncols=min(3, len(names)),
            frameon=False,
        )
