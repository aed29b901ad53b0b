from __future__ import annotations

import os
import socket
import struct
import wave
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ecolite_stream.errors import SourceError
from ecolite_stream.sources import FileSource, check_spec, open_source
from ecolite_stream.types import Frame
from tests.videos import numbered_image, read_number, write_numbered_video

NUM_FRAMES = 60


def numbers(frames: list[Frame]) -> list[int]:
    return [read_number(frame.image) for frame in frames]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".avi", "mpeg4", {}),
        (".avi", "mpeg4", {"bf": 2}),
        (".avi", "mjpeg", {}),
        (".avi", "libx264", {"bf": 3}),
        (".mp4", "libx264", {"bf": 3}),
        (".mp4", "mpeg4", {"bf": 2}),
        (".mkv", "libx264", {"bf": 3, "g": 1000}),
        (".mkv", "ffv1", {}),
        (".webm", "libvpx-vp9", {"cpu-used": 8, "deadline": "realtime"}),
        (".ts", "libx264", {"bf": 2}),
        (".mpg", "mpeg2video", {}),
        (".flv", "libx264", {"bf": 2}),
        (".mjpeg", "mjpeg", {}),
    ],
)
def test_no_frame_is_lost_doubled_or_reordered(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    suffix: str,
    codec: str,
    options: dict[str, object],
) -> None:
    path = write_numbered_video(tmp_path / f"film{suffix}", NUM_FRAMES, codec=codec, **options)
    with FileSource(path) as source:
        frames = list(source)
    assert numbers(frames) == list(range(NUM_FRAMES))
    assert [frame.index for frame in frames] == list(range(NUM_FRAMES))
    assert [frame.time_s for frame in frames] == pytest.approx(
        [n / 25 for n in range(NUM_FRAMES)], abs=0.001
    )
    assert {frame.stream for frame in frames} == {str(path)}
    assert not caplog.records


def test_a_variable_rate_keeps_its_times(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    times_s = [5.0, 5.04, 5.5, 5.52, 9.0]
    path = write_numbered_video(tmp_path / "film.mkv", 5, times_s=times_s)
    with open_source(str(path)) as source:
        frames = list(source)
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.5, 0.52, 4], abs=0.001)
    assert numbers(frames) == list(range(5))
    assert not caplog.records


def test_a_file_without_timestamps_gets_them_from_its_rate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_numbered_video(tmp_path / "film.h264", 30, codec="libx264")
    with open_source(str(path)) as source:
        frames = list(source)
    assert numbers(frames) == list(range(30))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(30)])
    assert len(caplog.records) == 1
    assert "repaired from the frame rate" in caplog.text


def test_the_resolution_may_change_and_time_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = [
        write_numbered_video(tmp_path / "a.ts", 20, (160, 120), codec="libx264"),
        write_numbered_video(tmp_path / "b.ts", 20, (96, 64), codec="libx264", first=20),
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_source(str(path)) as source:
        frames = list(source)
    assert numbers(frames) == list(range(40))
    assert [frame.image.shape[:2] for frame in frames] == [(120, 160)] * 20 + [(64, 96)] * 20
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(40)])
    assert len(caplog.records) == 1  # the timestamps begin again


@pytest.mark.parametrize(
    "pixel_format",
    ["gray", "gray16le", "yuv444p", "yuv420p", "yuva420p", "yuv422p10le", "bgra"],
)
def test_all_kinds_of_pixels_become_bgr(tmp_path: Path, pixel_format: str) -> None:
    size = (51, 37)  # odd
    path = write_numbered_video(
        tmp_path / "film.mkv", 3, size, codec="ffv1", pixel_format=pixel_format
    )
    with open_source(str(path)) as source:
        frames = list(source)
    assert numbers(frames) == [0, 1, 2]
    assert {(frame.image.shape, frame.image.dtype.name) for frame in frames} == {
        ((37, 51, 3), "uint8")
    }


def test_colours_are_in_the_order_blue_green_red(tmp_path: Path) -> None:
    colour = np.full((16, 16, 3), (200, 100, 20), np.uint8)
    cv2.imwrite(str(tmp_path / "still.png"), colour)
    with open_source(str(tmp_path / "still.png")) as source:
        assert np.array_equal(next(source).image, colour)


