"""The web server, asked over real HTTP."""

from __future__ import annotations

import contextlib
import gc
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

import aiohttp

from ecolite_stream.errors import ConfigError
from ecolite_stream.media.clip_names import clip_name
from tests.web.asking import ask, connected, next_json, next_number, status, upgrade
from tests.web.conftest import Page, served

pytestmark = pytest.mark.timeout(30)


# What is served


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/static/page.js", "text/javascript; charset=utf-8"),
        ("/static/page.css", "text/css; charset=utf-8"),
        ("/static/icon.svg", "image/svg+xml; charset=utf-8"),
    ],
)
def test_files(page: Page, path: str, kind: str) -> None:
    status, headers, body = ask(page, path)
    assert (status, headers["Content-Type"]) == (200, kind)
    assert body


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/none", "/clips/a.mp4", "/session"])
def test_every_answer_is_strict(page: Page, path: str) -> None:
    _, headers, _ = ask(page, path)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_files_name_no_other_host() -> None:
    folder = Path(__file__).parents[2] / "ecolite_stream" / "web" / "static"
    for file in folder.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search("https?://", text), file.name


@pytest.mark.parametrize(
    "path",
    ["/static/../site.py", "/static/%2e%2e%2fsite.py", "/static/", "/static/none.js", "/none"],
)
def test_nothing_else_is_served(page: Page, path: str) -> None:
    with socket.create_connection(("127.0.0.1", page.port)) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert raw.recv(200).startswith(b"HTTP/1.1 404")


# Predictions, events, health, pictures


def test_a_page_gets_all_there_is_and_then_what_is_new(page: Page) -> None:
    page.predict("yard", "walk")
    page.begin("door")
    page.metrics.state("door", "stalled")

    async def use(live: aiohttp.ClientWebSocketResponse) -> None:
        about = await next_json(live, lambda m: m["kind"] == "about" and m)
        assert about["streams"] == ["door", "yard", "<i>gate"]
        news = await next_json(live, lambda m: m.get("predictions") and m)
        assert [p["label"] for p in news["predictions"]] == ["walk"]
        assert [e["event"] for e in news["events"]] == ["door@1.000"]
        health = await next_json(live, lambda m: m.get("health"))
        assert len(health) == 3
        while health[0]["state"] != "stalled":
            health = await next_json(live, lambda m: m.get("health"))
        page.predict("door", "run")
        news = await next_json(live, lambda m: m.get("predictions") and m)
        assert [(p["stream"], p["label"]) for p in news["predictions"]] == [(0, "run")]
        assert news["events"] == []

    connected(page, use)


def test_pictures_of_the_streams_that_are_watched(page: Page) -> None:
    for stream, number in zip(page.streams, (11, 22, 33), strict=True):
        page.show(stream, number, (1600, 1200))

    async def use(live: aiohttp.ClientWebSocketResponse) -> None:
        await live.send_json({"watch": [1]})
        assert await next_number(live) == (1, 22, 480)
        page.show("yard", 23)
        assert await next_number(live) == (1, 23, 320)
        await live.send_json({"watch": [2], "large": 2})
        assert await next_number(live) == (2, 33, 1280)

    connected(page, use)
    assert page.gallery._jpegs.keys() == {("yard", 480), ("<i>gate", 1280)}  # no other was made


def test_a_stream_that_is_removed_leaves_an_open_page(page: Page) -> None:
    for stream, number in zip(page.streams, (11, 22, 33), strict=True):
        page.show(stream, number)
        page.predict(stream)

    async def use(live: aiohttp.ClientWebSocketResponse) -> None:
        await live.send_json({"watch": [2]})
        assert await next_number(live) == (2, 33, 320)
        page.board.remove_stream("yard")
        page.gallery.forget("yard")
        about = await next_json(live, lambda m: m["kind"] == "about" and m)
        assert about["streams"] == ["door", "<i>gate"]
        news = await next_json(live, lambda m: m.get("predictions") and m)
        assert [p["stream"] for p in news["predictions"]] == [0, 1]
        await live.send_json({"watch": [2]})  # sent before the page knew
        health = await next_json(live, lambda m: m.get("health"))
        assert len(health) == 2
        await live.send_json({"watch": [1]})
        assert await next_number(live) == (1, 33, 320)

    connected(page, use)


