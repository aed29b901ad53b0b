"""Check that clips can be read to their end, and cache the result.

The cache has the names, sizes and times of change of the files of clips that passed. It is safe to
delete: the clips are then checked again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

from ecolite_stream.datasets.frame_folders import frame_files, read_picture
from ecolite_stream.errors import EcoliteError, SourceError, one_line
from ecolite_stream.sources import damage, open_source

CACHE_VARIABLE = "ECOLITE_CACHE"
REMEMBERED = "checked-clips.json"
MAX_REMEMBERED = 500_000
MAX_CACHE_BYTES = 200_000_000
MOST_NAMED = 5

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Folder of caches: `ECOLITE_CACHE`, or ecolite-stream in the user's cache folder."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ecolite-stream"


def require_whole(
    clips: Iterable[Path],
    workers: int,
    *,
    prefix: str = "",
    on_clip: Callable[[], None] = lambda: None,
) -> None:
    """Check clips as `faults_of` does.

    Raises:
        SourceError: some cannot be read; names the first few and the count.
    """
    paths = list(dict.fromkeys(clips))
    faults = faults_of(paths, workers, prefix=prefix, on_clip=on_clip)
    if faults:
        reasons = list(faults.values())
        more = f"; and {len(reasons) - MOST_NAMED} more" if len(reasons) > MOST_NAMED else ""
        raise SourceError(
            f"{len(reasons)} of {len(paths)} clips cannot be read: "
            f"{'; '.join(reasons[:MOST_NAMED])}{more}"
        )


def faults_of(
    clips: Sequence[Path],
    workers: int,
    *,
    prefix: str = "",
    on_clip: Callable[[], None] = lambda: None,
    remembered: Path | None = None,
) -> dict[Path, str]:
    """Faults of unreadable clips, by their paths.

    Args:
        clips: videos and folders of frames.
        workers: threads.
        prefix: of the names of frames; other pictures are ignored.
        on_clip: called after each clip, in the caller's thread.
        remembered: cache of clips that passed; None is the one in `cache_folder`.
    """
    memory = remembered or cache_folder() / REMEMBERED
    passed = _read_memory(memory)

    def check(path: Path) -> tuple[str | None, str]:
        mark = _mark_of(path, prefix)
        known = mark is not None and passed.get(_key(path, prefix)) == mark
        return (None if known else fault_of(path, prefix)), mark or ""

    faults: dict[Path, str] = {}
    new: dict[str, str] = {}
    with _quiet_damage(), ThreadPoolExecutor(workers, thread_name_prefix="check") as pool:
        try:
            for path, (fault, mark) in zip(clips, pool.map(check, clips), strict=True):
                if fault is not None:
                    faults[path] = fault
                elif mark and passed.get(_key(path, prefix)) != mark:
                    new[_key(path, prefix)] = mark
                on_clip()
        finally:  # after an interruption the clips in hand finish, and results are kept
            pool.shutdown(cancel_futures=True)
            if new:
                _write_memory(memory, {**passed, **new})
    return faults


def fault_of(clip: Path, prefix: str = "") -> str | None:
    """Why a clip cannot be read, on one line, or None.

    Each picture of a folder of frames is decoded small, each frame of a video as far as its
    decoder goes.
    """
    try:
        if clip.is_dir():
            return _fault_of_pictures(frame_files(clip, prefix))
        with open_source(str(clip)) as source:
            for _ in source:
                pass
    except EcoliteError as error:
        return one_line(error)
    return None


def _fault_of_pictures(files: Sequence[Path]) -> str | None:
    faults = []
    for file in files:
        try:
            read_picture(file, cv2.IMREAD_REDUCED_GRAYSCALE_8)
        except SourceError as error:
            faults.append(one_line(error))
    if len(faults) < 2:
        return faults[0] if faults else None
    return f"{faults[0]} (and {len(faults) - 1} more of its {len(files)} frames)"


def _key(clip: Path, prefix: str) -> str:
    return str(clip.absolute()) + (f"?{prefix}" if prefix else "")


def _mark_of(clip: Path, prefix: str) -> str | None:
    """A fingerprint that changes with the clip; None if it is missing."""
    try:
        files = frame_files(clip, prefix) if clip.is_dir() else [clip]
        states = [(path.name, path.stat()) for path in files]
    except (OSError, SourceError):
        return None
    text = ";".join(f"{name} {s.st_size} {s.st_mtime_ns} {s.st_ino}" for name, s in states)
    return hashlib.blake2b(os.fsencode(text), digest_size=12).hexdigest()


def _read_memory(path: Path) -> dict[str, str]:
    """The clips that passed; none if the file is missing or damaged."""
    try:
        if path.stat().st_size > MAX_CACHE_BYTES:
            return {}
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: mark for key, mark in content.items() if isinstance(mark, str)}


def _write_memory(path: Path, passed: dict[str, str]) -> None:
    """Replace the file atomically; after a failure the clips are checked again next time."""
    kept = dict(list(passed.items())[-MAX_REMEMBERED:])
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(kept), encoding="ascii")
        new.replace(path)
    except OSError as error:
        _log.warning(
            "%s cannot be written (%s): the clips are checked again next time",
            path,
            error.strerror,
        )
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


@contextlib.contextmanager
def _quiet_damage() -> Iterator[None]:
    """Silence warnings of damage, which the later reading repeats."""

    def drop(record: logging.LogRecord) -> bool:
        return False

    log = logging.getLogger(damage.__name__)
    log.addFilter(drop)
    try:
        yield
    finally:
        log.removeFilter(drop)