def test_pixels_are_converted_once_and_shared_read_only(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "film.avi", 2)
    with open_source(str(path)) as source:
        first = next(source)
        next(source)
    assert first.image is first.image  # also after closing
    assert not first.image.flags.writeable


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tiff"])
def test_a_still_image_is_a_video_of_one_frame(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a %03d 100%{suffix}"
    cv2.imwrite(str(path), numbered_image(77))
    with open_source(str(path)) as source:
        (frame,) = source
    assert (read_number(frame.image), frame.index, frame.time_s) == (77, 0, 0.0)


def test_a_video_of_one_frame(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_numbered_video(tmp_path / "film.mp4", 1, codec="libx264", first=9)
    with open_source(str(path)) as source:
        assert numbers(list(source)) == [9]
    assert not caplog.records


# The four matrices a phone writes, as 16.16 fixed point a, b, c, d; what turns their picture
# upright (OpenCV's words).
ROTATIONS = {
    "upright": ((1, 0, 0, 1), None),
    "quarter right": ((0, 1, -1, 0), cv2.ROTATE_90_CLOCKWISE),
    "half": ((-1, 0, 0, -1), cv2.ROTATE_180),
    "quarter left": ((0, -1, 1, 0), cv2.ROTATE_90_COUNTERCLOCKWISE),
}


@pytest.mark.parametrize("turn", ROTATIONS)
def test_a_phone_video_is_turned_upright(tmp_path: Path, turn: str) -> None:
    (a, b, c, d), upright = ROTATIONS[turn]
    path = write_numbered_video(tmp_path / "film.mp4", 3, (160, 96))
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    unit = 1 << 16
    assert data[matrix : matrix + 4] == struct.pack(">i", unit)
    for offset, value in ((0, a), (4, b), (12, c), (16, d)):
        struct.pack_into(">i", data, matrix + offset, value * unit)
    path.write_bytes(data)
    with open_source(str(path)) as source:
        frame = list(source)[-1]
    expected = numbered_image(2, (160, 96))
    if upright is not None:
        expected = cv2.rotate(expected, upright)
    assert frame.image.shape == expected.shape
    assert frame.image.flags.c_contiguous
    assert np.abs(frame.image.astype(int) - expected).mean() < 20


def write_sound(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(int(seconds * 8000) * 2))
    return path


def test_sound_alone_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds sound but no video"):
        FileSource(write_sound(tmp_path / "a.wav", 0.1))


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    image = tmp_path / "cover.png"
    cv2.imwrite(str(image), numbered_image(1))
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44100)
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 160, 120, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(numbered_image(1), "bgr24")))
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1152), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with av.open(str(path)) as container:
        assert container.streams.video  # FFmpeg shows the cover as one
    with pytest.raises(SourceError, match="holds sound but no video"):
        FileSource(path)


def test_longer_sound_does_not_make_the_video_seem_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height = 160, 120
        sound = container.add_stream("pcm_s16le", rate=8000)
        for index in range(25):
            picture = av.VideoFrame.from_ndarray(numbered_image(index), "bgr24")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for index in range(50):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
            samples.sample_rate, samples.pts = 8000, index * 800
            container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
    with open_source(str(path)) as source:
        assert numbers(list(source)) == list(range(25))
    assert not caplog.records


def test_of_several_videos_the_default_then_the_largest_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    sizes = [(64, 48), (160, 120), (96, 64)]
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=25) for _ in sizes]
        for stream, size in zip(streams, sizes, strict=True):
            stream.width, stream.height = size
        for number, (stream, size) in enumerate(zip(streams, sizes, strict=True)):
            image = av.VideoFrame.from_ndarray(numbered_image(number, size), "bgr24")
            container.mux(stream.encode(image))
            container.mux(stream.encode(None))
    with open_source(str(path)) as source:
        assert numbers(list(source)) == [1]


class TestErrors:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"film\.avi: no such file; check the path"):
            open_source(str(tmp_path / "film.avi"))

    def test_misspelt(self, tmp_path: Path) -> None:
        (tmp_path / "goals.avi").touch()
        with pytest.raises(SourceError, match=r"did you mean goals\.avi\?"):
            open_source(str(tmp_path / "gaols.avi"))

    def test_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "film").touch()
        with pytest.raises(SourceError, match="not a directory"):
            open_source(str(tmp_path / "film" / "a.avi"))

    def test_directory(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="is a directory"):
            open_source(str(tmp_path))

    def test_no_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write_numbered_video(tmp_path / "film.avi", 1)
        monkeypatch.setattr("os.access", lambda *_: False)  # root may read everything
        with pytest.raises(SourceError, match="may not be read"):
            open_source(str(path))

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "film.avi").touch()
        with pytest.raises(SourceError, match="is empty"):
            open_source(str(tmp_path / "film.avi"))

    @pytest.mark.parametrize("name", ["film.avi", "film.txt", "film.srt"])
    def test_text(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n" * 50)
        with pytest.raises(SourceError, match="holds no video"):
            open_source(str(tmp_path / name))

    def test_noise(self, tmp_path: Path) -> None:
        (tmp_path / "film.mp4").write_bytes(np.random.default_rng(0).bytes(30_000))
        with pytest.raises(SourceError, match="holds no video"):
            open_source(str(tmp_path / "film.mp4"))

    def test_nothing_and_a_zero_byte(self) -> None:
        with pytest.raises(SourceError):
            open_source("")
        with pytest.raises(SourceError):
            open_source("a\0b")


@pytest.mark.parametrize("target", ["pipe", "/dev/zero", "/dev/urandom", "socket"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, target: str) -> None:
    """To open a pipe that nobody writes into, or to read such a device, takes for ever."""
    path = tmp_path / "film.mp4"
    if target == "pipe":
        os.mkfifo(path)
    elif target == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to(target)
    for look in (open_source, check_spec):
        with pytest.raises(SourceError, match=r"film\.mp4: is a .*, expected a video file"):
            look(str(path))
