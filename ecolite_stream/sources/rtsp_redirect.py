"""Refuse RTSP redirects to another host: FFmpeg would send user and password there."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ecolite_stream.errors import SourceError

_PORTS = {"rtsp": 554, "rtspu": 554, "rtsps": 322}
_WAIT_S = 4.0
_MOST_BYTES = 65536
_OK = 200


@dataclass(frozen=True)
class _Camera:
    scheme: str
    host: str
    port: int
    url: str
    """Without credentials, as requests name it."""

    @classmethod
    def of(cls, url: str) -> _Camera | None:
        """The camera of a URL with credentials, None without."""
        scheme, _, rest = url.partition("://")
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        given, at, place = authority.rpartition("@")
        match = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::(\d*))?", place)
        if scheme.lower() not in _PORTS or not at or match is None:
            return None
        port = int(match[2] or _PORTS[scheme.lower()])
        plain = "rtsps" if scheme.lower() == "rtsps" else "rtsp"
        host = match[1].strip("[]").lower()
        return cls(plain, host, port, f"{plain}://{rest[len(given) + 1 :]}")


@contextlib.contextmanager
def redirect_checked(url: str, name: str) -> Iterator[None]:
    """Refuse a camera that sends its viewer, with user and password, to another host.

    It is asked as FFmpeg begins to ask it: OPTIONS and DESCRIBE, without credentials. One that
    redirects only those who have shown their password is not found: to ask so far makes servers
    start and stop their encoder. What else is wrong is left for FFmpeg to find. A URL without
    credentials is not asked at all.

    Args:
        url: of the camera; it is opened within this context.
        name: as people are shown it.

    Raises:
        SourceError: it answers with a redirection to another host.
    """
    camera = _Camera.of(url)
    with contextlib.ExitStack() as held:
        location = ""
        if camera is not None:
            # A connection that fails, or an answer that is none, FFmpeg explains better.
            with contextlib.suppress(OSError, ValueError):
                location = _location(camera, held)
        other = re.match(r"[a-z]+://(?:[^/?#]*@)?(\[[^\]]+\]|[^:/?#]+)", location, re.IGNORECASE)
        if camera is not None and other and other[1].strip("[]").lower() != camera.host:
            host = other[1] if other[1].isprintable() else "one with an unprintable name"
            raise SourceError(
                f"{name}: the camera sends its viewer to another host, {host}, which must not get "
                "the user and password; if that is right, make that host the source"
            )
        yield


def _location(camera: _Camera, held: contextlib.ExitStack) -> str:
    """Where it sends its viewer; an empty text for nowhere.

    Where it describes its stream to anybody, the connection is held: closed in the middle of
    that, servers refuse the next one.

    Raises:
        OSError: it cannot be reached, or does not answer in time.
        ValueError: its answer is none.
    """
    deadline_s = time.monotonic() + _WAIT_S
    with contextlib.ExitStack() as closing:
        connection = socket.create_connection((camera.host, camera.port), timeout=_WAIT_S)
        closing.enter_context(connection)
        if camera.scheme == "rtsps":
            connection = closing.enter_context(_encrypted(connection, camera.host))
        for number, method in enumerate(("OPTIONS", "DESCRIBE"), start=1):
            answer = _ask(connection, f"{method} {camera.url}", number, deadline_s)
            if 300 <= _status(answer) < 400:
                return _header(answer, "Location")
        if _status(answer) == _OK:
            held.push(closing.pop_all())
    return ""


def _encrypted(plain: socket.socket, host: str) -> ssl.SSLSocket:
    """As FFmpeg does it: cameras have certificates that they signed themselves."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)


def _ask(connection: socket.socket, request: str, number: int, deadline_s: float) -> str:
    """The head of the answer; of bounded size, and by the deadline."""
    words = f"{request} RTSP/1.0\r\nCSeq: {number}\r\nAccept: application/sdp\r\n\r\n"
    connection.sendall(words.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or len(answer) > _MOST_BYTES:
            raise TimeoutError
        connection.settimeout(left_s)
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionResetError
        answer += piece
    return answer.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")


def _status(answer: str) -> int:
    match = re.match(r"RTSP/\d\.\d (\d{3})", answer)
    if match is None:
        raise ValueError("no answer of an RTSP server")
    return int(match[1])


def _header(answer: str, name: str) -> str:
    """The first of that name; an empty text where there is none."""
    match = re.search(rf"^{name}:[ \t]*(.*?)[ \t\r]*$", answer, re.IGNORECASE | re.MULTILINE)
    return match[1] if match else ""
