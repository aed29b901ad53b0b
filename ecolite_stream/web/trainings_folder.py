"""The folder that the page's thorough teachings train in, and what is deleted from it."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

from ecolite_stream.datasets.checked_clips import cache_folder
from ecolite_stream.media.new_files import lock_until_closed

MOST_BYTES = 1_000_000_000
_TRAINING = re.compile(r"[0-9a-f]{16}")
"""Names of trainings, as `python -m trainer.teach --work` gives them."""


def trainings_folder() -> Path:
    """Beside the cached features of clips."""
    return cache_folder() / "trainings"


def delete_old_trainings(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Delete the trainings that were changed longest ago, down to `most_bytes`.

    A training that another program is in, and whatever is no training, stays.
    """
    try:
        trainings = [path for path in folder.iterdir() if _TRAINING.fullmatch(path.name)]
    except OSError:
        return  # nothing was trained yet, or the training says what is wrong
    found = [(*_changed_and_bytes(path), path) for path in trainings if not path.is_symlink()]
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most_bytes:
            return
        if not _is_in_use(path):
            shutil.rmtree(path, ignore_errors=True)
            total -= size


def _changed_and_bytes(training: Path) -> tuple[float, int]:
    """The time of the newest change of its files, and their size."""
    changed_s, size = 0.0, 0
    for path in training.rglob("*"):
        with contextlib.suppress(OSError):
            state = path.lstat()
            changed_s, size = max(changed_s, state.st_mtime), size + state.st_size
    return changed_s, size


def _is_in_use(training: Path) -> bool:
    try:
        with (training / "lock").open("rb", buffering=0) as file:
            lock_until_closed(file)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
