"""List files as published: one `path frames class-index` a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecolite_stream.datasets.text_files import Line, read_lines, with_slashes, wrong_line
from ecolite_stream.errors import ConfigError
from trainer.weights.files import write_whole

WANTED = "path frames class-index"


@dataclass(frozen=True)
class Item:
    """A line: a video or the folder of its frames, the number of frames, and the class.

    `line` is the line's number, for messages; 0 if not read from a file.
    """

    path: str
    frames: int
    index: int
    line: int = field(default=0, compare=False)


def read_list(path: Path) -> list[Item]:
    """The lines of a list without blank ones.

    Raises:
        ConfigError: it cannot be read, is empty, or has a malformed line.
    """
    items = [_item(path, line) for line in read_lines(path, "list", names_files=True)]
    if not items:
        raise ConfigError(f"list {path} is empty; write it with trainer.data.gen_dataset_lists")
    return items


def _item(path: Path, line: Line) -> Item:
    parts = line.text.rsplit(maxsplit=2)  # a path may have spaces in it
    if len(parts) != 3 or not all(map(_is_count, parts[1:])):
        advice = "write the list again with trainer.data.gen_dataset_lists"
        raise wrong_line(path, line, WANTED, advice)
    return Item(with_slashes(parts[0]), int(parts[1]), int(parts[2]), line.number)


def _is_count(text: str) -> bool:
    return text.isdecimal() and len(text) < 10


def write_list(path: Path, items: Sequence[Item]) -> None:
    """Write a list, whole or not at all.

    Names that are not UTF-8 keep their bytes.

    Raises:
        ConfigError: it cannot be written, or a name has a line break in it.
    """
    if broken := [item.path for item in items if item.path.splitlines() != [item.path]]:
        raise ConfigError(f"{broken[0]!r} has a line break in its name; rename it")
    text = "".join(f"{item.path} {item.frames} {item.index}\n" for item in items)
    try:
        write_whole(path, lambda temporary: _write_text(temporary, text))
    except OSError as error:
        raise ConfigError(
            f"list {path} cannot be written: {error}; choose another --out"
        ) from error


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
