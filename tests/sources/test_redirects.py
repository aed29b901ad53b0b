"""A camera or server that sends its viewer elsewhere does not get user and password sent there."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ecolite_stream.errors import SourceError
from ecolite_stream.sources import open_source
from ecolite_stream.sources.rtsp_redirect import redirect_checked

pytestmark = pytest.mark.timeout(30)

Requests = list[str]


@contextmanager
def server(answer: Callable[[str], str]) -> Iterator[tuple[int, Requests]]:
    """Answers requests of RTSP or HTTP, on loopback; its port, and what it was asked."""
    asked: Requests = []

    def talk(connection: socket.socket) -> None:
        with connection:
            rest = b""
            while True:
                try:
                    piece = connection.recv(4096)
                except OSError:
                    return
                if not piece:
                    return
                rest += piece
                while b"\r\n\r\n" in rest:
                    head, _, rest = rest.partition(b"\r\n\r\n")
                    asked.append(head.decode())
                    number = re.search(rb"CSeq: *(\d+)", head, re.IGNORECASE)
                    tag = f"CSeq: {number[1].decode()}\r\n" if number else ""
                    status, _, headers = answer(asked[-1]).partition("\r\n")
                    connection.sendall(f"{status}\r\n{tag}{headers}\r\n".encode())

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    listener = socket.create_server(("0.0.0.0", 0))
    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


BASIC = 'RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="cam"\r\n'


def moved(port: int, host: str = "127.0.0.2") -> str:
    return f"RTSP/1.0 302 Moved\r\nLocation: rtsp://{host}:{port}/live\r\n"


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE"])
def test_a_camera_that_moved_to_another_host(method: str) -> None:
    with server(lambda request: BASIC) as (elsewhere, stolen):

        def answer(request: str) -> str:
            return moved(elsewhere) if request.startswith(method) else "RTSP/1.0 200 OK\r\n"

        with (
            server(answer) as (port, asked),
            pytest.raises(SourceError, match=r"to another host, 127\.0\.0\.2") as caught,
        ):
            open_source(f"rtsp://me:secret@127.0.0.1:{port}/live", open_timeout_s=5)
    assert "secret" not in str(caught.value)
    assert stolen == []
    assert asked[-1].startswith(f"{method} rtsp://127.0.0.1:{port}/live RTSP/1.0")
    assert not any("authorization" in request.lower() for request in asked)


def check_redirect(url: str, name: str) -> None:
    with redirect_checked(url, name):
        pass


def test_another_port_of_the_same_host_is_no_other() -> None:
    with server(lambda request: moved(554, "127.0.0.1")) as (port, asked):
        check_redirect(f"rtsp://me:secret@127.0.0.1:{port}/live", "cam")
    assert len(asked) == 1


@pytest.mark.parametrize("url", ["rtsp://127.0.0.1:{}/live", "http://me:x@127.0.0.1:{}/live"])
def test_what_has_no_password_to_lose_is_not_asked(url: str) -> None:
    with server(lambda request: BASIC) as (port, asked):
        check_redirect(url.format(port), "cam")
    assert asked == []


@pytest.mark.parametrize("answer", ["garbage\r\n", "RTSP/1.0 200 OK\r\n", "RTSP/1.0 404 No\r\n"])
def test_what_else_is_wrong_is_left_to_ffmpeg(answer: str) -> None:
    with server(lambda request: answer) as (port, _):
        check_redirect(f"rtsp://me:secret@127.0.0.1:{port}/live", "cam")


def test_the_connection_is_held_where_the_stream_is_described() -> None:
    """GStreamer's server refuses the next viewer if the first leaves before its encoder runs."""
    left = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while connection.recv(4096):
                    connection.sendall(b"RTSP/1.0 200 OK\r\n\r\n")
                left.set()

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        with redirect_checked(f"rtsp://me:secret@127.0.0.1:{port}/live", "cam"):
            assert not left.wait(0.1)
        assert left.wait(10)


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        check_redirect(f"rtsp://me:secret@127.0.0.1:{free.getsockname()[1]}/live", "cam")


def test_an_answer_without_an_end_is_bounded() -> None:
    endless = "RTSP/1.0 200 OK\r\n" + "X: " + "y" * 200_000
    with server(lambda request: endless.replace("\r\n\r\n", "")) as (port, _):
        check_redirect(f"rtsp://me:secret@127.0.0.1:{port}/live", "cam")


def test_a_web_camera_that_moved_to_another_host() -> None:
    """FFmpeg itself leaves the password behind."""
    closed = "Connection: close\r\nContent-Length: 0\r\n"
    locked = f'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="cam"\r\n{closed}'
    with server(lambda request: locked) as (elsewhere, stolen):
        location = f"Location: http://127.0.0.2:{elsewhere}/live\r\n"

        def answer(request: str) -> str:
            has = "Authorization" in request
            return f"HTTP/1.1 302 Moved\r\n{location}{closed}" if has else locked

        with server(answer) as (port, asked), pytest.raises(SourceError):
            open_source(f"http://me:secret@127.0.0.1:{port}/live", open_timeout_s=5)
    assert any("Authorization" in request for request in asked)
    assert stolen
    assert not any("authorization" in request.lower() for request in stolen)
