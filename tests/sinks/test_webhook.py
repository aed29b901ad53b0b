"""Events posted to a real web server."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ecolite_stream.errors import ConfigError
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.delivery import SinkWorker
from ecolite_stream.sinks import WebhookSink
from ecolite_stream.types import Event

pytestmark = pytest.mark.timeout(30)

EVENT = Event("door@12.500", "door", "wave2", 12.5, 15.0, 0.97, 0.8, "end")


@dataclass
class Server:
    """What a web server got, and what it answers: codes one after another, then 204."""

    port: int = 0
    codes: list[int] = field(default_factory=list)
    location: str = ""
    stuck: threading.Event | None = None
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://me:sec%40ret@127.0.0.1:{self.port}/hook?token=hush"


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.requests.append((self.command, self.path, dict(self.headers), body))
            if state.stuck is not None:
                state.stuck.wait(20)
            self.send_response(state.codes.pop(0) if state.codes else 204)
            if state.location:
                self.send_header("Location", state.location)
            self.end_headers()

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state.port = http.server_port
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join(10)
    http.server_close()


def test_an_event_is_posted(server: Server) -> None:
    with WebhookSink(server.url) as sink:
        assert sink.takes == (Event,)
        sink.send(EVENT)
    ((method, path, headers, body),) = server.requests
    assert (method, path) == ("POST", "/hook?token=hush")
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Basic bWU6c2VjQHJldA=="  # me:sec@ret
    assert json.loads(body) == EVENT.as_dict()


@pytest.mark.parametrize("code", [400, 404, 429, 500])
def test_what_is_not_taken_is_an_error_without_secrets(server: Server, code: int) -> None:
    server.codes = [code]
    with WebhookSink(server.url) as sink, pytest.raises(OSError) as caught:
        sink.send(EVENT)
    assert str(caught.value) == (
        f"http://127.0.0.1:{server.port}/hook?token=***: the server answered {code}"
    )


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_redirections_stay_on_their_host(server: Server, code: int) -> None:
    server.codes, server.location = [code], "/elsewhere"
    with WebhookSink(server.url) as sink:
        sink.send(EVENT)
    assert [(r[0], r[1]) for r in server.requests[1:]] == [("POST", "/elsewhere")]
    assert json.loads(server.requests[1][3]) == EVENT.as_dict()


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://localhost:{}/hook", "another host, which is not followed"),
        ("http://evil.example/hook", "another host, which is not followed"),
        ("https://127.0.0.1:{}/hook", "from http to https on the same host.* write https://"),
        ("http://127.0.0.1:1/hook", "another port, which is not followed"),
        ("//evil.example/hook", "another host, which is not followed"),
        ("http://user@127.0.0.1:{}/", "another port, which is not followed"),
        ("file:///etc/passwd", "answered 307|another host"),
        ("http://[/", "127.0.0.1"),
    ],
)
def test_redirections_elsewhere_are_not_followed(server: Server, location: str, why: str) -> None:
    server.codes, server.location = [307], location.format(server.port)
    with WebhookSink(server.url) as sink, pytest.raises(OSError, match=why) as caught:
        sink.send(EVENT)
    assert "hush" not in str(caught.value)
    assert len(server.requests) == 1


def test_endless_redirections_end(server: Server) -> None:
    server.codes, server.location = [307] * 100, "/hook"
    with WebhookSink(server.url) as sink, pytest.raises(OSError, match="answered 307"):
        sink.send(EVENT)
    assert len(server.requests) < 20


def test_a_server_that_never_answers(server: Server) -> None:
    server.stuck = threading.Event()
    with WebhookSink(server.url, timeout_s=0.1) as sink, pytest.raises(OSError, match="in time"):
        sink.send(EVENT)
    server.stuck.set()


@pytest.mark.parametrize(
    ("scheme", "begins", "error"),
    [
        ("http", b"", "no answer in time"),
        ("http", b"HTTP/1.1 500 No\r\nX: ", "no answer in time"),
        ("http", b"HTTP/1.1 200 OK\r\nX: ", None),  # it has the event
        ("https", b"\x16\x03\x03\x40\x00", "no answer in time"),  # a record of TLS without end
    ],
)
def test_a_server_that_drips_its_answer(scheme: str, begins: bytes, error: str | None) -> None:
    """Each byte comes in time, and there is no end of them."""
    over = threading.Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(begins)
            while not over.wait(0.02):
                connection.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        url = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/hook"
        failed = pytest.raises(OSError, match=error) if error else contextlib.nullcontext()
        with WebhookSink(url, timeout_s=0.3) as sink, failed:
            sink.send(EVENT)
        over.set()
        thread.join(10)


def test_no_descriptor_and_no_thread_is_left(server: Server) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    server.codes, server.location = [307, 500, 307], "/elsewhere"
    with WebhookSink(server.url) as sink:
        for _ in range(3):
            with contextlib.suppress(OSError):
                sink.send(EVENT)
    assert not [t for t in threading.enumerate() if isinstance(t, threading.Timer) and t.is_alive()]
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 3  # those of the server's threads


def test_nobody_listens(server: Server) -> None:
    sink = WebhookSink("http://127.0.0.1:1/hook")
    with pytest.raises(OSError, match=r"http://127\.0\.0\.1:1/hook: Connection refused"):
        sink.send(EVENT)


def test_how_long_an_event_is_tried_again() -> None:
    assert WebhookSink("http://host").retry_after_s == (0.5, 1, 2, 4, 8, 16, 28.5)
    assert sum(WebhookSink("http://host", retry_for_s=100).retry_after_s) == 100
    assert WebhookSink("http://host", retry_for_s=0).retry_after_s == ()


def test_the_outlet_tries_again(server: Server) -> None:
    server.codes = [500, 503]
    worker = SinkWorker(WebhookSink(server.url), Metrics(), retry_after_s=(0.0, 0.0))
    worker.send(EVENT)
    worker.end()
    assert worker.join(20)
    assert [json.loads(body)["event"] for *_, body in server.requests] == ["door@12.500"] * 3


@pytest.mark.parametrize(
    "url", ["", "host/a", "ftp://host/a", "http://", "http://host:x/", "http://a b/", "file:///a"]
)
def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(ConfigError, match="expected a URL such as https://HOST/PATH"):
        WebhookSink(url)


def test_a_password_in_what_is_no_url_is_not_shown() -> None:
    with pytest.raises(ConfigError) as raised:
        WebhookSink("me:hush@door/path", 1.0)
    assert "'***@door/path'" in str(raised.value) and "hush" not in str(raised.value)
