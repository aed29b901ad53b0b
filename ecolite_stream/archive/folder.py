"""The folder of an archive: results of recordings, and a manifest of those that are finished."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ecolite_stream.archive.tasks import Results, Task
from ecolite_stream.errors import ConfigError
from ecolite_stream.media.new_files import create_part, lock_until_closed

MANIFEST = "manifest.jsonl"
KINDS = ("predictions", "events")
_FORMAT = 1
_LONGEST_STEM = 120


@dataclass(frozen=True)
class _Finished:
    """What the manifest says of a recording."""

    size_bytes: int
    mtime_ns: int
    sha256: dict[str, str]


class ArchiveFolder:
    """Results of recordings in `FOLDER/results`, and `FOLDER/manifest.jsonl`.

    The manifest begins with the settings. A line follows for each recording, once its results are
    on disk under their final names: its file's size and time, and hashes of the results. A run that
    was killed leaves a manifest that is whole but for its last line.

    Args:
        folder: made if it is not there, but not its parents.
        settings: decide what the results are.

    Raises:
        ConfigError: it holds something else or the results of other settings, another run writes
            to it, or it cannot be written.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self._settings = settings
        self._finished: dict[str, _Finished] = {}
        try:
            self._begin()
        except BlockingIOError as error:
            raise ConfigError(
                f"{folder}: another run writes to it; wait, or choose another folder"
            ) from error
        except OSError as error:
            raise ConfigError(
                f"{folder}: cannot be written: {error.strerror}; choose another folder"
            ) from error

    def is_finished(self, task: Task) -> bool:
        """Whether the results of a recording are there and whole, and the recording the same."""
        found = self._finished.get(str(task.path))
        return (
            found is not None
            and (found.size_bytes, found.mtime_ns) == (task.size_bytes, task.mtime_ns)
            and all(found.sha256[kind] == _sha256(self.path(task, kind)) for kind in KINDS)
        )

    def path(self, task: Task, kind: str) -> Path:
        """The file of results: `kind` is one of `KINDS`."""
        digest = hashlib.sha256(os.fsencode(task.path)).hexdigest()[:12]
        stem = quote(task.path.name, safe=" @", errors="surrogateescape")[:_LONGEST_STEM]
        return self.folder / "results" / f"{stem}-{digest}.{kind}.jsonl"

    def write(self, task: Task, results: Results) -> None:
        """Write the results of a recording, then note that it is finished.

        Raises:
            OSError: the disk is full, or the like; nothing is noted.
        """
        lines = {"predictions": results.predictions, "events": results.events}
        for kind, data in lines.items():
            _write_whole(self.path(task, kind), data)
        sha256 = {kind: hashlib.sha256(data).hexdigest() for kind, data in lines.items()}
        entry = _Finished(task.size_bytes, task.mtime_ns, sha256)
        self._append(
            {
                "recording": str(task.path),
                "size_bytes": entry.size_bytes,
                "mtime_ns": entry.mtime_ns,
                "results": {kind: self.path(task, kind).name for kind in KINDS},
                "sha256": sha256,
            }
        )
        self._finished[str(task.path)] = entry

    def close(self) -> None:
        """Let another run have the folder."""
        self._file.close()

    def __enter__(self) -> ArchiveFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _begin(self) -> None:
        manifest = self.folder / MANIFEST
        if not manifest.exists():
            self._require_empty()
        self.folder.mkdir(exist_ok=True)
        self._file = FileIO(manifest, "a+")
        try:
            lock_until_closed(self._file)
            self._read()
            (self.folder / "results").mkdir(exist_ok=True)
            self._remove_parts()
        except BaseException:
            self._file.close()
            raise

    def _require_empty(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder} is a file; name a folder for the archive")
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise ConfigError(
                f"{self.folder} is not empty and holds no {MANIFEST}; name an empty or a new folder"
            )

    def _read(self) -> None:
        """Read the manifest, and cut off a last line that is torn; begin one that is empty."""
        self._file.seek(0)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        if not whole:
            self._file.truncate(0)
            self._append({"ecolite_archive": _FORMAT, "settings": self._settings})
            return
        try:
            head, *entries = map(json.loads, whole.splitlines())
            self._require_same(head)
            for entry in entries:
                hashes = {kind: str(entry["sha256"][kind]) for kind in KINDS}
                self._finished[str(entry["recording"])] = _Finished(
                    int(entry["size_bytes"]), int(entry["mtime_ns"]), hashes
                )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ConfigError(
                f"{self.folder / MANIFEST} is damaged; choose another folder, or delete it to "
                "recognize everything again"
            ) from error
        if len(whole) < len(data):
            self._file.truncate(len(whole))

    def _require_same(self, head: Any) -> None:
        if head["ecolite_archive"] != _FORMAT:
            raise ConfigError(f"{self.folder} is an archive of another version; choose another")
        theirs, ours = head["settings"], self._settings
        keys = {*theirs, *ours}
        other = sorted(key for key in keys if theirs.get(key) != ours.get(key))
        if other:
            raise ConfigError(
                f"{self.folder} is another archive: it was made with another "
                f"{', '.join(other)}; choose another folder"
            )

    def _append(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry).encode("ascii") + b"\n"
        size = self._file.seek(0, os.SEEK_END)
        if self._file.write(line) != len(line):
            self._file.truncate(size)
            raise OSError(f"{self.folder / MANIFEST}: the disk is full")
        os.fsync(self._file.fileno())

    def _remove_parts(self) -> None:
        for path in (self.folder / "results").glob(".*.part"):
            path.unlink(missing_ok=True)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file under its name only once it is on disk."""
    part = create_part(path.parent, path.name[-80:])
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _sha256(path: Path) -> str | None:
    """Of a file; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
