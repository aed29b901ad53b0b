"""Figures: where the ink is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ecolite_stream.bench.accuracy.reliability import Bin, reliability_figure
from ecolite_stream.bench.report.drawing.canvas import (
    COLORS,
    LINE,
    PAD,
    PAPER,
    blank,
    text_width,
    widest,
    write,
    write_figure,
)
from ecolite_stream.bench.report.drawing.confusion import confusion_figure
from ecolite_stream.bench.report.drawing.plots import Axis, Bar, Series, bar_figure, line_figure
from ecolite_stream.errors import ConfigError
from ecolite_stream.types import Image


def places(figure: Image, color: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(y, x) of the pixels of exactly that colour."""
    found = np.nonzero((figure == color).all(axis=2))
    return found[0], found[1]


def test_bars_are_as_long_as_their_values() -> None:
    figure = bar_figure("t", [Bar("a", 1, "1"), Bar("b", 4, "4", kind=1)], kinds=("x", "y"))
    widths = []
    for color in COLORS[:2]:
        y, x = places(figure, color)
        bar = x[y > 50]  # below the legend
        widths.append(bar.max() - bar.min())
    assert widths[1] / widths[0] == pytest.approx(4, rel=0.02)


def test_full_is_the_whole_width_and_nothing_is_no_bar() -> None:
    half, whole = (bar_figure("t", [Bar("a", 0.5, "50 %")], full=full) for full in (1, None))
    assert np.ptp(places(whole, COLORS[0])[1]) == pytest.approx(
        2 * np.ptp(places(half, COLORS[0])[1]), rel=0.02
    )
    assert not len(places(bar_figure("t", [Bar("a", 0, "0")]), COLORS[0])[0])


def test_points_lie_where_they_belong() -> None:
    one = line_figure("t", Axis("x", 10), Axis("y", 1), [Series("", [(0, 0)])])
    other = line_figure("t", Axis("x", 10), Axis("y", 1), [Series("", [(5, 1)])])
    (y0, x0), (y1, x1) = (
        tuple(float(np.mean(values[places(figure, COLORS[0])[0] > 50])) for values in where)
        for figure in (one, other)
        for where in [places(figure, COLORS[0])]
    )
    assert x1 - x0 == pytest.approx(280, abs=2)
    assert y0 - y1 == pytest.approx(400, abs=2)


def test_marks_are_as_large_as_their_weights() -> None:
    points = [(0.2, 0.5), (0.8, 0.5)]
    figure = line_figure("t", Axis("x", 1), Axis("y", 1), [Series("", points, [1, 100])], True)
    y, x = places(figure, COLORS[0])
    heights = [np.ptp(y[(y > 50) & side]) for side in (x < x.mean(), x > x.max() - 12)]
    assert heights[1] > 2 * heights[0]


@pytest.mark.parametrize(
    ("high", "step"), [(1, 0.2), (100, 20), (613, 100), (238.7, 50), (4, 1), (0.03, 0.005)]
)
def test_ticks_are_round_numbers_up_to_the_end(high: float, step: float) -> None:
    ticks = Axis("", high).ticks
    assert ticks[1] == pytest.approx(step)
    assert 4 <= len(ticks) - 1 <= 10 and high - step < ticks[-1] <= high


def test_a_panel_for_each_name() -> None:
    bins = [Bin(0.9, 1, 7, 0.95, 1)]
    one, two = reliability_figure("t", {"a": bins}), reliability_figure("t", {"a": bins, "b": []})
    assert one.shape[1] < two.shape[1] and one.shape[0] == two.shape[0]


def test_confusions_are_dark_where_they_are_many() -> None:
    figure = confusion_figure(["a", "b"], np.array([[3, 1], [0, 4]]))
    margin = widest(["a", "b"]) + 2 * PAD
    head = margin + LINE + PAD
    cells = figure[head : head + 88, margin : margin + 88]
    means = [cells[y : y + 44, x : x + 44].mean() for y, x in ((0, 0), (0, 44), (44, 0), (44, 44))]
    assert means[0] < means[1] < means[2] and means[3] < means[0]


@pytest.mark.parametrize("classes", [1, 2, 101])
def test_any_number_of_classes(classes: int) -> None:
    labels = [f"HandstandPushups{number}" for number in range(classes)]
    figure = confusion_figure(labels, np.eye(classes, dtype=np.int64))
    assert figure.shape[1] > text_width(labels[-1]) + 18 * classes


def test_letters_that_the_font_has_not_are_no_error() -> None:
    page = blank(30, 100)
    write(page, "größe", (5, 20))
    assert (page != PAPER).any()


def test_writing(tmp_path: Path) -> None:
    page = blank(4, 5)
    write_figure(tmp_path / "a.png", page)
    assert (cv2.imread(str(tmp_path / "a.png")) == page).all()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_figure(tmp_path / "nowhere" / "a.png", page)
