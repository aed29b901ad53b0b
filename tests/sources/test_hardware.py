"""Decoding on a device. None is needed: the tests cover what happens where there is none."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest

from ecolite_stream.app.build import stream_inputs
from ecolite_stream.archive.tasks import Model
from ecolite_stream.config.choices import DECODERS, SOFTWARE
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.source_names import NamedSource
from ecolite_stream.errors import ConfigError
from ecolite_stream.sources import hardware, open_source
from ecolite_stream.sources.picture import LazyImage
from tests.videos import write_numbered_video

DEVICES = DECODERS[2:]


@pytest.fixture(autouse=True)
def _untried() -> Iterator[None]:
    hardware._device.cache_clear()
    yield
    hardware._device.cache_clear()


@pytest.fixture
def missing() -> str:
    """A device that cannot be opened; no machine has all of them."""
    return next(kind for kind in DEVICES if hardware._why_not(kind))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbered_video(tmp_path_factory.mktemp("film") / "film.mp4", 10)


def test_software_decodes_where_a_device_cannot_be_opened(
    film: Path, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    with open_source(str(film)) as source:
        expected = [frame.image for frame in source]
    assert caplog.text == ""
    for _ in range(2):
        with open_source(str(film), decode=missing) as source:
            found = [frame.image for frame in source]
        assert len(found) == 10
        assert all(map(np.array_equal, found, expected))
    (line,) = caplog.messages
    assert line.startswith(f"decode {missing}: no device can be opened ({missing}: ")
    assert line.endswith("); video is decoded in software")


@pytest.mark.parametrize("kind", DEVICES)
def test_a_device_opens_or_there_is_a_reason(kind: str) -> None:
    assert hardware._why_not(kind) != ""


def test_auto_takes_the_first_device_that_opens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "_devices_of_ffmpeg", lambda: ["vdpau", "vaapi", "cuda"])
    monkeypatch.setattr(hardware, "_why_not", {"vdpau": "No such device", "vaapi": None}.get)
    caplog.set_level(logging.INFO)
    assert hardware.acceleration("auto") is not None
    assert caplog.messages == ["decode auto: video is decoded with vaapi"]


def test_auto_without_any_device(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "_devices_of_ffmpeg", list)
    assert hardware.acceleration("auto") is None
    assert "no device can be opened (this FFmpeg has none)" in caplog.text


def test_the_default_tries_no_device(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tried(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(hardware, "_device", tried)
    monkeypatch.setattr(hardware._device, "cache_clear", lambda: None, raising=False)
    with open_source(str(film)) as source:
        assert len(list(source)) == 10


@pytest.mark.parametrize(
    ("software", "device"),
    [("yuv420p", "nv12"), ("yuv422p", "nv16"), ("yuv420p10le", "p010le")],
)
def test_a_device_gives_the_pixels_of_software(software: str, device: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (48, 66, 3), dtype=np.uint8)
    decoded = av.VideoFrame.from_ndarray(values, "bgr24").reformat(format=software)
    decoded.colorspace, decoded.color_range = 1, 1  # BT.709, limited range
    downloaded = decoded.reformat(format=device, threads=1)
    assert downloaded.format.name == device
    expected, found = LazyImage(decoded), LazyImage(downloaded, from_device=True)
    assert np.array_equal(found.luma(64), expected.luma(64))
    assert np.array_equal(found(), expected())


def decoded_by(pix_fmt: str, *, is_hwaccel: bool = True) -> hardware.DecodedBy:
    context = SimpleNamespace(name="h264", is_hwaccel=is_hwaccel, pix_fmt=pix_fmt)
    stream = cast(Any, SimpleNamespace(codec_context=context))
    return hardware.DecodedBy("gate", stream, accelerated=True)


@pytest.mark.parametrize("is_hwaccel", [True, False])
def test_a_video_that_the_device_does_not_decode(
    is_hwaccel: bool, caplog: pytest.LogCaptureFixture
) -> None:
    picture = av.VideoFrame(64, 48, "yuv422p")
    decoded = decoded_by("yuv422p", is_hwaccel=is_hwaccel)
    assert [decoded.is_device(picture) for _ in range(3)] == [False] * 3
    assert caplog.messages == [
        "gate: the device does not decode its video (h264 yuv422p); it is decoded in software"
    ]


def test_a_picture_that_a_device_decoded(caplog: pytest.LogCaptureFixture) -> None:
    assert decoded_by("vaapi").is_device(av.VideoFrame(64, 48, "nv12"))
    assert caplog.text == ""


def test_each_source_has_its_own() -> None:
    sources = (NamedSource("a.mp4", "a", decode="vaapi"), NamedSource("b.mp4", "b"), "c.mp4")
    for shared in (SOFTWARE, "cuda"):
        streams = stream_inputs(StreamConfig(source=sources, decode=shared))
        decoders = [cast(Any, one.open).keywords["decode"] for one in streams]
        assert decoders == ["vaapi", shared, shared]
        assert [one.settings and one.settings.decode for one in streams] == decoders


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"decode is 'gpu'; expected none, auto, cuda, vaapi"):
        StreamConfig(decode="gpu")
    with pytest.raises(ConfigError, match=r"source gate: decode is 'gpu'; expected none, auto"):
        StreamConfig(source=(NamedSource("a.mp4", "gate", decode="gpu"),))


def test_results_of_an_archive_do_not_depend_on_it() -> None:
    config = StreamConfig()
    model = Model(Path("bundle"), "digest", "openvino", None, None, config)
    other = dataclasses.replace(model, config=dataclasses.replace(config, decode="cuda"))
    assert other.settings() == model.settings()
