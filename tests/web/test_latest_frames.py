"""Pictures are made when somebody looks, once for all who do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ecolite_stream.media.jpeg import to_jpeg
from ecolite_stream.types import Frame, Image
from ecolite_stream.web.latest_frames import LatestFrames
from tests.videos import numbered_image, read_number


def decoded(jpeg: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def test_nothing_is_encoded_until_somebody_looks() -> None:
    made: list[int] = []

    def pixels() -> Image:
        made.append(1)
        return numbered_image(9)

    gallery = LatestFrames()
    assert gallery.newest("door") is None
    gallery.show(Frame("yard", 8, 0.1, pixels))
    gallery.show(Frame("yard", 9, 0.2, pixels))
    assert not made
    first = gallery.jpeg("yard", 480)
    assert read_number(decoded(first)) == 9
    assert gallery.jpeg("yard", 480) is first
    assert len(made) == 1
    gallery.show(Frame("yard", 10, 0.3, numbered_image(10)))
    assert read_number(decoded(gallery.jpeg("yard", 480))) == 10
    gallery.forget("yard")
    assert gallery.newest("yard") is gallery.jpeg("yard", 480) is None
    assert not gallery._jpegs


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((160, 120), (160, 120)),
        ((1920, 1080), (480, 270)),
        ((480, 2000), (230, 960)),
        ((4000, 16), (480, 2)),
    ],
)
def test_pictures_are_made_smaller_never_larger(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    height, width = decoded(to_jpeg(numbered_image(1, size), 480)).shape[:2]
    assert (width, height) == expected
