"""Learning curves, as a table and as a picture."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import cv2
import pytest

from trainer.loop.curves import COLUMNS, Row, write_curves


def rows(validated: bool) -> list[Row]:
    scores = {"validation_loss": 1.5, "top1": 0.5, "top5": 1.0} if validated else {}
    return [
        dict.fromkeys(COLUMNS)
        | {"epoch": epoch, "loss": 2 / epoch, "lr": 0.01, "seconds": 3.0, "waited_s": 0.1}
        | (scores if epoch % 2 else {})
        for epoch in (1, 2, 3)
    ]


def test_the_table_leaves_open_what_was_not_validated(tmp_path: Path) -> None:
    write_curves(tmp_path, rows(validated=True))
    with (tmp_path / "curves.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["epoch"] for row in table] == ["1", "2", "3"]
    assert [row["top1"] for row in table] == ["0.5", "", "0.5"]
    assert [row["waited_s"] for row in table] == ["0.1"] * 3


@pytest.mark.parametrize("validated", [True, False])
def test_the_picture_shows_lines(tmp_path: Path, validated: bool) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib, the extra 'plots', is not installed")
    write_curves(tmp_path, rows(validated))
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None and picture.shape[:2] == (400, 800 if validated else 400)
    blue, red = (picture[..., i].astype(int) for i in (0, 2))
    assert ((blue - red) > 80).sum() > 100  # the first line
    assert (((red - blue) > 80).sum() > 100) == validated  # the second


def test_without_matplotlib_there_is_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    write_curves(tmp_path, rows(validated=True))
    assert [path.name for path in tmp_path.iterdir()] == ["curves.csv"]
