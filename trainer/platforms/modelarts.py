"""ModelArts: copy data and checkpoints in before a training, results out after it.

Huawei's `moxing` copies `obs://` addresses where it is installed; without it addresses are folders.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecolite_stream.errors import ConfigError, one_line
from trainer.config.schema import TrainConfig
from trainer.data.folders import expand_folder
from trainer.platforms.transfer import copy_tree, unpack

DONE = ".copied-from"
LOCK = ".copying"


def copy_in(config: TrainConfig) -> TrainConfig:
    """Copy data and checkpoints to this host, once for all its processes.

    Returns:
        The configuration with `init_checkpoint` in the copied folder.

    Raises:
        ConfigError: an address cannot be copied, or the archive cannot be unpacked.
    """
    how = config.modelarts
    if how.data_url:
        if not config.data_path:
            raise ConfigError("data_url needs data_path: the folder that the data is copied to")
        folder = expand_folder(config.data_path)
        with _once(folder, how.data_url) as wanted:
            if wanted:
                _copy(how.data_url, folder)
                if how.unzip:
                    unpack(folder / f"{how.unzip_name}.zip", folder)
    if how.checkpoint_url:
        with _once(how.load_path, how.checkpoint_url) as wanted:
            if wanted:
                _copy(how.checkpoint_url, how.load_path)
    start = config.init_checkpoint
    if start and how.checkpoint_url and not start.exists():
        return dataclasses.replace(config, init_checkpoint=how.load_path / start)
    return config


def copy_out(config: TrainConfig) -> None:
    """Copy the run's folder to `train_url`.

    Raises:
        ConfigError: it cannot be copied; the folder stays.
    """
    if config.modelarts.train_url:
        _copy(str(config.output), config.modelarts.train_url, strict=False)


@contextmanager
def _once(folder: Path, url: str) -> Iterator[bool]:
    """Whether `folder` has yet to be filled from `url`; other processes of this host wait."""
    import fcntl  # Unix only, like ModelArts

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = folder / DONE
            wanted = not done.is_file() or done.read_bytes() != os.fsencode(url)
            yield wanted
            done.write_bytes(os.fsencode(url))
    except OSError as error:
        raise ConfigError(f"{url} cannot be copied to {folder}: {one_line(error)}") from error


def _copy(source: str, target: Path | str, *, strict: bool = True) -> None:
    mox = _moxing()
    if mox:
        mox.file.copy_parallel(source, str(target))
        return
    for address in (source, str(target)):
        if "://" in address:
            raise ConfigError(
                f"{address} is on a storage service, and moxing, which ModelArts installs, is not "
                "here; name a folder"
            )
    if not Path(source).expanduser().is_dir():
        raise ConfigError(f"{source} does not exist; expected a folder to copy from")
    copy_tree(Path(source).expanduser(), Path(target).expanduser(), strict=strict)


def _moxing() -> Any:
    try:
        import moxing  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    return moxing
