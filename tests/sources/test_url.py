from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, islice
from pathlib import Path

import cv2
import pytest

from ecolite_stream.errors import SourceError
from ecolite_stream.sources import UrlSource, check_spec, open_source
from ecolite_stream.sources import url as url_module
from tests.fakes import read_in_thread
from tests.videos import numbered_image, read_number, write_numbered_video

pytestmark = pytest.mark.timeout(30)

TOKEN = "token=hush"
MULTIPART = "multipart/x-mixed-replace; boundary=next"


@contextmanager
def http_server(content: bytes, content_type: str, *, missing: int = 0) -> Iterator[str]:
    """A web server on loopback; it stops sending where the content ends, or bytes before."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/private") and "Authorization" not in self.headers:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.send_header("Connection", "close")
                self.end_headers()
            elif self.path.startswith(("/video", "/private")):
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                if content_type != "video/mp2t":  # without a length, it ends when it ends
                    self.send_header("Content-Length", str(len(content) + missing))
                self.end_headers()
                self.wfile.write(content)
            else:
                self.send_error(500 if self.path.startswith("/broken") else 404)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://me:secret@127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture(scope="module")
def transport_stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("url") / "film.ts"
    return write_numbered_video(path, 60, codec="libx264").read_bytes()


@pytest.fixture
def server(transport_stream: bytes) -> Iterator[str]:
    with http_server(transport_stream, "video/mp2t") as url:
        yield url


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_transport_stream_is_live(server: str) -> None:
    with UrlSource(f"{server}/video?{TOKEN}", clock=lambda: 100.0) as source:
        frames = list(source)
        assert source.live
        assert source.name == f"{server}/video?token=***".replace("me:secret@", "")
    assert [read_number(frame.image) for frame in frames] == list(range(60))
    # All in no time, and yet as far apart as they were taken.
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(60)])
    assert {frame.arrived_s for frame in frames} == {100.0}


def multipart(num_frames: int) -> bytes:
    parts = []
    for number in range(num_frames):
        image = cv2.imencode(".jpg", numbered_image(number))[1].tobytes()
        parts.append(
            b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
            % (len(image), image)
        )
    return b"".join(parts)


def test_mjpeg_as_web_cameras_send_it() -> None:
    readings_s = count(100)
    with (
        http_server(multipart(30), MULTIPART) as url,
        UrlSource(f"{url}/video", clock=lambda: float(next(readings_s))) as source,
    ):
        assert source.live
        frames = list(source)
    assert [read_number(frame.image) for frame in frames] == list(range(30))
    # The format has no timestamps: times are those of arrival.
    arrivals_s = [frame.arrived_s or 0.0 for frame in frames]
    assert [frame.time_s for frame in frames] == [a - arrivals_s[0] for a in arrivals_s]
    assert arrivals_s[-1] - arrivals_s[0] >= 29


@pytest.mark.parametrize("live", [True, False])
def test_hls(tmp_path: Path, live: bool) -> None:
    """A list of pieces that may still grow is live, one that is complete is a recording."""
    write_numbered_video(tmp_path / "0.ts", 50, codec="libx264")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2.0,", "0.ts"]
    (tmp_path / "list.m3u8").write_text("\n".join([*lines, *["#EXT-X-ENDLIST"] * (not live), ""]))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with open_source(f"http://127.0.0.1:{server.server_port}/list.m3u8") as source:
            assert source.live is live
            numbers = [read_number(frame.image) for frame in islice(source, 40)]
        server.shutdown()
    assert numbers == list(range(40))


def ends(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "the stream ended" in r.getMessage()]


def test_the_end_of_a_live_stream_is_said(server: str, caplog: pytest.LogCaptureFixture) -> None:
    with UrlSource(f"{server}/video?{TOKEN}", name="door", clock=lambda: 100.0) as source:
        assert len(list(source)) == 60
    assert ends(caplog) == [
        "door: the stream ended after 2.4 s; if it should go on, see why its sender stopped"
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_closing_a_live_stream_is_no_end(server: str, caplog: pytest.LogCaptureFixture) -> None:
    with UrlSource(f"{server}/video") as source:
        next(source)
    assert list(source) == []
    assert not ends(caplog)


def test_a_live_web_stream_that_breaks_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    numbers = []
    with http_server(multipart(10), MULTIPART, missing=5000) as url:
        source = UrlSource(f"{url}/video?{TOKEN}")
        assert source.live
        with pytest.raises(SourceError, match="the connection broke") as caught, source:
            for frame in source:
                numbers.append(read_number(frame.image))
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 9
    assert "secret" not in str(caught.value)
    assert "hush" not in str(caught.value)
    assert not ends(caplog)


def test_a_file_on_a_web_server_is_a_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_numbered_video(tmp_path / "film.mp4", 50, codec="libx264", movflags="faststart")
    with (
        http_server(path.read_bytes(), "video/mp4") as url,
        open_source(f"{url}/video") as source,
    ):
        assert not source.live
        frames = list(source)
    assert not caplog.records
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(50)])
    assert [read_number(frame.image) for frame in frames] == list(range(50))


def test_raw_tcp(transport_stream: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(transport_stream)

        thread = threading.Thread(target=serve)
        thread.start()
        with open_source(f"tcp://127.0.0.1:{listener.getsockname()[1]}") as source:
            assert [read_number(frame.image) for frame in source] == list(range(60))
        thread.join(10)


def test_the_password_is_sent_but_not_shown(server: str) -> None:
    with open_source(f"{server}/private") as source:  # FFmpeg answers the 401 with it
        assert "secret" not in source.name
        assert next(source).index == 0


@pytest.mark.parametrize(
    ("path", "words"), [("/nothing", "404"), ("/broken", "5xx"), ("/private", "401")]
)
def test_refusals_are_explained(server: str, path: str, words: str) -> None:
    url = server.replace("me:secret@", "") if path == "/private" else server
    with pytest.raises(SourceError) as caught:
        open_source(f"{url}{path}?{TOKEN}")
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "hush" not in str(caught.value)
    assert caught.value.__suppress_context__  # FFmpeg's error repeats the URL


@pytest.mark.parametrize("scheme", ["http", "rtsp", "tcp", "rtmp"])
def test_nobody_listens(scheme: str) -> None:
    with pytest.raises(SourceError, match=r"//127\.0\.0\.1:\d+/live: connection refused"):
        open_source(f"{scheme}://me:secret@127.0.0.1:{free_port()}/live")


@pytest.mark.parametrize("scheme", ["http", "rtsp", "tcp", "udp"])
def test_a_server_that_never_answers(scheme: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(SourceError, match="no answer in time"),
    ):
        open_source(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/", open_timeout_s=0.2)


# In a process of its own: PyAV holds the interpreter's lock while it waits for the other end.
RTSP_SENDER = """
import sys, time
import av
from tests.videos import numbered_image
for _ in range(500):
    try:
        with av.open(sys.argv[1], "w", format="rtsp", options={"rtsp_transport": "tcp"}) as out:
            stream = out.add_stream("libx264", rate=25, options={"bf": "0", "tune": "zerolatency"})
            stream.width, stream.height = 160, 120
            for index in range(60):
                frame = av.VideoFrame.from_ndarray(numbered_image(index), "bgr24")
                frame.pts = index
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        break
    except ConnectionRefusedError:
        time.sleep(0.02)
