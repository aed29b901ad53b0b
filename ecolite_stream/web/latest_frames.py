"""The newest picture of each stream, made into a JPEG only when somebody looks."""

from __future__ import annotations

from ecolite_stream.media.jpeg import to_jpeg
from ecolite_stream.types import Frame

SMALL_PX = 480
LARGE_PX = 1280


class LatestFrames:
    """Holds the newest frame of each stream.

    `show` is called by the threads that read streams and does next to nothing; `jpeg` is called
    by one other thread.

    """

    def __init__(self) -> None:
        self._newest: dict[str, Frame] = {}
        self._jpegs: dict[tuple[str, int], tuple[Frame, bytes]] = {}

    def show(self, frame: Frame) -> None:
        """Take a stream's newest frame; never waits."""
        self._newest[frame.stream] = frame

    def newest(self, stream: str) -> Frame | None:
        """The newest frame of a stream; None while it has none."""
        return self._newest.get(stream)

    def forget(self, stream: str) -> None:
        """Drop the frame of a stream that has ended."""
        self._newest.pop(stream, None)
        for key in [key for key in list(self._jpegs) if key[0] == stream]:
            self._jpegs.pop(key, None)

    def jpeg(self, stream: str, width_px: int) -> bytes | None:
        """The newest frame of a stream as a JPEG, no wider than that; None if it has none."""
        frame = self.newest(stream)
        if frame is None:
            return None
        known = self._jpegs.get((stream, width_px))
        if known is not None and known[0] is frame:
            return known[1]
        encoded = to_jpeg(frame.image, width_px)
        self._jpegs[stream, width_px] = frame, encoded
        return encoded
