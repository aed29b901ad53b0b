"""Read text files of users: lists, label tracks and tables.

UTF-8 with or without a byte order mark, any end of line, spaces around a line ignored. Where a file
names other files, bytes that are not UTF-8 are kept as in Python's file names, so that a list of
Latin-1 names works.
"""

from __future__ import annotations

import codecs
import csv
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.errors import ConfigError

MAX_BYTES = 256 * 1024 * 1024
"""Of one file; the lists of the largest published data sets have 60 MB."""

MAX_CELL = 131_072
"""Characters of a cell. Python's own limit is one for all of a process, and libraries lift it."""

DELIMITERS = (",", ";", "\t")
"""Of tables; spreadsheets write the second where a comma is the decimal point."""

_END_OF_LINE = re.compile("\r\n|\r|\n")
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}


@dataclass(frozen=True)
class Line:
    """A line that is not blank, without the spaces around it; `number` counts from 1."""

    number: int
    text: str


@dataclass(frozen=True)
class Row:
    """A row of a table that is not blank, its cells without the spaces around them."""

    number: int
    cells: tuple[str, ...]


def read_lines(path: Path, what: str, *, names_files: bool = False) -> list[Line]:
    """The lines of a text file that are not blank.

    Args:
        path: the file.
        what: what it should be, for messages: "split file".
        names_files: whether its lines name files, whose names may not be UTF-8.

    Raises:
        ConfigError: it cannot be read, is too large or is no UTF-8 text.
    """
    where = f"{what} {path}"
    return split_lines(decode_text(read_bytes(path, where), where, names_files))


def split_lines(text: str) -> list[Line]:
    """The lines of a text that are not blank, at any of the three ends of line."""
    numbered = enumerate(_END_OF_LINE.split(text), start=1)
    return [Line(number, line.strip()) for number, line in numbered if line.strip()]


def read_table(path: Path, what: str, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV table below its heading, with the cells of `columns` in that order.

    Args:
        path: the file; its delimiter is the one of `DELIMITERS` that its heading has most of.
        what: what it should be, for messages: "label track".
        columns: names in the heading; cells of other columns are dropped.

    Raises:
        ConfigError: as `read_lines`; or a column is missing, or a row is too short.
    """
    heading, *rows = read_rows(path, what) or [Row(1, ())]
    if missing := [name for name in columns if name not in heading.cells]:
        raise ConfigError(
            f"{what} {path} has no column {', '.join(missing)}: expected the heading "
            f"{','.join(columns)}, got {','.join(heading.cells)!r}"
        )
    places = [heading.cells.index(name) for name in columns]
    table = []
    for row in rows:
        if len(row.cells) <= max(places):
            raise wrong_line(path, row, ",".join(heading.cells), "complete the line")
        table.append(Row(row.number, tuple(row.cells[place] for place in places)))
    return table


def read_rows(path: Path, what: str, *, names_files: bool = False) -> list[Row]:
    """All rows of a CSV table that are not blank, the heading too.

    Raises:
        ConfigError: as `read_lines`; or it is no CSV.
    """
    where = f"{what} {path}"
    text = decode_text(read_bytes(path, where), where, names_files)
    lines = [line + "\n" for line in _END_OF_LINE.split(text)]
    heading = next((line for line in lines if line.strip()), "")
    reader = csv.reader(lines, delimiter=max(DELIMITERS, key=heading.count))
    rows = []
    try:
        for cells in reader:
            if any(len(cell) > MAX_CELL for cell in cells):
                raise csv.Error(f"field larger than {MAX_CELL} characters")
            if any(cell.strip() for cell in cells):
                rows.append(Row(reader.line_num, tuple(cell.strip() for cell in cells)))
    except csv.Error as error:
        raise ConfigError(f"{what} {path}, line {reader.line_num}: {error}") from error
    return rows


def wrong_line(path: Path, line: Line | Row, wanted: str, advice: str) -> ConfigError:
    """The error of a malformed line: place, wanted, found, advice."""
    found = line.text if isinstance(line, Line) else ",".join(line.cells)
    return ConfigError(f"{path}:{line.number}: expected {wanted!r}, got {found!r}; {advice}")


def read_bytes(path: Path, where: str) -> bytes:
    """A file of at most `MAX_BYTES`; `where` begins the message.

    Raises:
        ConfigError: it cannot be read, is no file or is larger.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ConfigError(f"{where} is a device or a pipe; name a text file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{where} cannot be read: {reason}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{where} is larger than {MAX_BYTES} bytes; name a text file")
    return data


def decode_text(data: bytes, where: str, names_files: bool = False) -> str:
    """UTF-8 as text, without its byte order mark; `where` begins the message.

    Raises:
        ConfigError: it is no UTF-8 text.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"{where} is UTF-16 text; save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        raise ConfigError(f"{where} is no text; name a UTF-8 text file")
    try:
        return data.decode("utf-8", "surrogateescape" if names_files else "strict")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{where} is not UTF-8 text: bad byte at {error.start}; save it as UTF-8"
        ) from error


def with_slashes(name: str) -> str:
    """The path of a list that was written on Windows, with slashes for its backslashes."""
    return name if "/" in name else name.replace("\\", "/")


def printable(name: str) -> str:
    r"""A file name as text that any encoding can carry, on one line; most names stay as they are.

    Bytes that are not UTF-8, control characters and line breaks become escapes such as `\xe9`.
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNPRINTABLE else c
        for c in text
    )