"""


def test_rtsp_carries_every_frame(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # FFmpeg has no RTSP server, but its reader can let a sender come to it.
    listen = {"rtsp_transport": "tcp", "rtsp_flags": "listen", "listen_timeout": "20"}
    monkeypatch.setitem(url_module._OPTIONS, "rtsp", listen)
    url = f"rtsp://127.0.0.1:{free_port()}/live"
    with subprocess.Popen([sys.executable, "-c", RTSP_SENDER, url]) as sender:
        try:
            with UrlSource(url, open_timeout_s=20) as source:
                assert source.live
                assert [read_number(frame.image) for frame in source] == list(range(60))
        finally:
            sender.kill()
    assert len(ends(caplog)) == 1


def test_rtsp_that_wants_a_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as requests:
                number = b"1"
                for line in requests:
                    if line.lower().startswith(b"cseq:"):
                        number = line.split(b":")[1].strip()
                    if line == b"\r\n":
                        connection.sendall(b"RTSP/1.0 401 No\r\nCSeq: %s\r\n\r\n" % number)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(SourceError, match="401"):
            open_source(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live")
        thread.join(10)


def test_a_stream_that_falls_silent(transport_stream: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(transport_stream)
                done.wait(20)

        thread = threading.Thread(target=serve)
        thread.start()
        source = UrlSource(
            f"tcp://127.0.0.1:{listener.getsockname()[1]}", open_timeout_s=10, read_timeout_s=0.3
        )
        numbers = []
        with pytest.raises(SourceError, match="no answer in time"), source:
            for frame in source:
                numbers.append(read_number(frame.image))
        done.set()
        thread.join(10)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 50


def test_a_silent_stream_can_be_closed(transport_stream: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(transport_stream)
                done.wait(20)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        source = UrlSource(url, read_timeout_s=1.0)
        reader, began = read_in_thread(source)
        assert began.wait(10)
        source.close()  # the thread may be in the middle of a read
        reader.join(20)
        assert not reader.is_alive()
        done.set()
        thread.join(10)


def test_what_is_not_video() -> None:
    with (
        http_server(b"<html>Welcome</html>" * 100, "text/html") as url,
        pytest.raises(SourceError, match="what it sends is not video"),
    ):
        open_source(f"{url}/video")


def test_an_unknown_kind_of_url() -> None:
    with pytest.raises(SourceError) as caught:
        open_source("webrtc://me:secret@cam/live")
    assert str(caught.value).startswith("webrtc://cam/live: unknown kind of URL webrtc://")
    assert "rtsp://, rtspu://, rtsps://, http://" in str(caught.value)


def test_what_is_no_url_is_not_shown() -> None:
    with pytest.raises(SourceError) as caught:
        UrlSource("me:secret@cam/live")
    assert str(caught.value) == "a URL without ://; write it as in rtsp://HOST/PATH"


def test_a_lossy_live_stream_goes_on(
    transport_stream: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    middle = len(transport_stream) // 376 * 188
    torn = transport_stream[:middle] + transport_stream[middle + 188 * 3 :]
    with (
        caplog.at_level(logging.WARNING),
        http_server(torn, "video/mp2t") as url,
        open_source(f"{url}/video") as source,
    ):
        frames = list(source)
    assert len(frames) >= 55
    assert len(caplog.records) - len(ends(caplog)) <= 1


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://host",
        "rtsp://me:p@ss@host:554/a@b:c",
        "RTSP://10.0.0.7:65535/live?x=[",
        "rtsp://[fe80::1%25eth0]:554/live",
        "https://host:/a",
        "rtsp://10.0.0.7:554/a@b",
        "http://cam.local:80/live?mail=me@home",
        "http://cam/live?mail=me@home",
        "rtsp://me:12%2334@host/a#b",
        "udp://:1234",
        "udp://@:1234",
        "rtp://239.0.0.1:5004",
        "tcp://:9000?listen",
    ],
)
def test_addresses_that_could_work(url: str) -> None:
    assert url_module.check_url(url) == url.partition(":")[0].lower()


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp"])
@pytest.mark.parametrize("rest", ["u:12#34@host/live", "u:12/34@host", "u:1?4@host", "u#4:x@host"])
def test_a_password_that_is_not_encoded(scheme: str, rest: str) -> None:
    """FFmpeg would look for the host "u"."""
    with pytest.raises(SourceError, match="percent-encoded") as caught:
        check_spec(f"{scheme}://{rest}")
    assert caught.value.permanent
    assert "34" not in str(caught.value) and "12" not in str(caught.value)
