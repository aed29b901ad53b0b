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
        BundleError: the folder holds something else, or engines cannot open its path.
    """
    try:
        str(folder.resolve()).encode()
    except UnicodeEncodeError as error:
        raise BundleError(
            f"{printable(str(folder.resolve()))} has bytes in its path that are not UTF-8, "
            "which MindSpore cannot open; name another folder"
        ) from error
    is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_free and not (folder / DESCRIPTION).is_file():
        raise BundleError(f"{folder} exists and is not a bundle; name another folder")


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
