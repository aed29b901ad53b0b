"""Files on web servers: a recording, even where the file itself says no length."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ecolite_stream.errors import SourceError
from ecolite_stream.sources import open_source
from tests.sources.test_url import MULTIPART, http_server
from tests.videos import numbered_image, read_number

pytestmark = pytest.mark.timeout(30)

NUM_FRAMES = 40


class Pipe(io.RawIOBase):
    """Cannot be sought, as what a browser records into: no length gets into the header."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.content += data
        return len(data)


def piped(
    container_format: str,
    codec: str,
    pixels: str = "yuv420p",
    size: tuple[int, int] = (160, 120),
    **options: str,
) -> bytes:
    """A video written to a pipe."""
    pipe = Pipe()
    with av.open(pipe, "w", format=container_format, options=options) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt, stream.codec_context.time_base = pixels, Fraction(1, 25)
        for index in range(NUM_FRAMES):
            picture = av.VideoFrame.from_ndarray(numbered_image(index, size), "bgr24")
            picture.pts = index
            container.mux(stream.encode(picture.reformat(format=pixels, threads=1)))
        container.mux(stream.encode(None))
    return pipe.content


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: piped("webm", "libvpx", live="1"), id="a browser's WebM"),
        pytest.param(lambda: piped("gif", "gif", "rgb8"), id="GIF"),
        pytest.param(lambda: piped("flv", "flv"), id="FLV"),
        pytest.param(lambda: piped("mjpeg", "mjpeg", "yuvj420p"), id="bare JPEGs"),
        pytest.param(
            lambda: piped("mp4", "libx264", movflags="frag_keyframe+empty_moov"),
            id="fragmented MP4",
        ),
    ],
)
def test_what_says_its_size_is_a_recording(content) -> None:  # type: ignore[no-untyped-def]
    with (
        http_server(content(), "application/octet-stream") as url,
        open_source(f"{url}/video") as source,
    ):
        assert not source.live
        frames = list(source)
    assert [read_number(frame.image) for frame in frames] == list(range(NUM_FRAMES))
    assert frames[-1].time_s == pytest.approx((NUM_FRAMES - 1) / 25, abs=0.05)


def test_an_index_that_stands_last_on_a_server_without_ranges() -> None:
    """FFmpeg would have to go back from there; the file itself is whole."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    whole = io.BytesIO()
    with av.open(whole, "w", format="mov") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "rgb24"
        for _ in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "rgb24")))
        container.mux(stream.encode(None))
    with (
        http_server(whole.getvalue(), "video/mp4") as url,
        pytest.raises(SourceError, match=r"index may stand last.*\+faststart"),
        open_source(f"{url}/video") as source,
    ):
        list(source)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
@pytest.mark.parametrize("path", ["/video/snap", "/video/image.jpg"])
def test_a_snapshot_address_is_no_stream(suffix: str, path: str) -> None:
    content = cv2.imencode(suffix, numbered_image(1))[1].tobytes()
    with (
        http_server(content, "image/jpeg") as url,
        pytest.raises(
            SourceError, match="one picture a request, no stream; use the camera's RTSP"
        ) as caught,
    ):
        open_source(url + path)
    assert caught.value.permanent


def test_a_picture_without_an_end_is_broken_off() -> None:
    """The limit is one of time for each picture: bytes that keep coming do not extend it."""
    head = b"--next\r\nContent-Type: image/jpeg\r\n\r\n"
    image = cv2.imencode(".jpg", numbered_image(0))[1].tobytes()
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: " + MULTIPART.encode())
                connection.sendall(b"\r\n\r\n" + (head + image + b"\r\n") * 20 + head)
                while not stop.wait(0.01):
                    connection.sendall(image[:100])

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(SourceError, match="no answer in time"):
            for _ in open_source(url, read_timeout_s=0.5):
                pass
        stop.set()
        thread.join(10)


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    header = struct.pack(">IIBBBBB", 16000, 16000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    pixels = b"IDAT" + zlib.compress(bytes(1000))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
            for part in (chunk, pixels, b"IEND")
        )
    )
    with pytest.raises(
        SourceError, match=r"pictures of 16000x16000 pixels, expected at most 34 mil"
    ):
        open_source(str(path))


def test_a_picture_that_grows_is_damaged_not_decoded(tmp_path: Path) -> None:
    """The first says what the stream is; a later one must not take more memory than that may."""
    small, large = tmp_path / "a.mjpeg", np.zeros((6400, 6400), np.uint8)
    pictures = [numbered_image(0), large, numbered_image(1)]
    small.write_bytes(b"".join(cv2.imencode(".jpg", image)[1].tobytes() for image in pictures))
    with open_source(str(small)) as source:
        assert {frame.image.shape for frame in source} == {(120, 160, 3)}
