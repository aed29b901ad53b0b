"""Ids of events: UUIDs of version 7 (RFC 9562), made without a clock."""

from __future__ import annotations

import hashlib
import uuid

from ecolite_stream.types import StreamAnchor

_LARGEST_MS = 2**48 - 1


def event_id(anchor: StreamAnchor, view: str, start_s: float, times_back: int = 0) -> str:
    """The id of an event: the same arguments give the same id, so that a replay repeats it.

    Its first 48 bits are the time of day of the start in milliseconds, so that ids sort by time.
    The 74 bits that RFC 9562 leaves to chance come from the anchor's seed and what tells the
    event from others of its stream.

    Args:
        anchor: of the stream.
        view: name of the view.
        start_s: stream time of the start, in seconds.
        times_back: how often the time of the stream has gone back.
    """
    parts = (anchor.seed, anchor.stream, view, repr(float(start_s)), str(times_back))
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).digest()
    unix_ms = min(max(anchor.unix_ms(start_s), 0), _LARGEST_MS)
    value = unix_ms << 80 | int.from_bytes(digest[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76  # version 7
    value = value & ~(0x3 << 62) | 0x2 << 62  # the variant of RFC 9562
    return str(uuid.UUID(int=value))
