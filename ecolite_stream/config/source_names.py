"""What a source is and what its stream is called: `gate=rtsp://host/path`."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ecolite_stream.config.names import NOT_IN_NAMES, check_name
from ecolite_stream.config.views import Mask, ViewConfig

_URL = re.compile(r"[A-Za-z][\w+.-]*://")


@dataclass(frozen=True)
class NamedSource:
    """A source, and what its stream is called.

    Attributes:
        url: what to watch, as `open_source` takes it: a camera, a path, a URL, a pattern. A path
            that begins with `~/` or `~USER/` is expanded.
        name: of the stream, wherever it is shown; None is `url` without credentials.
        every_s, smoothing, memory, events, views, mask, gate: settings of this stream alone, as in
            `StreamConfig`; of `memory` and `events` only the keys that differ. None takes the
            settings of all streams.
    """

    url: str = field(repr=False)
    name: str | None = None
    every_s: float | None = None
    smoothing: float | None = None
    memory: Mapping[str, Any] | None = None
    events: Mapping[str, Any] | None = None
    views: tuple[str | ViewConfig, ...] | None = None
    mask: Mask | None = None
    gate: bool | None = None

    def __post_init__(self) -> None:
        if self.url.startswith("~"):
            object.__setattr__(self, "url", os.path.expanduser(self.url))  # noqa: PTH111
        if self.name is not None:
            object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name))
            check_name(self.name)


def named_source(source: str | NamedSource) -> NamedSource:
    """What a user writes: a source, or `NAME=` and a source.

    What begins like a URL has no name, whatever is in it; nor has a path with a folder: no name
    has a colon or a slash. A file in the current folder whose name has a `=` is `./a=b.mp4`.

    Raises:
        ConfigError: the name cannot be one.
    """
    if isinstance(source, NamedSource):
        return source
    name, equals, url = source.partition("=")
    has_name = equals and not _URL.match(source)
    if has_name and (not NOT_IN_NAMES & set(name) or _URL.match(url)):
        return NamedSource(url, name)
    return NamedSource(source)
