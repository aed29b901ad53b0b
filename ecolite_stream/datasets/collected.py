"""A folder of collected clips: `<action>/<clip>` and clips.csv, which says where they come from."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from ecolite_stream.datasets.text_files import printable, read_table
from ecolite_stream.errors import ConfigError
from ecolite_stream.media.new_files import create_part, locked_folder
from ecolite_stream.model.limits import is_printable

TABLE = "clips.csv"
LONGEST_LABEL = 100
_LONGEST_NAME = 255
"""Bytes in the name of a folder on common file systems."""


@dataclass(frozen=True)
class ClipRow:
    """A row of clips.csv.

    Attributes:
        file: `<action>/<clip>`.
        label: the action.
        stream: the name of the stream.
        view: the part of the picture that was kept, `x,y,width,height`, or the name of the view
            whose box moves; empty is all of it.
        start: when it begins: a time of day in UTC, or seconds of a recording.
        source: what was watched, without credentials.
    """

    file: str
    label: str
    stream: str = ""
    view: str = ""
    start: str = ""
    source: str = ""

    @property
    def day(self) -> str:
        """2026-11-28, or empty where the start is no time of day."""
        return self.start[:10] if "T" in self.start else ""

    @property
    def group(self) -> str:
        """What it should be held out with: clips of one source and day."""
        return f"{self.source} {self.day}".strip()


COLUMNS = tuple(field.name for field in fields(ClipRow))


def check_label(label: str) -> None:
    """Pass where an action's name can be a label and the name of a folder.

    Raises:
        ConfigError: it is empty or too long, has a line break or a slash, or begins with a dot.
    """
    plain = label.strip() == label and is_printable(label, LONGEST_LABEL)
    if plain and len(label.encode()) > _LONGEST_NAME:
        raise ConfigError(f"label {label[:20]!r}... is too long for a folder; shorten it")
    if not plain or label.startswith(".") or any(mark in label for mark in '/\\:*?"<>|'):
        raise ConfigError(
            f"label is {printable(label[:60])!r}; expected a name of one line, up to "
            f'{LONGEST_LABEL} characters, without / \\ : * ? " < > | and no dot in front'
        )


def add_row(folder: Path, row: ClipRow) -> None:
    """Append a row to clips.csv, in one write: other programs may append, too.

    A row that does not fit on the disk leaves no half behind, which would spoil the next one.

    Raises:
        OSError: it cannot be written.
    """
    with locked_folder(folder):
        _append(folder / TABLE, row)


def _append(path: Path, row: ClipRow) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        before = os.fstat(handle).st_size
        data = _encoded(([] if before else [COLUMNS]) + [astuple(row)])
        if os.write(handle, data) < len(data):
            os.ftruncate(handle, before)
            raise OSError(f"{path}: the disk is full")
    finally:
        os.close(handle)


def change_rows(folder: Path, renamed: dict[str, ClipRow | None]) -> None:
    """Replace rows of clips.csv by others, or by none; the old table stays until the new is whole.

    Args:
        folder: of the clips.
        renamed: `<action>/<clip>` -> its new row; None removes it.

    Raises:
        ConfigError: the table cannot be read.
        OSError: it cannot be written.
    """
    with locked_folder(folder):
        rows = read_collected(folder)
        if not any(name in rows for name in renamed):
            return
        kept = [renamed.get(name, row) for name, row in rows.items()]
        data = _encoded([COLUMNS, *(astuple(row) for row in kept if row is not None)])
        part = create_part(folder, TABLE)
        try:
            part.write_bytes(data)
            part.replace(folder / TABLE)
        finally:
            part.unlink(missing_ok=True)


def _encoded(rows: Sequence[Sequence[str]]) -> bytes:
    return "".join(map(_line, rows)).encode("utf-8", "backslashreplace")


def _line(cells: Sequence[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(map(printable, cells))
    return written.getvalue()


def read_collected(folder: Path) -> dict[str, ClipRow]:
    """`<action>/<clip>` -> its row; nothing where there is no clips.csv.

    Raises:
        ConfigError: the table cannot be read.
    """
    path = folder / TABLE
    if not path.exists():
        return {}
    rows = [ClipRow(*row.cells) for row in read_table(path, "table of clips", COLUMNS)]
    return {row.file: row for row in rows}
