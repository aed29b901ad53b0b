"""Views and masks that people draw on the page, in a file of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.strict import load_config
from ecolite_stream.config.views import Mask, ViewConfig, check_mask, check_views


@dataclass(frozen=True)
class DrawnViews:
    """Views and mask of a stream, in place of those of the configuration.

    Attributes:
        views, mask: as in `StreamConfig`.
    """

    views: tuple[str | ViewConfig, ...] = ()
    mask: Mask = ()

    def __post_init__(self) -> None:
        check_views(self.views)
        check_mask(self.mask)

    def over(self, settings: StreamConfig) -> StreamConfig:
        """Settings of a stream with these views and this mask."""
        return dataclasses.replace(settings, views=self.views, mask=self.mask)


@dataclass(frozen=True)
class DrawnFile:
    """The keys of the file.

    Attributes:
        streams: views and mask by the name of the stream.
    """

    streams: Mapping[str, DrawnViews] = field(default_factory=dict)


def read_drawn(path: Path | None) -> dict[str, DrawnViews]:
    """Views by stream; none without a file.

    Raises:
        ConfigError: the file cannot be read, or is invalid.
    """
    if path is None or not path.exists():
        return {}
    return dict(load_config(path, DrawnFile).streams)


def drawn_text(drawn: Mapping[str, DrawnViews]) -> str:
    """The text of such a file."""
    streams = {
        name: {"views": [_plain(view) for view in one.views], "mask": [list(s) for s in one.mask]}
        for name, one in drawn.items()
    }
    header = "# Drawn on the page of ecolite-stream, which writes this file anew.\n"
    return header + yaml.safe_dump({"streams": streams}, sort_keys=False, default_flow_style=None)


def _plain(view: str | ViewConfig) -> Any:
    if isinstance(view, str):
        return view
    if view.region is None:
        return {"subjects": view.subjects}
    return {"region": view.region, "box": list(view.box)}
