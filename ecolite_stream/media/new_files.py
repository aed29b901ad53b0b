"""Create files exclusively: never another run's, and never through a link."""

from __future__ import annotations

import secrets
from pathlib import Path

PART = ".part"


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
