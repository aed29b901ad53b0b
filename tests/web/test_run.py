"""`ecolite-stream --web` as people run it."""

from __future__ import annotations

import re
import signal
import socket
import sys
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

import aiohttp

from ecolite_stream.app import cli
from ecolite_stream.app.entry import run
from ecolite_stream.config.schema import StreamConfig, WebConfig
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.reader import StreamInput, opened
from ecolite_stream.types import Event
from ecolite_stream.web.page import with_page
from ecolite_stream.web.page_state import PageState
from tests.fakes import ListSource, frame
from tests.web.asking import ask, connected, next_json, upgrade
from tests.web.conftest import page_of, start

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_live_run_is_seen_and_ends(bundle: Bundle, kind: signal.Signals) -> None:
    """With one page that is open, and another one that does not answer any more."""
    streams = ["--source", "pattern", "--source", "rtsp://me:secret@127.0.0.1:1/a?key=secret"]
    with start(bundle, *streams, "--realtime", "--web", "0") as process:
        page = page_of(process)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", page.url)
        said: list[str] = []

        async def use(live: Any) -> None:
            def note(message: dict[str, Any]) -> Any:
                said.append(str(message))
                return message["kind"] == "about"

            await next_json(live, note)
            found = await next_json(live, lambda m: m.get("predictions"))
            assert found[0]["stream"] == 0
            while (health := await next_json(live, lambda m: m.get("health")))[1][
                "state"
            ] != "waiting":
                said.append(str(health))
            assert health[0]["state"] == "live"
            await live.send_json({"watch": [0, 1]})
            await live.receive()
            process.send_signal(kind)
            async for message in live:
                said.append(str(message.data)[:1000])
            assert live.close_code == 1001

        with socket.create_connection(("127.0.0.1", page.port)) as silent:
            silent.sendall(upgrade("localhost"))
            connected(page, use)
            _, err = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "secret" not in err + "".join(said)
    assert "Traceback" not in err


def test_the_page_knows_which_streams_are_live() -> None:
    streams = [StreamInput("door", lambda: ListSource("door", [])), opened(ListSource("film", []))]
    config = StreamConfig(web=WebConfig("0"))
    names = [stream.name for stream in streams]
    with with_page(names, ["walk"], Metrics(), config) as (connect, (board,)):
        assert isinstance(board, PageState)
        for stream, live in zip(map(connect, streams), (True, False), strict=True):
            stream.on_sampled(frame(1, 0.1, stream.name), live)
            board.send(Event(stream.name, stream.name, "walk", 0.0, None, 0.9, 0.8, "start"))
        assert [event["live"] for event in board.since(0).events] == [True, False]


def test_pictures_of_a_live_run(bundle: Bundle) -> None:
    with start(bundle, "--source", "pattern", "--realtime", "--web", "0") as process:
        page = page_of(process)

        async def use(live: Any) -> None:
            await live.send_json({"watch": [0]})
            pictures: set[bytes] = set()
            while len(pictures) < 3:
                message = await live.receive(timeout=30)
                if message.type is aiohttp.WSMsgType.BINARY:
                    assert message.data[4:6] == b"\xff\xd8"  # a JPEG
                    pictures.add(message.data)

        connected(page, use)
        process.terminate()
        process.communicate(timeout=10)


def test_a_token_is_printed_where_it_is_new(bundle: Bundle) -> None:
    token = "0123456789abcdef"
    args = ["--source", "pattern", "--realtime", "--web", "0.0.0.0:0"]
    for variables in ({}, {"ECOLITE_WEB_TOKEN": token}):
        with start(bundle, *args, **variables) as process:
            page = page_of(process)
            assert bool(page.token) is not bool(variables)
            assert ask(page, "/session")[0] == 401
            assert ask(page, "/session", "POST", data=page.token or token)[0] == 204
            process.terminate()
            _, err = process.communicate(timeout=10)
            assert "token" not in err


def usage_error(capsys: pytest.CaptureFixture[str], bundle: Bundle, *args: str) -> str:
    with pytest.raises(SystemExit) as ended:
        run(cli.stream, ["--source", "pattern", "--bundle", str(bundle.path), *args])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return str(line)


def test_a_port_that_is_taken_ends_with_2(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        error = usage_error(capsys, bundle, "--web", port)
    assert error.startswith(f"error: the page cannot be served at 127.0.0.1:{port}: ")


def test_without_the_extra_it_ends_with_2(
    bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("ecolite_stream.web.s")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    error = usage_error(capsys, bundle, "--web", "0")
    assert error == (
        "error: the page needs aiohttp, which is not installed; "
        "run pip install 'ecolite-stream[web]'"
    )


@pytest.mark.parametrize("address", ["door", "70000", ":1"])
def test_what_is_no_address_ends_with_2(
    bundle: Bundle, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert "expected PORT or HOST:PORT" in usage_error(capsys, bundle, "--web", address)


def test_a_short_token_ends_with_2(
    bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECOLITE_WEB_TOKEN", "hush")
    error = usage_error(capsys, bundle, "--web", "0")
    assert "expected at least 16" in error
    assert "hush" not in error
