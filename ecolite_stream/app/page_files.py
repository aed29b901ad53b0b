"""The files in which a run keeps what people set on its page."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

from ecolite_stream.app.default_store import state_folder
from ecolite_stream.config.schema import StreamConfig


def with_page_files(config: StreamConfig, path: Path | None) -> StreamConfig:
    """The configuration with the default files of the page, where it names none.

    Beside a configuration file `cams.yaml` they are `cams.views.yaml` and `cams.alerts.yaml`, or in
    the folder for state where that folder cannot be written. A run with a page and without a
    configuration file has `views.yaml` and `alerts.yaml` there.

    Args:
        config: of the run.
        path: its file; None without one.
    """
    if path is None and config.web.address is None:
        return config
    web = config.web
    return dataclasses.replace(
        config,
        web=dataclasses.replace(
            web,
            views_file=web.views_file or _default(path, "views"),
            alerts_file=web.alerts_file or _default(path, "alerts"),
        ),
    )


def _default(path: Path | None, kind: str) -> Path:
    if path is None:
        return state_folder() / f"{kind}.yaml"
    beside = path.with_name(f"{path.stem}.{kind}.yaml")
    if beside.exists() or os.access(path.parent, os.W_OK):
        return beside
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
    return state_folder() / f"{path.stem}-{digest}.{kind}.yaml"
