"""Where an RTSP camera sends its viewers: FFmpeg would take user and password along to any host."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import socket
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import unquote

from ecolite_stream.errors import SourceError

_PORTS = {"rtsp": 554, "rtspu": 554, "rtsps": 322}
_WAIT_S = 4.0
_MOST_BYTES = 65536
_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True)
class _Camera:
    scheme: str
    user: str = field(repr=False)
    password: str = field(repr=False)
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
        user, _, password = given.partition(":")
        port = int(match[2] or _PORTS[scheme.lower()])
        plain = "rtsps" if scheme.lower() == "rtsps" else "rtsp"
        shown = f"{plain}://{rest[len(given) + 1 :]}"
        return cls(
            plain, unquote(user), unquote(password), match[1].strip("[]").lower(), port, shown
        )


def check_redirect(url: str, name: str) -> None:
    """Refuse a camera that sends its viewer, with user and password, to another host.

    It is asked as FFmpeg asks it, first without credentials. What else is wrong with it is left
    for FFmpeg to find; a URL without credentials is not asked at all.

    Args:
        url: of the camera, with credentials.
        name: as people are shown it.

    Raises:
        SourceError: it answers with a redirection to another host.
    """
    camera = _Camera.of(url)
    if camera is None:
        return
    try:
        location = _location(camera)
    except (OSError, ValueError):
        return
    other = re.match(r"[a-z]+://(?:[^/?#]*@)?(\[[^\]]+\]|[^:/?#]+)", location, re.IGNORECASE)
    if other is not None and other[1].strip("[]").lower() != camera.host:
        host = other[1] if other[1].isprintable() else "one with an unprintable name"
        raise SourceError(
            f"{name}: the camera sends its viewer to another host, {host}, which must not get the "
            "user and password; if that is right, make that host the source"
        )


def _location(camera: _Camera) -> str:
    """Where it sends its viewer; an empty text for nowhere.

    Raises:
        OSError: it cannot be reached, or does not answer in time.
        ValueError: its answer is none.
    """
    deadline_s = time.monotonic() + _WAIT_S
    with socket.create_connection((camera.host, camera.port), timeout=_WAIT_S) as plain:
        connection = _encrypted(plain, camera.host) if camera.scheme == "rtsps" else plain
        with connection:
            answer = _ask(connection, camera.url, 1, "", deadline_s)
            challenge = _header(answer, "WWW-Authenticate")
            if _status(answer) == 401 and challenge:
                answer = _ask(
                    connection, camera.url, 2, _authorization(camera, challenge), deadline_s
                )
    return _header(answer, "Location") if 300 <= _status(answer) < 400 else ""


def _encrypted(plain: socket.socket, host: str) -> socket.socket:
    """As FFmpeg does it: cameras have certificates that they signed themselves."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)


def _ask(
    connection: socket.socket, url: str, number: int, authorization: str, deadline_s: float
) -> str:
    """The head of the answer to DESCRIBE; of bounded size, and by the deadline."""
    given = f"Authorization: {authorization}\r\n" if authorization else ""
    request = f"DESCRIBE {url} RTSP/1.0\r\nCSeq: {number}\r\nAccept: application/sdp\r\n{given}\r\n"
    connection.sendall(request.encode())
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
    """The first of that name; an empty text where there is none. Digest goes before Basic."""
    pattern = rf"^{name}:[ \t]*(.*?)[ \t\r]*$"
    found: list[str] = re.findall(pattern, answer, re.IGNORECASE | re.MULTILINE)
    found.sort(key=lambda text: not text.lower().startswith("digest"))
    return found[0] if found else ""


def _authorization(camera: _Camera, challenge: str) -> str:
    """What user and password answer to a challenge."""
    if challenge.lower().startswith("basic"):
        return "Basic " + base64.b64encode(f"{camera.user}:{camera.password}".encode()).decode()
    asked = {key.lower(): quoted or bare for key, quoted, bare in _PARAMETER.findall(challenge)}
    realm, nonce = asked.get("realm", ""), asked.get("nonce", "")
    secret = _md5(f"{camera.user}:{realm}:{camera.password}")
    request = _md5(f"DESCRIBE:{camera.url}")
    parts = {"username": camera.user, "realm": realm, "nonce": nonce, "uri": camera.url}
    if "auth" in asked.get("qop", "").split(","):
        own = secrets.token_hex(8)
        parts["response"] = _md5(f"{secret}:{nonce}:00000001:{own}:auth:{request}")
        extra = f', qop=auth, nc=00000001, cnonce="{own}"'
    else:
        parts["response"], extra = _md5(f"{secret}:{nonce}:{request}"), ""
    return "Digest " + ", ".join(f'{key}="{value}"' for key, value in parts.items()) + extra


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
