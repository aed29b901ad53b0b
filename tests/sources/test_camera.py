from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from itertools import count, islice, pairwise
from pathlib import Path

import av
import pytest

from ecolite_stream.errors import SourceError
from ecolite_stream.sources import CameraSource, may_be_live, open_source
from ecolite_stream.sources.camera import CAMERA_SYSTEMS, CameraSystem, camera_device
from tests.fakes import read_in_thread

pytestmark = pytest.mark.timeout(30)

# FFmpeg's test picture at the pace of a camera, read as a device.
VIRTUAL = CameraSystem("lavfi", "testsrc=size=320x240:rate=30,realtime,setpts=PTS+{}".format)


def ticking(*readings_s: float) -> Iterator[float]:
    yield from readings_s
    while True:
        yield readings_s[-1]


def test_frames_have_the_times_of_the_camera_and_of_their_arrival() -> None:
    readings_s = count(100.0, 0.001)
    with CameraSource(1, system=VIRTUAL, clock=lambda: next(readings_s)) as source:
        frames = list(islice(source, 5))
        assert source.live
        assert source.name == "camera:1"
    assert [frame.index for frame in frames] == list(range(5))
    assert frames[0].time_s == 0.0
    assert [frame.time_s for frame in frames] == pytest.approx([n / 30 for n in range(5)])
    arrivals_s = [frame.arrived_s or 0.0 for frame in frames]
    assert all(a < b for a, b in pairwise(arrivals_s))
    assert 100 < arrivals_s[0] < arrivals_s[-1] < 101
    assert frames[0].image.shape == (240, 320, 3)


def test_a_camera_can_be_closed_while_it_is_read() -> None:
    source = CameraSource(system=VIRTUAL)
    reader, began = read_in_thread(source)
    assert began.wait(10)
    source.close()
    reader.join(10)
    assert not reader.is_alive()
    assert list(source) == []


def test_an_absent_camera_is_told_with_those_that_exist(tmp_path: Path) -> None:
    absent = CameraSystem("v4l2", str(tmp_path / "video{}").format, devices=(tmp_path, "video*"))
    with pytest.raises(SourceError) as caught:
        CameraSource(3, system=absent)
    assert str(caught.value) == (
        f"camera:3: no such camera; plug one in (there is no {tmp_path}/video*)"
    )
    (tmp_path / "video0").touch()
    (tmp_path / "video2").touch()
    with pytest.raises(SourceError) as caught:
        CameraSource(3, system=absent)
    assert str(caught.value).endswith(f"(there are {tmp_path}/video0, {tmp_path}/video2)")


