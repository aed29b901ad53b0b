"""Create files exclusively: never another run's, and never through a link."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

PART = ".part"
LOCK_S = 5.0
"""Seconds to wait for another program that changes the files of a folder."""


def create(path: Path) -> Path:
    """Make an empty file.

    Raises:
        FileExistsError: the name exists, even as a broken link.
        OSError: it cannot be created.
    """
    try:
        path.open("xb").close()
    except FileExistsError:
        raise
    except OSError as error:
        raise OSError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def create_numbered(folder: Path, name: str, suffix: str) -> Path:
    """Make an empty file, with a number if the name exists: `door-2.mp4`.

    Raises:
        OSError: it cannot be created.
    """
    path, number = folder / f"{name}{suffix}", 1
    while True:
        try:
            return create(path)
        except FileExistsError:
            number += 1
            path = folder / f"{name}-{number}{suffix}"


def create_part(folder: Path, name: str) -> Path:
    """Make a hidden file with a unique name, to be renamed to `name` when complete.

    Raises:
        OSError: it cannot be created.
    """
    return create(folder / f".{name}.{secrets.token_hex(4)}{PART}")


def replace_text(path: Path, text: str) -> None:
    """Write a small file at once: a reader sees the old text or the new one.

    Raises:
        OSError: it cannot be written; the old file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = create_part(path.parent, path.name)
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Let one thread of one program at a time change the files of a folder that it rewrites.

    Raises:
        OSError: the folder cannot be opened, or another program holds the lock for `LOCK_S`.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        until_s = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until_s:
                    raise OSError(f"{folder}: another program is changing it; try again") from None
                time.sleep(0.01)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        os.close(handle)


def lock_until_closed(file: FileIO) -> None:
    """Lock an ordinary file until it is closed; /dev/null and the like are anybody's.

    Raises:
        BlockingIOError: another run has locked it.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks
            return
