"""Sources and the names of their streams: `gate=rtsp://host/path`."""

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
    """A source, the name of its stream and its own settings.

    Attributes:
        url: source for `open_source`: a camera, a path, a URL or a pattern. A leading `~/` or
            `~USER/` is expanded.
        name: name of the stream; None takes `url` without credentials.
        every_s, smoothing, memory, events, views, mask, gate, decode: override those of
            `StreamConfig` for this stream; `memory` and `events` hold only the keys that differ.
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
    decode: str | None = None

    def __post_init__(self) -> None:
        if self.url.startswith("~"):
            object.__setattr__(self, "url", os.path.expanduser(self.url))  # noqa: PTH111
        if self.name is not None:
            object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name))
            check_name(self.name)


def named_source(source: str | NamedSource) -> NamedSource:
    """Parse SOURCE or NAME=SOURCE.

    URLs and paths are never split at `=`; write ./a=b.mp4 for such a file.

    Raises:
        ConfigError: the name is invalid.
    """
    if isinstance(source, NamedSource):
        return source
    name, equals, url = source.partition("=")
    has_name = equals and not _URL.match(source)
    if has_name and (not NOT_IN_NAMES & set(name) or _URL.match(url)):
        return NamedSource(url, name)
    return NamedSource(source)
