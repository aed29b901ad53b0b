"""List files as published: one `path frames class-index` a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.errors import ConfigError, SourceError
from trainer.weights.files import write_whole

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Item:
    """A line: a video, or the folder of its frames, with the number of its frames and its class."""

    path: str
    frames: int
    index: int


def read_list(path: Path) -> list[Item]:
    """The lines of a list; blank ones are left out.

    Raises:
        ConfigError: it cannot be read, holds nothing, or a line is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"list {path} cannot be read: {error}") from error
    items = [_item(f"{path}:{n}", line) for n, line in enumerate(lines, 1) if line.strip()]
    if not items:
        raise ConfigError(f"list {path} is empty; write it with trainer.data.gen_dataset_lists")
    return items


def _item(where: str, line: str) -> Item:
    parts = line.strip().rsplit(maxsplit=2)  # a path may have spaces in it
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        raise ConfigError(
            f"{where}: expected 'path frames class-index', got {line.strip()!r}; write the list "
            "again with trainer.data.gen_dataset_lists"
        )
    return Item(parts[0], int(parts[1]), int(parts[2]))


def write_list(path: Path, items: Sequence[Item]) -> None:
    """Write a list, whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    text = "".join(f"{item.path} {item.frames} {item.index}\n" for item in items)
    try:
        write_whole(path, lambda temporary: _write_text(temporary, text))
    except OSError as error:
        raise ConfigError(
            f"list {path} cannot be written: {error}; choose another --out"
        ) from error


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def frame_files(folder: Path, prefix: str = "") -> list[Path]:
    """The pictures of an extracted clip whose names begin so, in the order of their names.

    Raises:
        SourceError: the folder cannot be read or holds none.
    """
    try:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in FRAME_SUFFIXES)
    except OSError as error:
        raise SourceError(f"folder of frames {folder} cannot be read: {error}") from error
    files = [p for p in files if p.name.startswith(prefix) and not p.name.startswith(".")]
    if not files:
        named = f" whose name begins with {prefix!r}; see rgb_prefix, or" if prefix else ";"
        raise SourceError(f"{folder} holds no frame{named} extract it again")
    return files
