"""results.jsonl: outcomes written at once, so that an interrupted evaluation can continue."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from ecolite_stream.bench.accuracy.offline import Outcome
from ecolite_stream.bench.report.report import ANY_NAME
from ecolite_stream.errors import ConfigError

RESULTS = "results.jsonl"


class Results:
    """The outcomes in a report folder; a context manager.

    The first line is the key: what was evaluated and how. Opening the file drops unreadable clips,
    which are tried again.

    Args:
        folder: created if missing.
        key: bundle, crops and protocol; plain containers.

    Raises:
        ConfigError: the folder holds results of another key, or cannot be written.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        self.path = folder / RESULTS
        self._key = key
        self.known: dict[str, Outcome] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                self._read()
            self._rewrite()
            self._file: TextIO = self.path.open("a", encoding="utf-8", errors=ANY_NAME)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{self.path} cannot be written: {error}; name another --report"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, outcome: Outcome) -> None:
        """Append one and flush it."""
        self.known[outcome.clip] = outcome
        self._file.write(_line(outcome.to_json()))
        self._file.flush()

    def finish(self) -> None:
        """Sort the lines by name."""
        self._file.close()
        self._rewrite()

    def _read(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        rows = list(_whole_lines(text))
        if not rows and "\n" in text:  # a cut key has no end of line
            raise ConfigError(f"{self.path} holds no results; name another --report")
        if rows and rows[0] != self._key:
            raise ConfigError(
                f"{self.path} holds results of {_differences(rows[0], self._key)}; name another "
                "--report, or remove the file"
            )
        try:
            outcomes = [Outcome.from_json(row) for row in rows[1:]]
        except (TypeError, KeyError, ValueError) as error:
            raise ConfigError(
                f"{self.path} is damaged: {error}; remove it or name another --report"
            ) from error
        self.known = {outcome.clip: outcome for outcome in outcomes if not outcome.error}

    def _rewrite(self) -> None:
        outcomes = (self.known[name].to_json() for name in sorted(self.known))
        new = self.path.with_suffix(".part")
        new.write_text("".join(map(_line, [self._key, *outcomes])), "utf-8", ANY_NAME)
        new.replace(self.path)


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _whole_lines(text: str) -> Iterable[dict[str, Any]]:
    """Rows up to the first malformed one; an interruption may cut the last."""
    for line in text.split("\n"):  # names may have the other ends of lines that Unicode knows
        try:
            row = json.loads(line)
        except ValueError:
            return
        if not isinstance(row, dict):
            return
        yield row


def _differences(found: dict[str, Any], key: dict[str, Any]) -> str:
    names = [name for name in {**key, **found} if found.get(name) != key.get(name)]
    return ", ".join(f"{name} {found.get(name)!r} instead of {key.get(name)!r}" for name in names)
