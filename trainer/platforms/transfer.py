"""Copy untrusted folders and unpack untrusted archives within bounds."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ecolite_stream.errors import ConfigError, one_line

MAX_ENTRIES = 20_000_000
"""Of a folder or an archive: the frames of the largest published data sets are 10 million."""
MAX_RATIO = 100
"""How many times larger than itself an archive may become, beyond `SMALL_BYTES`."""
SMALL_BYTES = 1_000_000_000
"""What any archive may become."""

_log = logging.getLogger(__name__)


def copy_tree(source: Path, target: Path, *, strict: bool) -> None:
    """Copy the files of a folder; links within it stay links, and none is followed.

    Args:
        source: folder; it may itself be reached by links.
        target: made where it is missing.
        strict: whether to refuse what is not copied: links that lead out of the folder, devices
            and pipes. Otherwise they are left out with a warning.

    Raises:
        ConfigError: something is refused, before anything is copied.
        OSError: a file cannot be copied.
    """
    root = source.resolve()
    refused = [path for path in _entries(root) if not _may_be_copied(path, root)]
    if refused and strict:
        raise ConfigError(
            f"{refused[0]} is a link out of {source}, a device or a pipe ({len(refused)} such); "
            "copy the files themselves into the folder"
        )
    for path in refused:
        _log.warning("%s is not copied: it leads out of the folder, or is no file", path)
    left_out = set(refused)
    target.mkdir(parents=True, exist_ok=True)
    for path in _entries(root):
        if path not in left_out:
            _copy_entry(path, target / path.relative_to(root), root)


def _entries(root: Path) -> Iterator[Path]:
    """All entries of a folder, folders first, without following links."""
    number = 0
    for here, folders, files in os.walk(root, onerror=_raise):
        for name in (*folders, *files):
            number += 1
            if number > MAX_ENTRIES:
                raise ConfigError(f"{root} has more than {MAX_ENTRIES} files; copy a part of it")
            yield Path(here) / name


def _raise(error: OSError) -> None:
    raise error


def _may_be_copied(path: Path, root: Path) -> bool:
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode):
        return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    try:
        return path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # it leads nowhere, or in a circle
        return False


def _copy_entry(path: Path, target: Path, root: Path) -> None:
    if path.is_symlink():
        to = os.path.relpath(path.resolve(), path.parent.resolve())
        if target.is_symlink():
            target.unlink()
        target.symlink_to(to)
    elif path.is_dir():
        target.mkdir(exist_ok=True)
    else:
        shutil.copy2(path, target, follow_symlinks=False)


def unpack(path: Path, folder: Path) -> None:
    """Unpack a zip archive.

    Raises:
        ConfigError: it is missing, damaged, encrypted, or too large when unpacked.
    """
    if not path.is_file():
        raise ConfigError(f"{path} cannot be unpacked: no such file; {_SEE}")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _require_bounds(path, entries, shutil.disk_usage(folder).free)
            for entry in entries:
                archive.extract(entry, folder)
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(f"{path} cannot be unpacked: {one_line(error)}; {_SEE}") from error


_SEE = "see modelarts_dataset_unzip_name"


def _require_bounds(path: Path, entries: list[zipfile.ZipInfo], free_bytes: int) -> None:
    if encrypted := [entry.filename for entry in entries if entry.flag_bits & 1]:
        raise ConfigError(
            f"{path} is encrypted ({encrypted[0]!r}): unpack it yourself, or pack it without a "
            "password"
        )
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES:
        raise ConfigError(f"{path} has more than {MAX_ENTRIES} entries; pack a part of it")
    if total > MAX_RATIO * path.stat().st_size and total > SMALL_BYTES:
        raise ConfigError(
            f"{path} would become {total} bytes, more than {MAX_RATIO} times its size; if that is "
            "right, unpack it yourself"
        )
    if total > free_bytes:
        raise ConfigError(
            f"{path} would become {total} bytes, and the disk has {free_bytes} left; free some"
        )
