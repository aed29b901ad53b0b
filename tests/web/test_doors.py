"""Who is let in, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

import aiohttp

from ecolite_stream.web.site import MAX_CONNECTIONS
from tests.web.asking import ask, connected, next_json, refused_with
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


def test_connections_are_bounded(page: Page) -> None:
    held = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(MAX_CONNECTIONS)]
    try:
        with pytest.raises(aiohttp.ClientError):
            while True:  # the last of them may not have been counted yet
                ask(page, "/session")
    finally:
        for one in held:
            one.close()
    for _ in range(100):
        with contextlib.suppress(aiohttp.ClientError):
            assert ask(page, "/session")[0] == 204
            return
        time.sleep(0.05)
    pytest.fail("nobody is let in any more")


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
