"""Select the video stream of a file."""

from __future__ import annotations

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
"""Streams of pictures about the video: covers, and thumbnails for a player's time line."""
_TEXT_CODECS = frozenset({"ansi", "bintext", "idf", "xbin"})
"""Text that FFmpeg would draw."""


def pick_video_stream(container: InputContainer) -> VideoStream | None:
    """The video stream of a container; None if it has none.

    Covers, thumbnails and text do not count. Decodable streams come first, then the default one,
    then the largest picture, then the first.
    """
    videos = [stream for stream in container.streams.video if _is_video(stream)]
    largest = max(videos, key=_area, default=None)
    return max(videos, key=lambda stream: _rank(stream, largest), default=None)


def _is_video(stream: VideoStream) -> bool:
    codec = stream.codec_context
    return not stream.disposition & _STILLS and not (codec and codec.name in _TEXT_CODECS)


def _rank(stream: VideoStream, largest: VideoStream | None) -> tuple[bool, bool, bool, int]:
    is_default = bool(stream.disposition & Disposition.default)
    decodable = stream.codec_context is not None
    return decodable, not _is_thumbnail_track(stream, largest), is_default, _area(stream)


def _is_thumbnail_track(stream: VideoStream, largest: VideoStream | None) -> bool:
    """Whether a stream is a small and slow copy of another, without being marked as one."""
    if largest is None or 4 * _area(stream) > _area(largest):
        return False
    return 4 * (stream.average_rate or 0) <= (largest.average_rate or 0)


def _area(stream: VideoStream) -> int:
    return stream.width * stream.height if stream.codec_context else 0
