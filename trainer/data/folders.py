"""Folders of data."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

DATA_VARIABLE = "ECOLITE_DATA"
DEFAULT_DATA = "../shared/data"


def expand_folder(folder: str) -> Path:
    """Expand `~` and `$VARIABLES` in a folder; ECOLITE_DATA has a default."""
    if DATA_VARIABLE not in os.environ:
        folder = re.sub(rf"\$({DATA_VARIABLE}\b|\{{{DATA_VARIABLE}\}})", DEFAULT_DATA, folder)
    return Path(os.path.expandvars(folder)).expanduser()


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in OS errors: that of a full disk does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
