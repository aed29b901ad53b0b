"""Which stream of a file is the video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import pytest
from av.container import InputContainer
from av.stream import Disposition

from ecolite_stream.sources.video_stream import pick_video_stream
from tests.videos import numbered_image

NONE, DEFAULT = Disposition(0), Disposition.default
COVER, THUMBNAILS = Disposition.attached_pic, Disposition.timed_thumbnails


def stream(
    width: int, height: int, fps: int, disposition: Disposition = NONE, codec: str | None = "h264"
) -> Any:
    """What PyAV says of a stream; without a decoder it knows no size."""
    context = SimpleNamespace(name=codec) if codec else None
    known = {"width": width, "height": height} if codec else {}
    rate = Fraction(fps) if fps else None
    return SimpleNamespace(
        codec_context=context, disposition=disposition, average_rate=rate, **known
    )


def pick(*streams: Any) -> Any:
    return pick_video_stream(
        cast(InputContainer, SimpleNamespace(streams=SimpleNamespace(video=streams)))
    )


@pytest.mark.parametrize(
    ("streams", "chosen"),
    [
        ([stream(320, 240, 10)], 0),
        ([stream(64, 48, 1, DEFAULT), stream(320, 240, 25)], 1),  # a thumbnail track
        ([stream(640, 480, 0, COVER | DEFAULT), stream(320, 240, 25)], 1),
        ([stream(640, 480, 1, THUMBNAILS), stream(320, 240, 25)], 1),
        ([stream(320, 240, 10, DEFAULT), stream(640, 480, 10)], 0),  # a second camera, say
        ([stream(320, 240, 10), stream(640, 480, 10)], 1),
        ([stream(64, 48, 10, DEFAULT), stream(320, 240, 10)], 0),  # as fast: no thumbnails
        ([stream(0, 0, 25, DEFAULT, codec=None), stream(320, 240, 25)], 1),
        ([stream(640, 480, 25, DEFAULT, codec="ansi"), stream(320, 240, 25)], 1),
        ([stream(320, 240, 25), stream(320, 240, 25)], 0),
    ],
)
def test_the_video_is_chosen(streams: list[Any], chosen: int) -> None:
    assert pick(*streams) is streams[chosen]


def test_a_file_without_video_has_none() -> None:
    assert pick() is None
    assert pick(stream(640, 480, 0, COVER)) is None


def test_a_real_file_that_begins_with_a_thumbnail_track(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        for size, fps in (((64, 48), 1), ((320, 240), 25)):
            made = container.add_stream("mpeg4", rate=fps)
            made.width, made.height = size
            made.pix_fmt = "yuv420p"
        for made in container.streams.video:
            fps = int(made.codec_context.rate)
            for index in range(2 * fps):
                image = numbered_image(index, (made.width, made.height))
                frame = av.VideoFrame.from_ndarray(image, "bgr24")
                frame.pts, frame.time_base = index, Fraction(1, fps)
                container.mux(made.encode(frame))
            container.mux(made.encode(None))
    with av.open(str(path)) as read:
        assert pick_video_stream(read) is read.streams.video[1]
