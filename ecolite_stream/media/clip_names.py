"""The file name of an event's clip."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

_LONGEST_NAME = 200


SUFFIX = ".mp4"


def clip_name(event_id: str) -> str:
    """The file name of an event's clip: without folders, and short enough for any disk.

    >>> clip_name("rtsp://door/1@12.500")
    'rtsp%3A%2F%2Fdoor%2F1@12.500.mp4'
    """
    name = quote(event_id, safe="@", errors="surrogateescape")
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(event_id.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        name = f"{name[: _LONGEST_NAME - 33]}~{digest}"
    return name + SUFFIX
