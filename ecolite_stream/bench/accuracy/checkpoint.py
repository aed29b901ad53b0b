"""Evaluate a checkpoint: the trainer exports it, in its own process.

The runtime never imports the trainer, but can run it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ecolite_stream.errors import BundleError, ConfigError
from ecolite_stream.model.bundle import Bundle, read_bundle

EXPORT = "trainer.export"
TIME_LIMIT_S = 1800


@contextmanager
def exported(checkpoint: Path) -> Iterator[Bundle]:
    """A temporary bundle of a checkpoint, checked on every installed engine.

    Raises:
        ConfigError: the checkpoint does not exist, or the trainer is not installed.
        BundleError: it cannot be exported.
    """
    if not checkpoint.is_file():
        raise ConfigError(f"checkpoint {checkpoint} does not exist; name a .ckpt file")
    if find_spec("trainer") is None:
        raise ConfigError(
            f"--checkpoint needs the trainer, which is not installed here; where it is, run python "
            f"-m {EXPORT} {checkpoint} --bundle DIR, and name --bundle DIR"
        )
    with tempfile.TemporaryDirectory(prefix="ecolite-") as scratch:
        folder = Path(scratch) / checkpoint.stem
        command = [sys.executable, "-m", EXPORT, str(checkpoint), "--bundle", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise BundleError(
                f"checkpoint {checkpoint}: no export within {TIME_LIMIT_S} s; run "
                f"{' '.join(command[1:])} to see why"
            ) from error
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no word"])[-1].removeprefix("error: ")
            raise BundleError(f"checkpoint {checkpoint} cannot be exported: {reason}")
        yield read_bundle(folder)
