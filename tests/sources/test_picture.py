from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import av
import numpy as np
import pytest

from ecolite_stream.errors import SourceError
from ecolite_stream.sources.picture import LazyImage, upright_bgr
from tests.videos import numbered_image


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
