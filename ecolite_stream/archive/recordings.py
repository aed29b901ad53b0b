"""Which recordings folders, lists, globs and names of files mean."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from ecolite_stream.datasets.labelled_clips import VIDEO_SUFFIXES
from ecolite_stream.datasets.text_files import read_lines
from ecolite_stream.errors import ConfigError

SUFFIXES = (*VIDEO_SUFFIXES, ".ts", ".mts", ".m2ts", ".flv", ".wmv", ".3gp", ".ogv")
"""Files that count as recordings in a folder; a file that is named may have any name."""
LIST_SUFFIXES = (".txt", ".lst")
MOST_RECORDINGS = 1_000_000


def find_recordings(paths: Iterable[str]) -> list[Path]:
    """The recordings that paths name, in their order, each once.

    Args:
        paths: files; folders, searched with all in them; globs, where no file has that name; and
            lists (`LIST_SUFFIXES`) of any of these but lists, one a line, relative to the list.

    Raises:
        ConfigError: a path names nothing, a list cannot be read, or there are too many.
    """
    found: dict[Path, Path] = {}
    for file in _all(paths):
        found.setdefault(file.resolve(), file)
        if len(found) > MOST_RECORDINGS:
            raise ConfigError(f"more than {MOST_RECORDINGS} recordings; archive them in parts")
    if not found:
        raise ConfigError(
            f"no recordings in {', '.join(paths)}; expected files such as *{SUFFIXES[1]}"
        )
    return list(found.values())


def _all(paths: Iterable[str]) -> Iterator[Path]:
    for text in paths:
        path = Path(text)
        if path.suffix.lower() in LIST_SUFFIXES and path.is_file():
            for line in read_lines(path, "list", names_files=True):
                yield from _named(str(path.parent / line.text), f"{path}:{line.number}: ")
        else:
            yield from _named(text, "")


def _named(text: str, where: str) -> Iterator[Path]:
    path = Path(text)
    if path.is_dir():
        yield from _in_folder(path)
    elif path.exists() or not glob.has_magic(text):
        if not path.is_file():
            raise ConfigError(f"{where}{text}: no such file; name a recording, folder or list")
        yield path
    else:
        matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207
        if not matches:
            raise ConfigError(f"{where}{text}: nothing matches; check the pattern")
        for match in map(Path, matches):
            yield from _in_folder(match) if match.is_dir() else (match,)


def _in_folder(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
            yield path
