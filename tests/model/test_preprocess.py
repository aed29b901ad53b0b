from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.errors import ConfigError
from ecolite_stream.model.preprocess import (
    Preprocessing,
    frame_square,
    normalize,
    preprocess,
    resize,
    resize_short_side,
)

PLAIN = Preprocessing(16, mean=(0.0, 0.0, 0.0))


def ramp(height: int, width: int) -> np.ndarray:
    """Blue grows to the right, green downwards; red is 7."""
    image = np.full((height, width, 3), 7, np.uint8)
    image[:, :, 0] = np.arange(width)
    image[:, :, 1] = np.arange(height)[:, None]
    return image


def test_published_transform() -> None:
    """Short side to 256, middle 224 x 224, BGR less the mean, not divided by anything."""
    how = Preprocessing()
    assert (how.image_size, how.short_side) == (224, 256)
    image = np.zeros((256, 340, 3), np.uint8)
    image[16:240, 58:282] = (10, 20, 30)
    pixels = preprocess(image, how)
    assert pixels.shape == (3, 224, 224)
    assert pixels.dtype == np.float32
    for channel, value in zip(pixels, (10 - 104, 20 - 117, 30 - 128), strict=True):
        assert (channel == value).all()


def test_center_takes_the_middle_of_the_long_side() -> None:
    how = Preprocessing(112)  # a short side of 128 needs no resizing
    square = frame_square(ramp(128, 200), how)
    assert square[0, :, 0].tolist() == list(range(44, 156))
    assert square[:, 0, 1].tolist() == list(range(8, 120))
    turned = frame_square(ramp(200, 128), how)
    assert turned[:, 0, 1].tolist() == list(range(44, 156))


def test_whole_keeps_the_borders() -> None:
    square = frame_square(ramp(64, 128), Preprocessing(32, framing="whole"))
    assert square.shape == (32, 32, 3)
    assert square[0, 0, 0] < 4
    assert square[0, -1, 0] > 123


def test_channel_order_mean_and_scale() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[:] = (10, 20, 30)
    how = Preprocessing(16, "whole", mean=(1.0, 2.0, 3.0), scale=0.5, channel_order="RGB")
    assert preprocess(image, how)[:, 3, 3].tolist() == [14.5, 9.0, 3.5]


def test_shrinking_averages() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.ptp(resize(stripes, (16, 16))) == 0


def test_the_picture_is_left_as_it_is() -> None:
    image = ramp(16, 16)
    image.flags.writeable = False
    square = frame_square(image, Preprocessing(16, "whole"))
    preprocess(image, Preprocessing(16, "whole", channel_order="RGB"))
    assert (square == ramp(16, 16)).all()


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from(["center", "whole"]),
    st.sampled_from([16, 33, 112]),
)
def test_any_size(height: int, width: int, framing: str, size: int) -> None:
    image = np.full((height, width, 3), 9, np.uint8)
    pixels = preprocess(image, Preprocessing(size, framing, (0.0, 0.0, 0.0)))
    assert pixels.shape == (3, size, size)
    assert (pixels == 9).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_size": 8}, "image_size is 8; expected 16 to 1024"),
        ({"framing": "centre"}, "framing is 'centre'; expected center or whole"),
        ({"mean": (1.0, 2.0)}, "mean has 2 values; expected 3"),
        ({"mean": (1.0, 2.0, float("nan"))}, "mean is"),
        ({"scale": 0.0}, "scale is 0.0"),
        ({"scale": float("inf")}, "scale is inf"),
        ({"channel_order": "GBR"}, "channel_order is 'GBR'; expected BGR or RGB"),
    ],
)
def test_ranges(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Preprocessing(**values)


@pytest.mark.parametrize("size", [80, 112, 224])
@pytest.mark.parametrize(
    ("width", "height"),
    [(320, 240), (1280, 720), (1080, 1920), (640, 480), (333, 517), (257, 300), (130, 90)],
)
def test_cutting_before_resizing_gives_the_pixels_of_the_whole_resized(
    width: int, height: int, size: int
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    how = Preprocessing(size)
    whole = resize_short_side(image, how.short_side)
    top, left = (round((side - size) / 2) for side in whole.shape[:2])
    assert np.array_equal(frame_square(image, how), whole[top : top + size, left : left + size])


@pytest.mark.parametrize("order", ["BGR", "RGB"])
def test_normalized_is_less_the_mean_times_the_scale(order: str) -> None:
    square = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    how = Preprocessing(16, mean=(104.1, 117.2, 128.3), scale=0.0172, channel_order=order)
    channels = square if order == "BGR" else square[:, :, ::-1]
    expected = (channels.astype(np.float32) - np.float32(how.mean)) * np.float32(how.scale)
    assert np.array_equal(normalize(square, how), expected.transpose(2, 0, 1))
