"""Putting a bundle into its place: the old one or the new one is there, whatever happens."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from ecolite_stream.datasets.text_files import printable
from ecolite_stream.errors import BundleError
from ecolite_stream.model.bundle import DESCRIPTION

logger = logging.getLogger(__name__)


def require_replaceable(folder: Path) -> None:
    """Check that a bundle can be written: the folder is a bundle, empty or missing.

    Raises:
        BundleError: the folder holds something else, cannot be written, or has a path that engines
            cannot open.
    """
    try:
        str(folder.resolve()).encode()
    except UnicodeEncodeError as error:
        raise BundleError(
            f"{printable(str(folder.resolve()))} has bytes in its path that are not UTF-8, "
            "which MindSpore cannot open; name another folder"
        ) from error
    try:
        is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
        is_bundle = (folder / DESCRIPTION).is_file()
    except OSError as error:
        raise BundleError(f"bundle {folder} cannot be written: {error}") from error
    if not is_free and not is_bundle:
        raise BundleError(f"{folder} exists and is not a bundle; name another folder")
    if reason := why_not_writable(folder.resolve().parent):
        raise BundleError(f"bundle {folder} cannot be written: {reason}; name another folder")


def why_not_writable(folder: Path) -> str | None:
    """Why nothing can be written into a folder, which may not exist yet; None where it can."""
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    if not there.is_dir():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"{there} may not be written to"


def replace_folder(new: Path, folder: Path) -> None:
    """Replace a folder by another; after any failure one of the two is there.

    Args:
        new: on the same disk as `folder`.
        folder: is replaced; a warning is logged where the old one cannot be removed.

    Raises:
        OSError: the new one cannot be moved; the old one is back in its place.
    """
    folder = folder.resolve()
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    had_one = folder.exists()
    if had_one:
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if had_one:
            old.rename(folder)
        raise
    if had_one:
        try:
            shutil.rmtree(old)
        except OSError as error:
            logger.warning("the old bundle is left in %s, remove it: %s", old, error)
