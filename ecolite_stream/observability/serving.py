"""Shared by the metrics endpoint and the page: a socket, an event loop, bounded connections."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from ecolite_stream.config.address import other_address
from ecolite_stream.config.hosts import parse_ip
from ecolite_stream.errors import ConfigError

_BACKLOG = 64
_END_S = 0.5

Result = TypeVar("Result")
Run = Callable[[Coroutine[Any, Any, Any], float], Any]


def listen(what: str, host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Args:
        what: the server, for the error: "the page".
        host: a name or an address of this machine.
        port: 0 takes a free one.

    Raises:
        ConfigError: the address cannot be used.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{what} cannot be served at {host}:{port}: {reason}; {other_address(error)}"
        ) from error


@contextlib.contextmanager
def event_loop(name: str) -> Iterator[Run]:
    """Run an event loop in its own thread during the block.

    Args:
        name: of the thread.

    Yields:
        A function that runs a coroutine there and waits a limited time for its result.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, Result], timeout_s: float) -> Result:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout_s)

    try:
        yield run
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_END_S)
        if not thread.is_alive():
            loop.close()


class Connections:
    """The open connections of a server: bounded in number, in share per address, and in time.

    When full, a new connection aborts an older one: of the same address if that has its share, else
    of the address with the most; the one whose last request is the oldest. Idle connections
    therefore shut nobody out. Call all methods in one event loop.

    Args:
        most: connections at once.
        most_per_address: of one address; an IPv6 /64 network counts as one.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._open: dict[asyncio.BaseTransport, tuple[str, asyncio.TimerHandle]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, transport: asyncio.Transport, deadline_s: float) -> None:
        """Count a new connection, and abort it once so many seconds are over."""
        address = client_address(transport)
        counts = Counter(known for known, _ in self._open.values())
        if counts[address] >= self._most_per_address:
            self._abort_oldest(address)
        elif len(self._open) >= self._most:
            self._abort_oldest(max(counts, key=counts.__getitem__))
        self._open[transport] = address, self._abort_after(transport, deadline_s)

    def extend(self, transport: asyncio.BaseTransport, deadline_s: float) -> None:
        """Give an open connection so many seconds from now on."""
        if transport in self._open:
            address, timer = self._open.pop(transport)  # the newest now
            timer.cancel()
            self._open[transport] = address, self._abort_after(transport, deadline_s)

    def remove(self, transport: asyncio.BaseTransport) -> None:
        """Stop counting a connection: it is closed, or has its own limits."""
        if (known := self._open.pop(transport, None)) is not None:
            known[1].cancel()

    def close(self) -> None:
        """Abort all of them."""
        for transport in list(self._open):
            self._abort(transport)

    def _abort_after(
        self, transport: asyncio.BaseTransport, deadline_s: float
    ) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(deadline_s, self._abort, transport)

    def _abort_oldest(self, address: str) -> None:
        self._abort(next(one for one, (known, _) in self._open.items() if known == address))

    def _abort(self, transport: asyncio.BaseTransport) -> None:
        self.remove(transport)
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def client_address(transport: asyncio.BaseTransport | None) -> str:
    """The peer's address; of IPv6 its /64 network; empty if unknown."""
    peer = transport.get_extra_info("peername") if transport is not None else None
    if not isinstance(peer, tuple):
        return ""
    address = parse_ip(str(peer[0]).partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(peer[0])
