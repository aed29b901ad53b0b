"""The web server of the page: its own thread with an event loop, as long as a block runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ecolite_stream.config.address import other_address, parse_address
from ecolite_stream.config.schema import WebConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.observability.sink_health import SinkHealthReader
from ecolite_stream.observability.stream_health import HealthReader
from ecolite_stream.web.access import Access, access_of
from ecolite_stream.web.latest_frames import LatestFrames
from ecolite_stream.web.page_state import PageState
from ecolite_stream.web.site import MAX_CONNECTIONS, Site
from ecolite_stream.web.viewer import Show

FIRST_REQUEST_S = 10.0
"""A connection that has asked for nothing after so long is hung up on."""
_START_S = 10.0
_END_S = 0.5

Result = TypeVar("Result")


def _is_ours(record: logging.LogRecord) -> bool:
    """Not what somebody sent who speaks no HTTP: that is answered, and nobody's concern here."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_log = logging.getLogger(__name__)
_log.addFilter(_is_ours)


@contextlib.contextmanager
def serve_page(
    board: PageState,
    gallery: LatestFrames,
    metrics: Metrics,
    config: WebConfig,
    about: dict[str, Any],
) -> Iterator[str]:
    """Serve the page while the block runs; gives the URL it is at, with a token if it is new.

    Args:
        board: predictions and events.
        gallery: pictures.
        metrics: where the health of streams and sinks is read.
        config: its address says where.
        about: what else the page is told, such as `every_s`.

    Raises:
        ConfigError: nothing can listen there, or the token cannot be one.
    """
    assert config.address is not None
    host, port = parse_address(config.address)
    listening = _listen(host, port)
    with listening:
        bound_to, port = listening.getsockname()[:2]
        access, is_new = access_of(config, host, bound_to)
        about = {"run": secrets.token_hex(8), "streams": board.streams, **about}
        executor = ThreadPoolExecutor(1, "page")

        async def encode(number: int, width_px: int) -> bytes:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(executor, gallery.jpeg, number, width_px)

        health = HealthReader(metrics.registry, board.streams)
        sinks = SinkHealthReader(metrics.registry, except_for=PageState.__name__)
        period_s = 1 / config.pictures_per_s
        show = Show(board, gallery, encode, about, period_s, health.read(), sinks.read())
        site = Site(show, health, sinks, config, access, executor)
        try:
            with _served(site, listening):
                yield _url(host, port, access, is_new)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _served(site: Site, listening: socket.socket) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="page", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, Result], timeout_s: float) -> Result:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout_s)

    runner = web.AppRunner(
        site.app(), access_log=None, logger=_log, shutdown_timeout=_END_S / 5, keepalive_timeout=15
    )
    try:
        server = run(_start(runner, site, listening), _START_S)
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                run(_end(runner, server), 2 * _END_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_END_S)
        if not thread.is_alive():
            loop.close()


async def _start(runner: web.AppRunner, site: Site, listening: socket.socket) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    await runner.setup()
    server = runner.server
    assert server is not None

    def hang_up(connection: web.RequestHandler) -> None:
        if connection in site.silent:
            site.silent.discard(connection)
            if connection.transport is not None:
                connection.transport.abort()

    def protocol() -> asyncio.Protocol:
        if len(server.connections) >= MAX_CONNECTIONS:
            return _Refusal()
        connection = server()
        site.silent.add(connection)
        loop.call_later(FIRST_REQUEST_S, hang_up, connection)
        return connection

    return await loop.create_server(protocol, sock=listening)


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


class _Refusal(asyncio.Protocol):
    """Hangs up: descriptors are for streams."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=64)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"the page cannot be served at {host}:{port}: {reason}; {other_address(error)}"
        ) from error


def _url(host: str, port: int, access: Access, token_is_new: bool) -> str:
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    elif ":" in host:
        host = f"[{host}]"
    # Behind the "#" a browser keeps it to itself: no log and no referrer gets to see it.
    return f"http://{host}:{port}/" + (f"#token={access.token}" if token_is_new else "")
