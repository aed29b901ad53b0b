"""Serve metrics over HTTP, for Prometheus: one thread, few and short connections."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import Iterable, Iterator, Mapping
from email.parser import BytesParser
from email.policy import compat32
from typing import Any, cast
from wsgiref.types import WSGIApplication

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ecolite_stream.config.address import parse_address
from ecolite_stream.config.hosts import KnownHosts, known_hosts
from ecolite_stream.config.printable import printable
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.observability.serving import Connections, event_loop, listen

MAX_CONNECTIONS = 32
MAX_PER_ADDRESS = 8
MAX_REQUEST_BYTES = 16 * 1024
DEADLINE_S = 10.0
"""Seconds for a connection, from its first byte to the last of its answer."""
_START_S = 10.0
_END = b"\r\n\r\n"


@contextlib.contextmanager
def serve(
    metrics: Metrics,
    address: str,
    hosts: Iterable[str] = (),
    more: Mapping[str, Collector] | None = None,
) -> Iterator[int]:
    """Serve metrics over HTTP at `[HOST:]PORT` while the block runs; yields the port.

    Args:
        metrics: to serve.
        address: to listen at.
        hosts: names that requests may use beside this machine's own.
        more: other metrics, by the path of their own at which they are served.

    Raises:
        ConfigError: the address cannot be used.
    """
    host, port = parse_address(address)
    with listen("metrics", host, port) as listening:
        bound_to, port = listening.getsockname()[:2]
        known = known_hosts(host, bound_to, hosts)
        app = make_wsgi_app(_encodable(metrics.registry))
        others = {path: make_wsgi_app(_encodable(one)) for path, one in (more or {}).items()}
        connections = Connections(MAX_CONNECTIONS, MAX_PER_ADDRESS)

        async def start() -> asyncio.Server:
            loop = asyncio.get_running_loop()
            return await loop.create_server(
                lambda: _Connection(app, others, known, connections), sock=listening
            )

        async def end(server: asyncio.Server) -> None:
            server.close()
            connections.close()

        with event_loop("metrics") as run:
            server = run(start(), _START_S)
            try:
                yield int(port)
            finally:
                with contextlib.suppress(TimeoutError):
                    run(end(server), _START_S)


class _Connection(asyncio.Protocol):
    """A connection: one request, one answer."""

    def __init__(
        self,
        app: WSGIApplication,
        others: Mapping[str, WSGIApplication],
        known: KnownHosts,
        connections: Connections,
    ) -> None:
        self._app = app
        self._others = others
        self._known = known
        self._connections = connections
        self._received = bytearray()
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self._transport, DEADLINE_S)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._received += data
        head, end, _ = bytes(self._received).partition(_END)
        if end or len(self._received) > MAX_REQUEST_BYTES:
            self._answered = True
            too_long = len(head) > MAX_REQUEST_BYTES
            answer = _text("431 Too Large", "the request is too long") if too_long else None
            self._transport.write(answer or _answer(head, self._app, self._others, self._known))
            self._transport.close()  # after sending; the deadline covers that, too

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.remove(self._transport)


def _answer(
    head: bytes,
    app: WSGIApplication,
    others: Mapping[str, WSGIApplication],
    known: KnownHosts,
) -> bytes:
    """The answer to a request's head; `others` answer at their paths, `app` at all others."""
    line, _, fields = head.partition(b"\r\n")
    words = line.decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return _text("400 Bad Request", "expected an HTTP request")
    method, target, _ = words
    headers = BytesParser(policy=compat32).parsebytes(fields + _END, headersonly=True)
    if not known.knows_host(str(headers.get("Host", ""))):
        return _text(
            "421 Misdirected Request",
            "this server does not know that host name; add the name to web.hosts",
        )
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }
    for variable, name in (("HTTP_ACCEPT", "Accept"), ("HTTP_ACCEPT_ENCODING", "Accept-Encoding")):
        if name in headers:
            environ[variable] = str(headers[name])
    return _run(others.get(path, app), environ)


def _run(app: WSGIApplication, environ: dict[str, Any]) -> bytes:
    began: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        began.append((status, headers))

    try:
        body = b"".join(app(environ, start_response))
    except ValueError as error:  # a query with too many fields
        return _text("400 Bad Request", str(error))
    status, headers = began[0]
    return _response(status, headers, body)


def _text(status: str, why: str) -> bytes:
    return _response(status, [("Content-Type", "text/plain; charset=utf-8")], f"{why}\n".encode())


def _response(status: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    fields = [*headers, ("Content-Length", str(len(body))), ("Connection", "close")]
    fields.append(("X-Content-Type-Options", "nosniff"))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body


class _Encodable(Collector):
    """Metrics of a registry or a collector, with labels made encodable in UTF-8."""

    def __init__(self, registry: CollectorRegistry | Collector) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [
                sample._replace(
                    labels={key: printable(text) for key, text in sample.labels.items()}
                )
                for sample in metric.samples
            ]
            yield metric

    def describe(self) -> Iterable[Metric]:
        """Lets a scrape ask for some names only."""
        described = getattr(self._registry, "describe", self._registry.collect)
        return cast(Iterable[Metric], described())


def _encodable(registry: CollectorRegistry | Collector) -> CollectorRegistry:
    """A registry with the same metrics, as `_Encodable` shows them."""
    encodable = CollectorRegistry()
    encodable.register(_Encodable(registry))
    return encodable
