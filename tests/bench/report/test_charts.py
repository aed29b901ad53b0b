"""Charts: what is drawn where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecolite_stream.bench.accuracy.reliability import Bin, reliability_figure
from ecolite_stream.bench.report.charts import (
    Axis,
    Bar,
    BarChart,
    Chart,
    ConfusionChart,
    LineChart,
    Series,
    write_chart,
)
from ecolite_stream.errors import ConfigError
from tests.conftest import ROOT

pytest.importorskip("matplotlib", reason="matplotlib, the extra 'plots', is not installed")
from matplotlib.colors import to_hex
from matplotlib.figure import Figure


def drawn(chart: Chart) -> Figure:
    figure = Figure(figsize=chart.size, layout="constrained")
    chart.draw(figure)
    return figure


def texts(figure: Figure) -> list[str]:
    """What stands beside and within the first axes."""
    (axes, *_) = figure.axes
    labels = [*axes.get_yticklabels(), *axes.get_xticklabels(), *axes.texts]
    return [label.get_text() for label in labels]


def test_bars_are_as_long_as_their_values() -> None:
    bars = [Bar("a", 1, "1 ms"), Bar("b", 4, "4 ms", kind=1), Bar("c", 0, "none")]
    figure = drawn(BarChart("t", bars, kinds=("x", "y")))
    (axes,) = figure.axes
    assert [patch.get_width() for patch in axes.patches] == [1, 4, 0]
    colors = [to_hex(patch.get_facecolor()) for patch in axes.patches]
    assert colors[0] == colors[2] != colors[1]
    assert [text for text in texts(figure) if text] == ["a", "b", "c", "1 ms", "4 ms", "none"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["x", "y"]
    y = [patch.get_y() for patch in axes.patches]
    assert y == sorted(y) and axes.yaxis_inverted()  # the first at the top


@pytest.mark.parametrize(("full", "share"), [(1, 0.5), (None, 1)])
def test_full_is_the_whole_width(full: float | None, share: float) -> None:
    (axes,) = drawn(BarChart("t", [Bar("a", 0.5, "50 %")], full=full)).axes
    assert 0.5 / axes.get_xticks()[-1] == share
    assert axes.get_xlim()[1] > axes.get_xticks()[-1]  # room for the text


def test_points_lie_where_they_belong() -> None:
    series = [Series("one", [(0, 0), (5, 1)]), Series("two", [(1, 0.5)]), Series("none", [])]
    (axes,) = drawn(LineChart("t", Axis("x", 10, " %"), Axis("y", 1), series)).axes
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[0, 0], [5, 1]], [[1, 0.5]]]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 10), (0, 1))
    assert axes.xaxis.get_major_formatter()(2.5) == "2.5 %"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two", "none"]


def test_marks_are_as_large_as_their_weights() -> None:
    points = [(0.2, 0.5), (0.8, 0.5)]
    chart = LineChart("t", Axis("x", 1), Axis("y", 1), [Series("s", points, [1, 100])], True)
    (axes,) = drawn(chart).axes
    small, large = axes.collections[0].get_sizes()
    assert large > 4 * small
    assert axes.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]  # the diagonal


def test_a_panel_for_each_name() -> None:
    bins = [Bin(0.9, 1, 7, 0.95, 1)]
    one, two = reliability_figure("t", {"a": bins}), reliability_figure("t", {"a": bins, "b": []})
    assert (len(drawn(one).axes), len(drawn(two).axes)) == (1, 2)
    assert two.size == (2 * one.size[0], one.size[1])


def test_confusions_are_dark_where_they_are_many() -> None:
    figure = drawn(ConfusionChart(["a", "b"], np.array([[3, 1], [0, 4]])))
    (axes,) = figure.axes
    shares = axes.images[0].get_array()
    assert np.allclose(shares, np.sqrt([[0.75, 0.25], [0, 1]]))
    assert texts(figure) == ["a", "b", "a", "b", "3", "1", "4"]


@pytest.mark.parametrize("classes", [1, 2, 101])
def test_any_number_of_classes(tmp_path: Path, classes: int) -> None:
    labels = [f"HandstandPushups{number}" for number in range(classes)]
    chart = ConfusionChart(labels, np.eye(classes, dtype=np.int64))
    write_chart(tmp_path / "confusion.png", chart)
    picture = cv2.imread(str(tmp_path / "confusion.png"))
    assert picture.shape[0] > 17 * classes and (picture < 100).any()


@pytest.mark.filterwarnings("error")
def test_labels_are_text_and_no_formulas(tmp_path: Path) -> None:
    labels = ["größe", r"$\frac{$", "走る", "_hidden"]
    bars = [Bar(label, 1, label) for label in labels]
    write_chart(tmp_path / "a.png", BarChart(labels[1], bars))
    assert cv2.imread(str(tmp_path / "a.png")) is not None


def test_a_chart_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_chart(tmp_path / "nowhere" / "a.png", BarChart("t", [Bar("a", 1, "1")]))


def test_without_matplotlib_a_report_has_no_figures_and_says_so(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None; from ecolite_stream.bench.cli import main;"
        "main()"
    )
    words = ["engines", "--engine", "openvino", "--report", str(tmp_path / "report")]
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert "no figures" in line and "run pip install 'ecolite-stream[plots]'" in line
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"report.json", "report.md"}
    assert "![" not in (tmp_path / "report" / "report.md").read_text()
