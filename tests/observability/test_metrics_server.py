"""The metrics endpoint before requests that nobody means well."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from ecolite_stream.observability import metrics_server
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.observability.metrics_server import MAX_CONNECTIONS, MAX_PER_ADDRESS, serve

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def port() -> Iterator[int]:
    with serve(Metrics(), "0") as port:
        yield port


def answer_to(port: int, request: bytes) -> bytes:
    """All that the server says, until it closes."""
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.settimeout(20)
        raw.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while some := raw.recv(65536):
                answer += some
    return answer


def get(port: int, path: str = "/metrics", **headers: str) -> tuple[dict[str, str], bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return dict(answer.headers), answer.read()


def test_formats_compression_and_a_choice_of_names(port: int) -> None:
    headers, text = get(port)
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert b"ecolite_build_info" in text and b"process_open_fds" in text
    headers, text = get(port, Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
    headers, packed = get(port, **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert b"ecolite_build_info" in gzip.decompress(packed)
    _, text = get(port, "/metrics?name[]=process_open_fds")
    assert b"process_open_fds" in text and b"ecolite" not in text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9464", b"200"),
        ("localhost", b"200"),
        ("[::1]:9464", b"200"),
        ("box.example:9464", b"200"),
        ("evil.example", b"421"),
        ("192.168.1.5:9464", b"421"),
        ("", b"421"),
    ],
)
def test_names_of_other_servers_are_refused(host: str, status: bytes) -> None:
    with serve(Metrics(), "0", ["box.example"]) as port:
        answer = answer_to(port, f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert (b"ecolite_" in answer) == (status == b"200")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (b"GET / HTTP/2\r\n\r\n", b"400"),
        (b"GET /\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"421"),
        (b"GET / HTTP/1.1\r\nHost: [\r\n\r\n", b"421"),
        (b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n", b"421"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n", b"421"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", b"405"),
        (b"GET /?" + b"a&" * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"[24]00"),
        (b"GET /?name[]=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: \xff\xfe;;q=x\r\n\r\n", b"200"),
        (b"A" * 100_000, b"431"),
        (b"GET / HTTP/1.1\r\nX: " + b"A" * 100_000 + b"\r\n\r\n", b"431"),
    ],
)
def test_nonsense_is_answered_without_a_word_in_the_log(
    port: int,
    request_: bytes,
    status: bytes,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answer = answer_to(port, request_)
    assert not answer or re.match(rb"HTTP/1.1 " + status, answer), answer[:100]
    assert b"ecolite_build_info" in get(port)[1]
    assert (caplog.text, capfd.readouterr().err) == ("", "")


def test_half_requests_shut_nobody_out_and_take_no_thread(port: int) -> None:
    threads = threading.active_count()
    held = []
    try:
        for _ in range(254):
            one = socket.create_connection(("127.0.0.1", port))
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: lo")
            held.append(one)
        assert b"ecolite_build_info" in get(port)[1]
        assert threading.active_count() <= threads  # one of an earlier test may have ended
        one_address = sum(map(is_open, held))
        assert one_address <= MAX_PER_ADDRESS
    finally:
        for one in held:
            one.close()


def test_many_addresses_together_are_bounded(port: int) -> None:
    """Every address of 127.0.0.0/8 is this machine's."""
    held = []
    try:
        for number in range(200):
            here = (f"127.0.1.{number + 1}", 0)
            held.append(socket.create_connection(("127.0.0.1", port), source_address=here))
        assert b"ecolite_build_info" in get(port)[1]
        assert sum(map(is_open, held)) <= MAX_CONNECTIONS
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


@pytest.mark.parametrize("begins", [b"", b"GET /metrics HT"])
def test_a_connection_has_a_deadline(begins: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "DEADLINE_S", 0.3)
    with serve(Metrics(), "0") as port:
        assert answer_to(port, begins) == b""


def test_an_answer_that_nobody_reads_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "DEADLINE_S", 0.3)
    metrics = Metrics()
    for number in range(3000):  # more than sockets hold
        metrics.frames_read.labels("s" * 1000 + str(number)).inc()
    with serve(metrics, "0") as port, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert deaf.recv(12) == b"HTTP/1.1 200"
        time.sleep(1.0)
        received = 0
        with contextlib.suppress(ConnectionError):
            while some := deaf.recv(1 << 20):
                received += len(some)
        assert received < 3_000_000


def test_names_that_are_no_utf8_break_no_answer() -> None:
    metrics = Metrics()
    metrics.frames_read.labels("caf\udce9.mp4").inc()
    metrics.frames_read.labels("door").inc()
    with serve(metrics, "0") as port:
        text = get(port)[1].decode()
    assert 'ecolite_frames_read_total{stream="caf\\\\xe9.mp4"} 1.0' in text
    assert 'ecolite_frames_read_total{stream="door"} 1.0' in text


def test_the_end_leaves_nothing_behind() -> None:
    with serve(Metrics(), "0") as port:
        held = socket.create_connection(("127.0.0.1", port))
        get(port)
    assert "metrics" not in {thread.name for thread in threading.enumerate()}
    with held, socket.socket() as raw:
        assert raw.connect_ex(("127.0.0.1", port)) != 0
