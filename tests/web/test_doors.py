"""Who is let in, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

import aiohttp

from ecolite_stream.web.access import MOST_GUESSES
from ecolite_stream.web.site import MAX_CONNECTIONS, MAX_PER_ADDRESS
from tests.web.asking import ask, connected, next_json, refused_with, upgrade
from tests.web.conftest import Page, served

pytestmark = pytest.mark.timeout(30)

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("path", ["/", "/session", "/static/page.js", "/clips/a.mp4"])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "192.168.1.5"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_other_names_and_other_sites(
    page: Page, path: str, headers: dict[str, str], expected: int
) -> None:
    assert ask(page, path, headers=headers)[0] == expected


def test_other_sites_get_no_connection(page: Page) -> None:
    assert refused_with(page, {"Origin": "http://evil.example"}) == 403
    assert refused_with(page, {"Host": "evil.example"}) == 421
    own = {"Origin": f"http://127.0.0.1:{page.port}"}
    assert connected(page, lambda live: next_json(live, lambda m: m["kind"] == "about"), own)


def test_a_token_opens_the_page() -> None:
    with served(token=TOKEN) as page:
        assert page.token == ""  # who gave it knows it
        assert b"login.js" in ask(page, "/")[2]
        assert ask(page, "/session")[0] == 401
        assert ask(page, "/clips/a.mp4")[0] == 401
        assert refused_with(page) == 401
        status, headers, _ = ask(page, "/session", "POST", data=TOKEN + "x")
        assert (status, "Set-Cookie" in headers) == (401, False)
        status, headers, _ = ask(page, "/session", "POST", data=TOKEN)
        assert status == 204
        cookie, *flags = headers["Set-Cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(flags)
        assert "page.js" in ask(page, "/", headers={"Cookie": cookie})[2].decode()
        assert ask(page, "/session", headers={"Cookie": cookie[:-1]})[0] == 401
        assert connected(
            page, lambda live: next_json(live, lambda m: m["kind"] == "about"), {"Cookie": cookie}
        )


def test_beyond_loopback_a_token_is_made() -> None:
    with served("0.0.0.0:0") as page:
        assert len(page.token) == 32
        assert ask(page, "/session")[0] == 401
        assert ask(page, "/session", "POST", data=page.token)[0] == 204
        host = {"Host": "192.168.1.5:80"}
        assert ask(page, "/session", headers=host)[0] == 401  # known, but not let in


def test_a_body_that_is_too_long(page: Page) -> None:
    assert ask(page, "/session", "POST", data=b"x" * 100_000)[0] == 413


def test_connections_that_only_wait_are_bounded_and_shut_nobody_out(page: Page) -> None:
    held = []
    try:
        for number in range(MAX_CONNECTIONS + 100):  # every address of 127.0.0.0/8 is this machine
            here = (f"127.0.1.{number // 3 + 1}", 0)
            held.append(socket.create_connection(("127.0.0.1", page.port), source_address=here))
        assert ask(page, "/session")[0] == 204
        assert sum(map(is_open, held)) < MAX_CONNECTIONS
    finally:
        for one in held:
            one.close()


BODY_TO_COME = b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
STATIC = b"GET /static/page.js HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("request_", [BODY_TO_COME, STATIC * 100], ids=["no body", "unread"])
def test_an_address_has_its_share(request_: bytes) -> None:
    with served(token=TOKEN) as page:
        held = []
        try:
            for _ in range(MAX_CONNECTIONS):
                one = socket.create_connection(("127.0.0.1", page.port))
                one.sendall(request_)
                held.append(one)
            assert ask(page, "/session", "POST", data=TOKEN)[0] == 204
            # Those that were aborted have nothing left to say but an error.
            assert sum(not is_aborted(one) for one in held) <= MAX_PER_ADDRESS
        finally:
            for one in held:
                one.close()


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def is_aborted(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        while connection.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def test_a_body_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecolite_stream.web.site.BODY_S", 0.2)
    with served(token=TOKEN) as page:
        answer = said_to(page, BODY_TO_COME)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come in time" in answer


def test_an_answer_has_a_deadline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ecolite_stream.web.site.CLIP_S", 0.3)
    (tmp_path / "a.mp4").write_bytes(bytes(30_000_000))  # more than sockets hold
    with served(clips=tmp_path) as page, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", page.port))
        deaf.sendall(b"GET /clips/a.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert deaf.recv(12) == b"HTTP/1.1 200"

        async def use(live: aiohttp.ClientWebSocketResponse) -> None:
            for _ in range(2):  # seconds later this one is still there
                await next_json(live, lambda m: m.get("health"))

        connected(page, use)
        received = 0
        with contextlib.suppress(ConnectionError):
            while some := deaf.recv(1 << 20):
                received += len(some)
        assert received < 30_000_000


def said_to(page: Page, words: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", page.port)) as raw:
        raw.settimeout(20)
        raw.sendall(words)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while some := raw.recv(4096):
                answer += some
    return answer


UPGRADE = upgrade("localhost")


@pytest.mark.parametrize(
    "words",
    [
        BODY_TO_COME,
        BODY_TO_COME + b"half",
        BODY_TO_COME.replace(b"POST /session", b"POST /none"),
        BODY_TO_COME.replace(b"Content-Length: 9", b"Transfer-Encoding: chunked") + b"5\r\nab",
        UPGRADE,
        UPGRADE[:-2],
        b"GET /clips/a.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        STATIC * 50,
    ],
)
def test_who_leaves_in_the_middle_is_not_in_the_log(
    words: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(30_000_000))
    with served(clips=tmp_path) as page:
        for _ in range(20):
            raw = socket.create_connection(("127.0.0.1", page.port))
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raw.sendall(words)
            raw.close()  # with a reset
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", page.port)) as raw:
                raw.sendall(words)
        assert ask(page, "/session")[0] in (204, 503)
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize(
    "header",
    [
        *("Forwarded: for=10.0.0.9", "X-Forwarded-For: 10.0.0.9", "x-forwarded-proto: https"),
        *("X-Real-IP: 10.0.0.9", "Via: 1.1 proxy", "CF-Connecting-IP: 10.0.0.9"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/session", "/live", "/clips/a.mp4"])
def test_behind_a_proxy_a_page_needs_a_token(page: Page, header: str, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\nConnection: close\r\n\r\n"
    answer = said_to(page, request.encode())
    assert answer.startswith(b"HTTP/1.1 403 ") and b"set web.token" in answer
    with served(token=TOKEN) as locked:
        assert b"set web.token" not in said_to(locked, request.encode())


def test_a_proxy_that_says_nothing_speaks_old_http(page: Page) -> None:
    answer = said_to(page, b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 403 ")


def test_guessing_has_an_end_and_logs_nobody_out() -> None:
    with served(token=TOKEN) as page:
        _, headers, _ = ask(page, "/session", "POST", data=TOKEN)
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert TOKEN not in cookie
        for number in range(MOST_GUESSES - 1):
            assert ask(page, "/session", "POST", data=f"guess{number}")[0] == 401
        assert ask(page, "/session", "POST", data="one more")[0] == 429
        assert ask(page, "/session", "POST", data=TOKEN)[0] == 429
        assert ask(page, "/session")[0] == 401
        assert ask(page, "/session", headers={"Cookie": cookie})[0] == 204


def test_who_asks_for_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecolite_stream.web.server.FIRST_REQUEST_S", 0.3)
    with served() as page, socket.create_connection(("127.0.0.1", page.port)) as idle:

        async def use(live: aiohttp.ClientWebSocketResponse) -> None:
            idle.settimeout(20)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.to_thread(idle.recv, 1) == b""
            for _ in range(2):  # seconds later this one is still there
                await next_json(live, lambda m: m.get("health"))

        connected(page, use)


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET / HTTP/1.1\r\nHost: [\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[\r\n\r\n",
        b"GET /session HTTP/1.1\r\nHost: localhost\r\nCookie: \xff=\xfe;;;=\r\n\r\n",
        b"POST /session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n\xff\xfe",
        b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain; "
        b"charset=nonsense\r\nContent-Length: 2\r\n\r\nab",
        b"A" * 100_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"A" * 100_000 + b"\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"DELETE /session HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_nonsense_is_answered_without_a_word_in_the_log(
    words: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with served(token=TOKEN) as page:
        with socket.create_connection(("127.0.0.1", page.port)) as raw:
            raw.settimeout(20)
            raw.sendall(words)
            raw.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while some := raw.recv(4096):
                    answer += some
        assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 200"))
        assert ask(page, "/")[0] == 200
    assert [record.getMessage() for record in caplog.records] == []
