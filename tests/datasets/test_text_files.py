"""Text that people bring: from spreadsheets, from Windows, with names of all sorts."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from ecolite_stream.datasets.text_files import (
    Line,
    Row,
    printable,
    read_lines,
    read_rows,
    read_table,
    with_slashes,
)
from ecolite_stream.errors import ConfigError


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        b"walk/a b.avi 3 0\n\nrun/c.avi 4 1\n",
        b"\xef\xbb\xbfwalk/a b.avi 3 0\r\n\r\nrun/c.avi 4 1",
        b"  walk/a b.avi 3 0 \r\t\r run/c.avi 4 1\r",
    ],
)
def test_lines_without_mark_ends_and_spaces(tmp_path: Path, data: bytes) -> None:
    lines = read_lines(write(tmp_path, data), "list")
    assert lines == [Line(1, "walk/a b.avi 3 0"), Line(3, "run/c.avi 4 1")]


def test_other_ends_of_line_are_part_of_a_name(tmp_path: Path) -> None:
    text = "walk/a\u2028b\x0bc.avi"
    assert read_lines(write(tmp_path, text.encode()), "list") == [Line(1, text)]


def test_names_that_are_no_utf8_open_their_files(tmp_path: Path) -> None:
    name = b"caf\xe9.avi"
    (tmp_path / os.fsdecode(name)).touch()
    path = write(tmp_path, name)
    [line] = read_lines(path, "list", names_files=True)
    assert (tmp_path / line.text).is_file()
    with pytest.raises(ConfigError, match=r"list \S+list.txt is not UTF-8 text: bad byte at 3"):
        read_lines(path, "list")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("walk\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (b"PK\x03\x04\x00", "is no text"),
    ],
)
def test_what_is_no_text(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_lines(write(tmp_path, data), "list", names_files=True)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_lines(tmp_path, "list")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_lines(tmp_path / "none", "list")
    (tmp_path / "endless").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for name in ("endless", "pipe"):
        with pytest.raises(ConfigError, match=f"list .*{name} is a device or a pipe"):
            read_lines(tmp_path / name, "list")


def test_a_table_by_the_names_of_its_columns(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbfend;label;start\r\n2;"wave; both";0\r\n;;\r\n\r\n4;walk;2\r\n'
    path = write(tmp_path, data)
    assert read_table(path, "track", ("start", "end", "label")) == [
        Row(2, ("0", "2", "wave; both")),
        Row(5, ("2", "4", "walk")),
    ]
    with pytest.raises(ConfigError, match="no column id: expected the heading id,end, got 'end,la"):
        read_table(path, "track", ("id", "end"))
    path.write_text("a,b\n1,2\n3\n")
    with pytest.raises(ConfigError, match=r"list.txt:3: expected 'a,b', got '3'; complete"):
        read_table(path, "track", ("a", "b"))


@pytest.mark.parametrize("limit_of_the_process", [131_072, 2**31 - 1])
def test_a_cell_beyond_all_bounds_is_an_error(tmp_path: Path, limit_of_the_process: int) -> None:
    path = write(tmp_path, b"a,b\n" + b"x" * 200_000 + b",1\n")
    before = csv.field_size_limit(limit_of_the_process)  # MindSpore lifts it
    try:
        with pytest.raises(ConfigError, match="line 2: field larger"):
            read_rows(path, "table")
    finally:
        csv.field_size_limit(before)


def test_backslashes_of_windows() -> None:
    assert with_slashes(r"walk\a b.avi") == "walk/a b.avi"
    assert with_slashes(r"walk/a\b.avi") == r"walk/a\b.avi"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("walk (31).avi", "walk (31).avi"),
        ("gehen_füße", "gehen_füße"),
        ("a\u3000b\u200dc", "a\u3000b\u200dc"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("a\nb\x1b[31m\u2028", r"a\nb\x1b[31m\u2028"),
    ],
)
def test_printable_names(name: str, text: str) -> None:
    assert printable(name) == text
    assert printable(text) == text
    text.encode()
