"""Names that an HTTP server of ours answers to: against DNS rebinding."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class KnownHosts:
    """Names and addresses that a request's `Host` header may have.

    A page of another site can give this machine's address a name of its own (DNS rebinding) and
    then read answers. It cannot choose the `Host` header, so that a check of names stops it.

    Attributes:
        names: host names of the server, in small letters.
        beyond_loopback: whether addresses of other machines may reach it.
    """

    names: frozenset[str]
    beyond_loopback: bool = False

    def knows_host(self, host: str) -> bool:
        """Whether a `Host` header names this server: by an address, or by a name of its own."""
        name = host_name(host)
        address = parse_ip(name)
        if address is not None:
            return self.beyond_loopback or address.is_loopback or name in self.names
        return name in self.names


def known_hosts(host: str, bound_to: str, more: Iterable[str] = ()) -> KnownHosts:
    """The names of a server.

    Args:
        host: where it serves, as the user wrote it.
        bound_to: the address that it listens on.
        more: names that the user added.
    """
    address = parse_ip(bound_to)
    beyond = address is None or not address.is_loopback
    own = {socket.gethostname(), f"{socket.gethostname()}.local"} if beyond else set()
    names = {"localhost", host, *own, *more}
    return KnownHosts(frozenset(name.lower() for name in names), beyond)


def host_name(host: str) -> str:
    """The name or address in a `Host` header, without port and brackets, in small letters."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def parse_ip(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that a text is; None if it is none."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
