"""Host names that our HTTP servers accept: protection against DNS rebinding."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class KnownHosts:
    """Accepted names and addresses in a request's `Host` header.

    Another site can point its own name at this machine's address (DNS rebinding) and read answers.
    It cannot change the `Host` header, so a check of the name stops it.

    Attributes:
        names: host names of the server, in lower case.
        beyond_loopback: whether other machines can reach the server.
    """

    names: frozenset[str]
    beyond_loopback: bool = False

    def knows_host(self, host: str) -> bool:
        """Whether a `Host` header holds an address or a name of this server."""
        name = host_name(host)
        address = parse_ip(name)
        if address is not None:
            return self.beyond_loopback or address.is_loopback or name in self.names
        return name in self.names


def known_hosts(host: str, bound_to: str, more: Iterable[str] = ()) -> KnownHosts:
    """The accepted names of a server.

    Args:
        host: host of the configured address.
        bound_to: the address that it listens on.
        more: names from `web.hosts`.
    """
    address = parse_ip(bound_to)
    beyond = address is None or not address.is_loopback
    own = {socket.gethostname(), f"{socket.gethostname()}.local"} if beyond else set()
    names = {"localhost", host, *own, *more}
    return KnownHosts(frozenset(name.lower() for name in names), beyond)


def host_name(host: str) -> str:
    """The name or address in a `Host` header, without port and brackets, in lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def parse_ip(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse an IP address; None if the text is none."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
