"""Who may look at the page. Pure: no server in here."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ecolite_stream.config.schema import WebConfig
from ecolite_stream.errors import ConfigError

TOKEN_VARIABLE = "ECOLITE_WEB_TOKEN"
SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Access:
    """What a request must know to be answered.

    A page of another site cannot reach this one: neither by a name of its own for this machine's
    address (DNS rebinding), for names are checked, nor by a connection, for origins are.

    Attributes:
        names: host names that this server is known by.
        beyond_loopback: whether addresses of other machines may reach it.
        token: what a visitor must know; None where nobody must know anything.
    """

    names: frozenset[str]
    beyond_loopback: bool = False
    token: str | None = field(default=None, repr=False)

    def knows_host(self, host: str) -> bool:
        """Whether a `Host` header names this server: by an address, or by a name of its own."""
        name = host_name(host)
        address = _address(name)
        if address is not None:
            return self.beyond_loopback or address.is_loopback or name in self.names
        return name in self.names

    def is_own(self, origin: str | None, host: str) -> bool:
        """Whether an `Origin` header is this very page; what is no browser sends none."""
        if origin is None:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()

    def admits(self, token: str | None) -> bool:
        """Whether that is the token; takes as long whatever is wrong with it."""
        if self.token is None:
            return True
        given = (token or "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, self.token.encode())


def access_of(
    config: WebConfig, host: str, bound_to: str, environment: Mapping[str, str] = os.environ
) -> tuple[Access, bool]:
    """Who may look at a page that is served there.

    A token is needed where the page can be reached from other machines: if it is bound beyond
    loopback, or if it is given names, for then something passes requests on. It is that of the
    configuration, else that of the environment, else a new one.

    Args:
        config: tokens and names that are given.
        host: as the user named it.
        bound_to: the address that is listened on.
        environment: where `ECOLITE_WEB_TOKEN` may be.

    Returns:
        And whether the token is new, so that people have to be told.

    Raises:
        ConfigError: the token that is given is too short or cannot be in a cookie.
    """
    address = _address(bound_to)
    beyond = address is None or not address.is_loopback
    own = {socket.gethostname(), f"{socket.gethostname()}.local"} if beyond else set()
    names = frozenset(name.lower() for name in {"localhost", host, *own, *config.hosts})
    given = given_token(config, environment)
    is_new = given is None and (beyond or bool(config.hosts))
    token = secrets.token_urlsafe(24) if is_new else given
    return Access(names, beyond, token), is_new


def given_token(config: WebConfig, environment: Mapping[str, str] = os.environ) -> str | None:
    """The token of the configuration, else that of the environment; None where neither has one.

    Raises:
        ConfigError: it is too short or cannot be in a cookie.
    """
    given = config.token or environment.get(TOKEN_VARIABLE) or None
    if given is not None:
        check_token(given)
    return given


def check_token(token: str) -> None:
    """Raise a ConfigError, which does not show it, unless a token can be used as one."""
    fits = token.isascii() and all(c.isalnum() or c in "-_.~" for c in token)
    if not fits or len(token) < SHORTEST_TOKEN:
        raise ConfigError(
            f"token of the page: expected at least {SHORTEST_TOKEN} letters, digits or -_.~; "
            "`openssl rand -hex 16` makes one"
        )


def host_name(host: str) -> str:
    """The name or address in a `Host` header, without port and brackets, in small letters."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
