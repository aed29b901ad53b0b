"""Predictions and events as JSON Lines in a file that does not grow for ever."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from ecolite_stream.config.strict import check_at_least
from ecolite_stream.errors import ConfigError
from ecolite_stream.media.new_files import lock_until_closed
from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.kind import Run, SinkKind, check_writable
from ecolite_stream.types import Event, Output, Prediction


@dataclass(frozen=True)
class JsonFileConfig:
    """Predictions and events in a file, as JSON Lines.

    Attributes:
        path: the file; None writes none.
        max_bytes: size at which the file becomes PATH.1 and a new one begins.
        kept: number of older files that are kept.
    """

    path: Path | None = None
    max_bytes: int = 100_000_000
    kept: int = 5

    def __post_init__(self) -> None:
        check_at_least("max_bytes", self.max_bytes, 1)
        check_at_least("kept", self.kept, 0)


class JsonFileSink(Sink):
    """One JSON object a line, as `JsonLinesSink` writes them; events have the key "event".

    A file that exists is appended to. Before it would grow beyond `max_bytes` it becomes PATH.1,
    what was PATH.1 becomes PATH.2 and so on; what would become older than PATH.`kept` is deleted.
    The file is locked: a second run would rename and cut what the first one writes.
    """

    takes = (Prediction, Event)

    def __init__(self, path: Path, max_bytes: int = 100_000_000, kept: int = 5) -> None:
        """Args:
        path: the file; its folder must exist.
        max_bytes: size of a file at most, but for a line that alone is longer.
        kept: how many older files there are at most.

        Raises:
            ConfigError: it cannot be written.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._file: FileIO | None = None
        self._size = 0
        try:
            self._open()
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise ConfigError(
                    f"{path}: another run writes to it; choose another file for this one"
                ) from error
            advice = "choose another file" if path.parent.exists() else "make its folder"
            raise ConfigError(f"{path}: cannot be written: {error.strerror}; {advice}") from error

    def send(self, output: Output) -> None:
        line = json.dumps(output.as_dict()).encode("ascii") + b"\n"
        if self._size and self._size + len(line) > self._max_bytes:
            self._rotate()
        file = self._file or self._open()
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        except OSError:  # it is tried again, so that no half line may stay
            with contextlib.suppress(OSError):
                file.truncate(self._size)
            raise
        self._size += len(line)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> FileIO:
        file = FileIO(self._path, "a")
        try:
            lock_until_closed(file)
        except OSError:
            file.close()
            raise
        self._file = file
        self._size = self._file.seek(0, os.SEEK_END)
        if not self._ends_a_line():  # as a power cut leaves it
            self._size += self._file.write(b"\n")
        return self._file

    def _ends_a_line(self) -> bool:
        """Whether what is there already is whole; what is no ordinary file has no end."""
        if not self._size:
            return True
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def _rotate(self) -> None:
        self.close()
        for age in range(self._kept, 0, -1):
            younger = self._aged(age - 1)
            if younger.exists():
                younger.replace(self._aged(age))
        self._path.unlink(missing_ok=True)  # where none is kept
        self._open()

    def _aged(self, age: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{age}") if age else self._path


def _check(config: JsonFileConfig, run: Run) -> str:
    assert config.path is not None
    if not config.path.parent.is_dir():
        raise ConfigError(f"{config.path}: cannot be written; make its folder")
    return f"all to {check_writable(config.path)}"


def _build(config: JsonFileConfig, run: Run) -> Sink:
    assert config.path is not None
    return JsonFileSink(config.path, config.max_bytes, config.kept)


SINK = SinkKind(
    "json_file",
    JsonFileConfig,
    key="path",
    metavar="FILE",
    help="Write predictions and events to FILE as JSON Lines; it rotates.",
    check=_check,
    build=_build,
)
