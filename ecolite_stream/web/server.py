"""The web server of the page: its own thread with an event loop, as long as a block runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from ecolite_stream.config.address import parse_address
from ecolite_stream.config.schema import WebConfig
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.observability.serving import Connections, event_loop, listen
from ecolite_stream.observability.sink_health import SinkHealthReader
from ecolite_stream.observability.stream_health import HealthReader
from ecolite_stream.web.access import Access, access_of
from ecolite_stream.web.latest_frames import LatestFrames
from ecolite_stream.web.page_state import PageState
from ecolite_stream.web.site import Run, Site
from ecolite_stream.web.viewer import Show

FIRST_REQUEST_S = 10.0
"""A connection that has asked for nothing after so long is aborted."""
_START_S = 10.0
_LONGEST_LINE = 65_536  # bytes: filters of the API can be many
_END_S = 0.5

_THEIRS = (
    HttpProcessingError,
    ConnectionError,
    ClientPayloadError,
    web.RequestPayloadError,
    web.PayloadAccessError,
)
"""What aiohttp raises where somebody speaks no HTTP, or leaves in the middle of something."""


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], _THEIRS))


_log = logging.getLogger(__name__)
_log.addFilter(_is_ours)


@contextlib.contextmanager
def serve_page(
    board: PageState,
    gallery: LatestFrames,
    metrics: Metrics,
    config: WebConfig,
    about: dict[str, Any],
    run: Run,
) -> Iterator[str]:
    """Serve the page while the block runs; gives the URL it is at, with a token if it is new.

    Args:
        board: predictions and events.
        gallery: pictures.
        metrics: where the health of streams and sinks is read.
        config: its address says where.
        about: what else the page gets, such as `every_s`; the caller may change it.
        run: what the API needs.

    Raises:
        ConfigError: nothing can listen there, or the token cannot be one.
    """
    assert config.address is not None
    host, port = parse_address(config.address)
    with listen("the page", host, port) as listening:
        bound_to, port = listening.getsockname()[:2]
        access, is_new = access_of(config, host, bound_to)
        about["run"] = secrets.token_hex(8)
        executor = ThreadPoolExecutor(1, "page")

        async def encode(stream: str, width_px: int) -> bytes | None:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(executor, gallery.jpeg, stream, width_px)

        health = HealthReader(metrics.registry, lambda: board.streams)
        sinks = SinkHealthReader(metrics.registry, except_for=PageState.__name__)
        period_s = 1 / config.pictures_per_s
        show = Show(board, gallery, encode, about, period_s, health.read(), sinks.read())
        site = Site(show, health, sinks, config, access, executor, run)
        try:
            with _served(site, listening):
                yield _url(host, port, access, is_new)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _served(site: Site, listening: socket.socket) -> Iterator[None]:
    runner = web.AppRunner(
        site.app(),
        access_log=None,
        logger=_log,
        shutdown_timeout=_END_S / 5,
        keepalive_timeout=15,
        lingering_time=1.0,  # for a body that nobody reads
        max_line_size=_LONGEST_LINE,
    )
    with event_loop("page") as run:
        server = run(_start(runner, site, listening), _START_S)
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                run(_end(runner, server), 2 * _END_S)


async def _start(runner: web.AppRunner, site: Site, listening: socket.socket) -> asyncio.Server:
    await runner.setup()
    server = runner.server
    assert server is not None

    def protocol() -> asyncio.Protocol:
        return _Counted(server(), site.connections)

    return await asyncio.get_running_loop().create_server(protocol, sock=listening)


async def _end(runner: web.AppRunner, server: asyncio.Server) -> None:
    server.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_S):
            await runner.cleanup()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_END_S / 2)


class _Counted(asyncio.Protocol):
    """Counts a connection; everything else is aiohttp's."""

    def __init__(self, handler: web.RequestHandler, connections: Connections) -> None:
        self._handler = handler
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connections.add(cast(asyncio.Transport, transport), FIRST_REQUEST_S)
        self._handler.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.remove(self._transport)
        self._handler.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._handler.data_received(data)

    def eof_received(self) -> None:
        self._handler.eof_received()

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()


def _url(host: str, port: int, access: Access, token_is_new: bool) -> str:
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    elif ":" in host:
        host = f"[{host}]"
    # Behind the "#" a browser keeps it to itself: no log and no referrer gets to see it.
    return f"http://{host}:{port}/" + (f"#token={access.token}" if token_is_new else "")
