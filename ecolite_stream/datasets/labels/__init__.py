"""The names of the classes, in the order of a network's outputs.

Three published lists come with the package; docs/labels.md says where each is from, how it was
checked and which checkpoints are known to use its order. Any other list is a text file.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from ecolite_stream.datasets.text_files import decode_text, read_bytes, split_lines
from ecolite_stream.errors import ConfigError

KNOWN_LISTS = ("ucf101", "hmdb51", "kinetics400")
"""The names that `load_labels` knows; each is a text file beside this module."""

_EXPECTED = "give a UTF-8 text file with one label a line, each once, or one of " + ", ".join(
    KNOWN_LISTS
)
_NUMBERED = re.compile(r"([0-9]+)\s+(\S.*)")


def load_labels(name_or_path: str | Path) -> tuple[str, ...]:
    """Read a list of class names; the position of a name is its class index.

    A file is UTF-8 text with one label a line. Blank lines and lines that start with # are
    ignored, and so are a byte order mark, CRLF and spaces around a label. Where every line is
    "number label", counting up from 0 or 1 as in the classInd.txt of UCF101, the numbers are
    dropped.

    Args:
        name_or_path: one of `KNOWN_LISTS`, or the path of a text file. A string that is a known
            name always means that list; write ./ucf101 for a file of that name.

    Returns:
        The labels in the order of the file: at least one, none twice.

    Raises:
        ConfigError: the file is missing, unreadable, not UTF-8 or without labels, or it has a
            label twice or numbers that do not count up.
    """
    lines = _lines(name_or_path)
    if not lines:
        raise _error(name_or_path, "holds no labels")
    labels = _without_numbers(name_or_path, lines)
    first_line: dict[str, int] = {}
    for line, label in labels.items():
        if label in first_line:
            raise _error(name_or_path, f"has {label!r} on lines {first_line[label]} and {line}")
        first_line[label] = line
    return tuple(first_line)


def _lines(name_or_path: str | Path) -> dict[int, str]:
    """The lines that count, stripped, by their 1-based number in the file."""
    where = f"label list {str(name_or_path)!r}"
    try:
        if name_or_path in KNOWN_LISTS:
            data = resources.files(__name__).joinpath(f"{name_or_path}.txt").read_bytes()
        else:
            data = read_bytes(Path(name_or_path).expanduser(), where)
        lines = split_lines(decode_text(data, where))
    except ConfigError as error:
        raise ConfigError(f"{error}; {_EXPECTED}") from error
    return {line.number: line.text for line in lines if line.text[0] != "#"}


def _without_numbers(name_or_path: str | Path, lines: dict[int, str]) -> dict[int, str]:
    """Drop the class numbers of a numbered list; any other list is returned as it is."""
    matches = {line: match for line, text in lines.items() if (match := _NUMBERED.fullmatch(text))}
    if len(matches) < len(lines):
        return lines
    numbers = [int(match[1]) for match in matches.values()]
    if numbers not in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        raise _error(name_or_path, "numbers its lines, but they do not count up from 0 or 1")
    return {line: match[2] for line, match in matches.items()}


def _error(name_or_path: str | Path, what: str) -> ConfigError:
    return ConfigError(f"label list {str(name_or_path)!r} {what}; {_EXPECTED}")