@pytest.mark.parametrize(
    "said",
    [
        *("", "{", "[]", "5", '{"watch": 5}', '{"watch": [3]}', '{"watch": [-1]}'),
        *('{"watch": [true]}', '{"watch": [], "large": "a"}', '{"watch": [[]]}'),
        *("[" * 4000, "x" * 5000),
    ],
)
def test_a_page_that_talks_nonsense_is_let_go(page: Page, said: str) -> None:
    async def use(live: aiohttp.ClientWebSocketResponse) -> None:
        await live.send_str(said)
        async for _ in live:
            pass

    connected(page, use)
    assert ask(page, "/session")[0] == 204


def test_a_slow_page_is_let_go_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecolite_stream.web.viewer.SLOW_S", 0.5)
    with served(viewers=2) as page, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", page.port))
        slow.sendall(upgrade("localhost"))
        assert slow.recv(12) == b"HTTP/1.1 101"  # and it reads nothing more

        async def use(live: aiohttp.ClientWebSocketResponse) -> None:
            number = 0
            while await status(page, "/session") == 503:  # there is no room for a third
                number += 1
                page.predict("door", f"{number}-" + "x" * 500_000)
                found = await next_json(live, lambda m: m.get("predictions"))
                assert found[0]["label"].startswith(f"{number}-")
            assert number > 1

        connected(page, use)


# Clips


def test_events_get_their_clips(tmp_path: Path) -> None:
    with served(clips=tmp_path) as page:
        event = page.begin("door", end_s=3.0)
        name = clip_name(event.id)

        async def use(live: aiohttp.ClientWebSocketResponse) -> Any:
            await next_json(live, lambda m: m.get("events"))
            (tmp_path / name).write_bytes(b"0123456789")
            return await next_json(live, lambda m: m.get("events"))

        (linked,) = connected(page, use)
        assert (linked["event"], linked["clip"]) == (event.id, name)
        status, headers, body = ask(page, f"/clips/{name}", headers={"Range": "bytes=2-4"})
        assert (status, body, headers["Content-Type"]) == (206, b"234", "video/mp4")


@pytest.mark.parametrize(
    "path",
    ["../secret.mp4", "%2e%2e%2fsecret.mp4", "..%2Fsecret.mp4", "link.mp4", "%2fetc%2fpasswd"],
)
def test_there_is_no_way_out_of_the_folder(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with served(clips=folder) as page, socket.create_connection(("127.0.0.1", page.port)) as raw:
        raw.sendall(f"GET /clips/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert raw.recv(200).startswith(b"HTTP/1.1 404")


# Beginning and end


def test_a_port_that_is_taken(page: Page) -> None:
    expected = rf"cannot be served at 127\.0\.0\.1:{page.port}: .* choose another port"
    with pytest.raises(ConfigError, match=expected), served(str(page.port)):
        pass


@pytest.mark.parametrize("address", ["no.such.host.invalid:80", "192.0.2.1:0", "a b:1"])
def test_what_cannot_be_listened_at(address: str) -> None:
    expected = "the page cannot be served at .* name a host or address of this machine"
    with pytest.raises(ConfigError, match=expected), served(address):
        pass


def test_the_end_is_told_and_leaves_nothing_behind() -> None:
    async def use(live: aiohttp.ClientWebSocketResponse) -> None:
        await next_json(live, lambda m: m["kind"] == "about")
        serving.close()
        while (message := await live.receive(timeout=20)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)

    before = threading.active_count()
    with contextlib.ExitStack() as serving:
        page = serving.enter_context(served())
        connected(page, use)
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("page")], before
    with socket.socket() as raw:
        assert raw.connect_ex(("127.0.0.1", page.port)) != 0


def test_it_ends_though_a_page_takes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as slow, served() as page:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", page.port))
        slow.sendall(upgrade("localhost"))
        assert slow.recv(12) == b"HTTP/1.1 101"

        async def use(live: aiohttp.ClientWebSocketResponse) -> None:
            for number in range(5):  # more than a socket holds
                page.predict("door", f"{number}-" + "x" * 3_000_000)
                await next_json(live, lambda m: m.get("predictions"))

        connected(page, use)
    assert "page" not in {thread.name for thread in threading.enumerate()}
    gc.collect()  # a task that was left behind complains now
    assert caplog.records == []
