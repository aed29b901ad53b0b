"""A folder of collected clips: names of actions, the table, what is there and what is missing."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ecolite_stream.datasets.collected import (
    ClipRow,
    add_row,
    change_rows,
    check_label,
    read_collected,
)
from ecolite_stream.datasets.collection import describe
from ecolite_stream.errors import ConfigError


@pytest.mark.parametrize("label", ["fall", "Arm heben", "跌倒", "a_b-c.d", "x" * 100])
def test_a_name_can_be_a_label(label: str) -> None:
    check_label(label)


@pytest.mark.parametrize(
    "label",
    ["", " fall", "../up", "a/b", "a\\b", "C:x", ".hidden", "a\nb", "a\x00b", "\u2028", "x" * 101],
)
def test_a_path_or_a_line_break_is_no_label(label: str) -> None:
    with pytest.raises(ConfigError, match="expected a name of one line"):
        check_label(label)


def test_rows_come_back_whatever_is_in_them(tmp_path: Path) -> None:
    rows = [
        ClipRow("fall/a.mp4", "fall", 'door, "left"', "", "2026-11-28T20:00:00.000Z", "camera"),
        ClipRow("sit/b.mp4", "sit", "hall", "0.1,0.2,0.5,0.5", "12.50", "long.mp4"),
    ]
    for row in rows:
        add_row(tmp_path, row)
    assert read_collected(tmp_path) == {row.file: row for row in rows}
    assert [row.group for row in rows] == ["camera 2026-11-28", "long.mp4"]


def test_rows_of_several_writers_are_all_there(tmp_path: Path) -> None:
    add_row(tmp_path, ClipRow("a/first.mp4", "a"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: add_row(tmp_path, ClipRow(f"a/{n}.mp4", "a")), range(100)))
    assert len(read_collected(tmp_path)) == 101


def test_what_is_there_and_what_is_missing(tmp_path: Path) -> None:
    for number in range(4):
        name = f"fall/{number}.mp4"
        (tmp_path / "fall").mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes([number]) * 9)
        add_row(tmp_path, ClipRow(name, "fall", "door", "", "2026-11-28T20:00:00.000Z", "camera"))
    (tmp_path / "sit").mkdir()
    for number in range(12):
        (tmp_path / "sit" / f"{number}.mp4").write_bytes(b"sit" + bytes([number]))
    (tmp_path / "sit" / "copy.mp4").write_bytes(b"sit\x03")
    add_row(tmp_path, ClipRow("fall/gone.mp4", "fall"))
    text = "\n".join(describe(tmp_path))
    assert "17 clips of 2 actions" in text
    assert "days: 2026-11-28 4" in text
    assert "fall has 4 clips, all from camera 2026-11-28: ten more of other days" in text
    assert "sit has" not in text
    assert "sit/copy.mp4 is the same file as sit/3.mp4" in text
    assert "there is no action 'nothing'" in text
    assert "1 rows of clips.csv name clips that are gone, such as fall/gone.mp4" in text


def test_a_table_of_another_kind_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("name\nx\n")
    with pytest.raises(ConfigError, match="has no column file, label"):
        read_collected(tmp_path)


def test_a_row_that_does_not_fit_leaves_no_half_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_row(tmp_path, ClipRow("a/first.mp4", "a"))
    before = (tmp_path / "clips.csv").read_bytes()
    whole = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: whole(handle, data[:9]))
    with pytest.raises(OSError, match="the disk is full"):
        add_row(tmp_path, ClipRow("a/second.mp4", "a"))
    monkeypatch.undo()
    assert (tmp_path / "clips.csv").read_bytes() == before
    add_row(tmp_path, ClipRow("a/third.mp4", "a"))
    assert list(read_collected(tmp_path)) == ["a/first.mp4", "a/third.mp4"]


def test_rows_change_while_others_are_added(tmp_path: Path) -> None:
    for number in range(40):
        add_row(tmp_path, ClipRow(f"a/{number}.mp4", "a"))

    def work(number: int) -> None:
        add_row(tmp_path, ClipRow(f"b/{number}.mp4", "b"))
        change_rows(tmp_path, {f"a/{number}.mp4": None})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert set(read_collected(tmp_path)) == {f"b/{number}.mp4" for number in range(40)}
