"""The newest picture of each stream, made into a JPEG only when somebody looks."""

from __future__ import annotations

from collections.abc import Sequence

from ecolite_stream.media.jpeg import to_jpeg
from ecolite_stream.types import Frame

SMALL_PX = 480
LARGE_PX = 1280


class LatestFrames:
    """Holds the newest frame of each stream.

    `show` is called by the threads that read streams and does next to nothing; `jpeg` is called
    by one other thread.

    Args:
        streams: names of the streams; numbers are their places in it.
    """

    def __init__(self, streams: Sequence[str]) -> None:
        self._newest: dict[str, Frame | None] = dict.fromkeys(streams)
        self._names = tuple(streams)
        self._jpegs: dict[tuple[int, int], tuple[Frame, bytes]] = {}

    def show(self, frame: Frame) -> None:
        """Take a stream's newest frame; never waits. One that is new gets the next number."""
        if frame.stream not in self._newest:
            self._names = (*self._names, frame.stream)
        self._newest[frame.stream] = frame

    def newest(self, number: int) -> Frame | None:
        """The newest frame of a stream; None while it has none."""
        return self._newest[self._names[number]]

    def jpeg(self, number: int, width_px: int) -> bytes:
        """The newest frame of a stream as a JPEG, no wider than that; the stream must have one."""
        frame = self.newest(number)
        assert frame is not None
        known = self._jpegs.get((number, width_px))
        if known is not None and known[0] is frame:
            return known[1]
        encoded = to_jpeg(frame.image, width_px)
        self._jpegs[number, width_px] = frame, encoded
        return encoded
