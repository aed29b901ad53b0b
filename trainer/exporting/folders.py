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
    """Pass where a bundle can be written: a bundle, an empty folder, or nothing yet.

    Raises:
        BundleError: something else is there, or no engine can open a path of that name.
    """
    try:
        str(folder.resolve()).encode()
    except UnicodeEncodeError as error:
        raise BundleError(
            f"{printable(str(folder.resolve()))} has bytes in its path that are no UTF-8, and "
            "MindSpore opens no file there; name another folder"
        ) from error
    is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_free and not (folder / DESCRIPTION).is_file():
        raise BundleError(f"{folder} exists and is no bundle; name another folder")


def replace_folder(new: Path, folder: Path) -> None:
    """Move a folder to where another may be; whatever happens, the old or the new one is there.

    Args:
        new: on the same disk as `folder`.
        folder: what was there is gone afterwards; where it cannot be removed, a warning says so.

    Raises:
        OSError: the new one cannot be moved; the old one is back in its place.
    """
    folder = folder.resolve()
    aside = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    had_one = folder.exists()
    if had_one:
        folder.rename(aside)
    try:
        new.rename(folder)
    except OSError:
        if had_one:
            aside.rename(folder)
        raise
    if had_one:
        try:
            shutil.rmtree(aside)
        except OSError as error:
            logger.warning("the old bundle is left in %s, remove it: %s", aside, error)
