"""Ids of events: UUIDs of version 7 (RFC 9562), derived without a clock."""

from __future__ import annotations

import hashlib
import uuid

from ecolite_stream.types import StreamAnchor

_LARGEST_MS = 2**48 - 1


def event_id(anchor: StreamAnchor, view: str, start_s: float, times_back: int = 0) -> str:
    """The id of an event; equal arguments give the same id, so that a replay repeats it.

    The first 48 bits are the start's time of day in milliseconds: ids sort by time. The 74 random
    bits of RFC 9562 come from a hash of the anchor's seed and the other arguments.

    Args:
        anchor: of the stream.
        view: name of the view.
        start_s: stream time of the start, in seconds.
        times_back: number of times the stream's time has gone back.
    """
    parts = (anchor.seed, anchor.stream, view, repr(float(start_s)), str(times_back))
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).digest()
    unix_ms = min(max(anchor.unix_ms(start_s), 0), _LARGEST_MS)
    value = unix_ms << 80 | int.from_bytes(digest[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76  # version 7
    value = value & ~(0x3 << 62) | 0x2 << 62  # the variant of RFC 9562
    return str(uuid.UUID(int=value))