def test_what_is_no_camera(tmp_path: Path) -> None:
    (tmp_path / "video0").write_bytes(b"a file")
    system = CameraSystem("v4l2", str(tmp_path / "video{}").format, devices=(tmp_path, "video*"))
    with pytest.raises(SourceError, match="is not a camera"):
        CameraSource(0, system=system)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EBUSY, "another program uses the camera"), (errno.EACCES, "may not use the camera")],
)
def test_a_camera_that_refuses(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        av.error.err_check(-number)

    monkeypatch.setattr("av.open", refuse)
    with pytest.raises(SourceError, match=words):
        CameraSource(system=VIRTUAL)


def test_a_format_that_pyav_lacks() -> None:
    with pytest.raises(SourceError, match="cannot read cameras on this system"):
        CameraSource(system=CameraSystem("no-such-format", str))


def test_an_unknown_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(SourceError, match="plan9, expected one of linux, darwin, win32"):
        open_source("camera")


def test_where_cameras_are() -> None:
    assert CAMERA_SYSTEMS["linux"].format == "v4l2"
    assert CAMERA_SYSTEMS["linux"].locate(1) == "/dev/video1"
    assert CAMERA_SYSTEMS["darwin"].format == "avfoundation"
    assert CAMERA_SYSTEMS["darwin"].locate(1) == "1"
    assert CAMERA_SYSTEMS["win32"].format == "dshow"


@pytest.mark.parametrize(
    ("spec", "number"), [("camera", 0), ("camera:", 0), ("camera:2", 2), ("/dev/video7", 7)]
)
def test_specs(monkeypatch: pytest.MonkeyPatch, spec: str, number: int) -> None:
    seen: list[int] = []
    system = CameraSystem("lavfi", lambda n: seen.append(n) or "testsrc")  # type: ignore[func-returns-value]
    monkeypatch.setattr("ecolite_stream.sources.camera.CAMERA_SYSTEMS", {sys.platform: system})
    with open_source(spec) as source:
        assert source.name == spec
    assert seen == [number]


def test_a_camera_has_a_number() -> None:
    with pytest.raises(SourceError, match="the camera is 'front', expected a number"):
        open_source("camera:front")


class StutteringContainer:
    """A device that says "not yet" between pictures, as macOS does."""

    def __init__(self, inner: av.container.InputContainer, not_yet: int) -> None:
        self._inner = inner
        self._packets = inner.demux()
        self._not_yet = not_yet

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def demux(self) -> Iterator[object]:
        for _ in range(2):
            yield next(self._packets)
        if self._not_yet:
            self._not_yet -= 1
            av.error.err_check(-errno.EAGAIN)


def stutter(monkeypatch: pytest.MonkeyPatch, not_yet: int) -> None:
    opener = av.open
    monkeypatch.setattr(
        "av.open", lambda *args, **kwargs: StutteringContainer(opener(*args, **kwargs), not_yet)
    )


def test_a_device_that_has_no_picture_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stutter(monkeypatch, not_yet=2)
    with CameraSource(
        system=CameraSystem("lavfi", "testsrc=duration=1,setpts=PTS+{}".format)
    ) as source:
        assert [frame.index for frame in source] == list(range(6))


def test_a_device_that_stays_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stutter(monkeypatch, not_yet=2)
    clock = ticking(0.0, 0.1, 0.2, 0.3, 0.4, 99.0)
    source = CameraSource(
        system=CameraSystem("lavfi", "testsrc=duration=1,setpts=PTS+{}".format),
        clock=lambda: next(clock),
        read_timeout_s=10.0,
    )
    with pytest.raises(SourceError, match="no pictures in time"), source:
        list(source)


@pytest.mark.parametrize(
    ("spec", "device"),
    [
        ("/dev/video3", 3),
        ("/dev/v4l/by-id/usb-046d_C920_1234-video-index0", None),
        ("/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0", None),
        ("/dev/no_such_door_camera", None),
    ],
)
def test_devices_that_are_cameras(spec: str, device: int | None) -> None:
    """Unplugged ones too: their links are missing then."""
    assert camera_device(spec) == (spec if device is None else device)
    assert may_be_live(spec)


def test_links_lead_to_cameras(tmp_path: Path) -> None:
    """As udev's rules make them; this one's camera is unplugged."""
    link = tmp_path / "door"
    link.symlink_to("/dev/video251")
    assert camera_device(str(link)) == str(link)
    assert may_be_live(str(link))


def test_what_is_no_device_of_a_camera(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"film")
    (tmp_path / "link").symlink_to(tmp_path / "film.mp4")
    for path in ("film.mp4", "link", "missing.mp4"):
        assert camera_device(str(tmp_path / path)) is None
    for spec in ("/dev/zero", "/dev/null", "/dev/stdin", "/dev/shm/film.mp4", "a\0b", ""):
        assert camera_device(spec) is None
        assert not may_be_live(spec)


def test_a_device_is_opened_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def refuse(location: str, **how: object) -> None:
        opened.append((location, how["format"]))
        av.error.err_check(-errno.ENOENT)

    monkeypatch.setattr("av.open", refuse)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(SourceError, match=r"^/dev/v4l/by-id/door: no such camera") as caught:
        open_source("/dev/v4l/by-id/door")
    assert opened == [("/dev/v4l/by-id/door", "v4l2")]
    assert not caught.value.permanent
