"""Thermal cameras: grey of 16 bits, of which a scene fills few values."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ecolite_stream.sources import FileSource
from ecolite_stream.sources.grey_levels import (
    GreyLevels,
    has_swapped_bytes,
    is_deep_grey,
    stretched,
)
from tests.videos import numbered_image, read_number


def scene(low: int, high: int, pixel_format: str = "gray16le") -> av.VideoFrame:
    """A picture with all values from low to high."""
    values = np.linspace(low, high, 120 * 160).reshape(120, 160)
    return av.VideoFrame.from_ndarray(values.astype(np.uint16), "gray16le").reformat(
        format=pixel_format
    )


def write_thermal(path: Path, pictures: list[av.VideoFrame]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", Fraction(25))
        stream.width, stream.height = pictures[0].width, pictures[0].height
        stream.pix_fmt = pictures[0].format.name
        for index, picture in enumerate(pictures):
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def test_a_narrow_range_is_stretched_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_thermal(tmp_path / "thermal.mkv", [scene(7200, 8600) for _ in range(10)])
    with FileSource(path, name="thermal") as source:
        images = [frame.image for frame in source]
    assert len(np.unique(images[0])) > 200
    assert images[0][..., 0].min() < 20 and images[0][..., 0].max() > 235
    assert all(np.array_equal(image, images[0]) for image in images)
    (record,) = caplog.records
    assert record.getMessage().startswith("thermal: grey values from 71")


def test_a_wide_range_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_thermal(tmp_path / "wide.mkv", [scene(0, 65535)])
    with FileSource(path) as source:
        image = next(source).image
    assert np.abs(image[..., 0] - np.linspace(0, 255, 19200).reshape(120, 160)).max() <= 1
    assert not caplog.records


def test_grey_of_8_bits_and_colour_are_left_alone() -> None:
    levels = GreyLevels("s")
    for pixel_format in ("gray", "yuv420p10le", "rgb48le", "yuv420p", "ya16le"):
        picture = scene(7200, 8600, pixel_format)
        assert not is_deep_grey(picture)
        assert levels.of(picture, 0.0) is None


@pytest.mark.parametrize("pixel_format", ["gray10le", "gray12le", "gray16be"])
def test_other_depths(pixel_format: str) -> None:
    levels = GreyLevels("s").of(scene(16000, 24000, pixel_format), 0.0)
    assert levels is not None
    assert levels[0] == pytest.approx(15600, abs=300)
    assert levels[1] == pytest.approx(24400, abs=300)


def test_something_hot_dims_the_picture_slowly() -> None:
    """The same scene is shown almost alike from one picture to the next: no flicker."""
    levels, scenes = GreyLevels("s"), [scene(7200, 8600), scene(7200, 12000)]
    highs = []
    for n in range(500):
        got = levels.of(scenes[n % 25 == 0] if n < 250 else scenes[1], n / 25)
        assert got is not None
        highs.append(got[1])
    steps = np.abs(np.diff(highs[:250]))
    assert steps.max() < 40  # of 1400 counts
    assert highs[-1] == pytest.approx(12000, rel=0.06)


def test_a_picture_wholly_beyond_sets_the_range_anew() -> None:
    levels = GreyLevels("s")
    levels.of(scene(7200, 8600), 0.0)
    got = levels.of(scene(20000, 21000), 0.04)
    assert got is not None and got[0] > 19000


def test_one_temperature_is_grey_and_no_noise() -> None:
    levels = GreyLevels("s").of(scene(8000, 8003), 0.0)
    assert levels is not None
    image = stretched(np.array([[8000, 8003]], np.uint16), levels)
    assert 100 < image.min() <= image.max() < 155


def test_numbers_survive(tmp_path: Path) -> None:
    """What is to be seen is seen, whatever is looked at and in which order."""
    pictures = []
    for number in range(5):
        grey = numbered_image(number)[..., 0].astype(np.uint16) * 4 + 7000
        pictures.append(av.VideoFrame.from_ndarray(grey, "gray16le"))
    path = write_thermal(tmp_path / "numbers.mkv", pictures)
    with FileSource(path) as source:
        frames = list(source)
    assert [read_number(frame.image) for frame in reversed(frames)] == [4, 3, 2, 1, 0]


def test_swapped_bytes_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    values = scene(7200, 8600).to_ndarray()
    rng = np.random.default_rng(0)
    noisy = (values + rng.integers(0, 30, values.shape)).astype(np.uint16)
    assert has_swapped_bytes(noisy.byteswap())
    levels = GreyLevels("thermal")
    for n in range(3):
        levels.of(av.VideoFrame.from_ndarray(noisy.byteswap(), "gray16le"), n / 25)
    (record,) = (r for r in caplog.records if "swapped" in r.getMessage())
    assert record.getMessage().startswith("thermal: the two bytes of its 16-bit grey values")


@pytest.mark.parametrize("low, high", [(7200, 8600), (0, 65535), (300, 300)])
def test_pictures_whose_bytes_are_in_order(low: int, high: int) -> None:
    assert not has_swapped_bytes(scene(low, high).to_ndarray())


def test_noise_has_no_byte_order() -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (60, 80)).astype(np.uint16)
    assert not has_swapped_bytes(noise)
    assert not has_swapped_bytes(noise[:, :1])
