"""The database of a run that has a page or clips and names no store: SQLite in the state folder."""

from __future__ import annotations

import dataclasses
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.sinks.clips import ClipsConfig
from ecolite_stream.store.config import StoreConfig

FILE = "events.db"
NO_DEFAULT = "no_store"
no_store_option = click.option(
    "--no-store",
    NO_DEFAULT,
    is_flag=True,
    default=None,
    help="Store no events, even with a page or clips.",
)


def with_default_store(config: StreamConfig) -> StreamConfig:
    """The configuration with the default store, where it has none and needs one.

    A run with a page or clips stores its events unless `store.default` is false, the extra `store`
    is missing, or the state folder cannot be written.
    """
    store = config.section(StoreConfig)
    wanted = config.web.address is not None or config.section(ClipsConfig).folder is not None
    if store.url is not None or not store.default or not wanted:
        return config
    if find_spec("sqlalchemy") is None or (path := default_path()) is None:
        return config
    return _with_store(config, dataclasses.replace(store, url=f"sqlite:///{path}"))


def without_default_store(config: StreamConfig) -> StreamConfig:
    """The configuration with no store at all."""
    store = config.section(StoreConfig)
    return _with_store(config, dataclasses.replace(store, url=None, default=False))


def _with_store(config: StreamConfig, store: StoreConfig) -> StreamConfig:
    section: dict[str, Any] = {"store": store}
    return dataclasses.replace(config, **section)


def default_path() -> Path | None:
    """The file below the folder for state, made where it is missing; None if it cannot be written.

    The folder is that of a service (`STATE_DIRECTORY`), or `$XDG_STATE_HOME/ecolite-stream`, or
    `~/.local/state/ecolite-stream`.
    """
    folder = state_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / FILE if os.access(folder, os.W_OK) else None


def state_folder() -> Path:
    """The folder for what outlives a run."""
    service = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if service:
        return Path(service)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "ecolite-stream"
