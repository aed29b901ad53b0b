"""Server addresses: `[HOST:]PORT`."""

from __future__ import annotations

import errno
import re
import socket

from ecolite_stream.errors import ConfigError

LOOPBACK = "127.0.0.1"


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) of `[HOST:]PORT`; the default host is `LOOPBACK`.

    Raises:
        ConfigError: the text is no such address.
    """
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]:|([^:\[\]]+):)?(\d{1,5})", text.strip())
    if not match or int(match[3]) > 65535:
        raise ConfigError(
            f"address is {text!r}; expected PORT or HOST:PORT, such as 8080 or 127.0.0.1:8080"
        )
    return match[1] or match[2] or LOOPBACK, int(match[3])


def other_address(error: Exception) -> str:
    """Advice for an address that cannot be listened at."""
    if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
        return "name a host or address of this machine"
    return "choose another port"
