from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest

from ecolite_stream.errors import SourceError
from ecolite_stream.sources import FileSource
from ecolite_stream.sources.picture import LazyImage, square_size, upright_bgr
from tests.videos import numbered_image, read_number, write_numbered_video


def picture(pixel_format: str = "yuv420p") -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(numbered_image(5), "bgr24").reformat(format=pixel_format)


def test_colour_spaces_that_do_not_exist_are_ignored() -> None:
    damaged = picture()
    damaged.colorspace, damaged.color_trc, damaged.color_primaries = 65, 243, 31
    assert np.array_equal(upright_bgr(damaged), upright_bgr(picture()))


def test_pictures_that_ffmpeg_cannot_convert() -> None:
    with pytest.raises(SourceError, match="16x8 picture of yuv420p cannot be turned into BGR"):
        upright_bgr(cast(av.VideoFrame, Unconvertible()))


class Unconvertible:
    width, height, rotation = 16, 8, 0
    format = av.VideoFormat("yuv420p")
    colorspace = color_trc = color_primaries = 0

    def to_ndarray(self, **_: object) -> None:
        av.error.err_check(-errno.ENOTSUP)


@pytest.mark.timeout(30)
def test_many_threads_get_the_same_image() -> None:
    lazy = LazyImage(picture())
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda _: lazy(), range(50)))
    assert all(image is images[0] for image in images)
    assert images[0].shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(2), (320, 120)),
        (Fraction(1, 2), (160, 240)),
        (Fraction(16, 11), (233, 120)),
        (Fraction(1), (160, 120)),
        (Fraction(4320, 4319), (160, 120)),  # square but for rounding
        (Fraction(99, 1), (160, 120)),  # damaged
        (Fraction(1, 99), (160, 120)),
    ],
)
def test_pixels_become_square(aspect: Fraction, size: tuple[int, int]) -> None:
    assert square_size(160, 120, aspect) == size
    image = upright_bgr(picture(), aspect)
    assert image.shape == (size[1], size[0], 3)
    assert read_number(image) == 5


def test_square_pixels_are_not_touched() -> None:
    expected = picture().to_ndarray(format="bgr24", threads=1)
    assert np.array_equal(upright_bgr(picture(), Fraction(1)), expected)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "libx264"), (".ts", "libx264"), (".mkv", "libx264")]
)
def test_a_video_with_wide_pixels(tmp_path: Path, suffix: str, codec: str) -> None:
    path = write_numbered_video(tmp_path / f"wide{suffix}", 5, codec=codec, aspect="2:1")
    with FileSource(path) as source:
        images = [frame.image for frame in source]
    assert [image.shape for image in images] == [(120, 320, 3)] * 5
    assert [read_number(image) for image in images] == list(range(5))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "bgr24"])
def test_the_brightness_has_square_pixels_too(pixel_format: str) -> None:
    """What moves is looked for in it, and its place must be that in the picture."""
    luma = LazyImage(picture(pixel_format), Fraction(2)).luma(80)
    assert luma.shape == (30, 80)
    assert read_number(np.repeat(luma[..., None], 3, 2)) == 5
