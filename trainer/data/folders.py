"""Where the data lies."""

from __future__ import annotations

import os
import re
from pathlib import Path

DATA_VARIABLE = "ECOLITE_DATA"
DEFAULT_DATA = "../shared/data"


def expand_folder(folder: str) -> Path:
    """A folder with `~` and `$VARIABLES` filled in; ECOLITE_DATA has a default."""
    if DATA_VARIABLE not in os.environ:
        folder = re.sub(rf"\$({DATA_VARIABLE}\b|\{{{DATA_VARIABLE}\}})", DEFAULT_DATA, folder)
    return Path(os.path.expandvars(folder)).expanduser()
