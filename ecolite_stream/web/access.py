"""Who may look at the page. Pure: no server in here."""

from __future__ import annotations

import hmac
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal
from urllib.parse import urlsplit

from ecolite_stream.config.hosts import KnownHosts, known_hosts
from ecolite_stream.config.schema import WebConfig
from ecolite_stream.errors import ConfigError

TOKEN_VARIABLE = "ECOLITE_WEB_TOKEN"
SHORTEST_TOKEN = 16
SESSION_S = 30 * 24 * 3600
"""How long a browser stays logged in."""
MOST_GUESSES = 10
WINDOW_S = 60.0
_MOST_REMEMBERED = 1000
Role = Literal["read", "write"]
"""What a visitor may do: `write` may also change streams, reviews and alerts."""
_PROXY_HEADERS = frozenset(
    {"forwarded", "via", "x-real-ip", "true-client-ip", "cf-connecting-ip", "x-client-ip"}
)


@dataclass(frozen=True)
class Access(KnownHosts):
    """What a request must know to be answered.

    A page of another site cannot reach this one: neither by a name of its own for this machine's
    address (DNS rebinding), for names are checked, nor by a connection, for origins are.

    Attributes:
        token: what a visitor must know; None where nobody must know anything.
        read_tokens: what visitors must know who change nothing.
    """

    token: str | None = field(default=None, repr=False)
    read_tokens: tuple[str, ...] = field(default=(), repr=False)

    def is_own(self, origin: str | None, host: str) -> bool:
        """Whether an `Origin` header is this very page; what is no browser sends none."""
        if origin is None:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()

    def role_of(self, token: str | None) -> Role | None:
        """What somebody with that token may do; None: nothing. Compares in constant time."""
        if self.token is None:
            return "write"
        given = (token or "").encode("utf-8", "surrogateescape")
        roles = [role for known, role in self._tokens if hmac.compare_digest(given, known.encode())]
        return roles[0] if roles else None

    def admits(self, token: str | None) -> bool:
        """Whether that is one of the tokens."""
        return self.role_of(token) is not None

    def new_session(self, now_s: float, token: str | None = None) -> str:
        """The value of a cookie for somebody who knew a token; the token is not in it.

        It survives a restart, and is worth nothing once the token is another one.

        Args:
            now_s: seconds since 1970.
            token: the token that was known; None is the one that may change things.
        """
        until = str(int(now_s) + SESSION_S)
        return f"{until}.{_signature(token or self.token or '', until)}"

    def role_of_session(self, session: str | None, now_s: float) -> Role | None:
        """What somebody with such a cookie may do; None: it is none, or holds no more."""
        if self.token is None:
            return "write"
        until, _, signature = (session or "").partition(".")
        given = signature.encode("utf-8", "surrogateescape")
        roles = [
            role
            for known, role in self._tokens
            if hmac.compare_digest(given, _signature(known, until).encode())
        ]
        return roles[0] if roles and now_s < int(until) else None  # it is ours, so a number

    def admits_session(self, session: str | None, now_s: float) -> bool:
        """Whether that is the value of such a cookie, and still holds."""
        return self.role_of_session(session, now_s) is not None

    @property
    def _tokens(self) -> list[tuple[str, Role]]:
        readers: list[tuple[str, Role]] = [(token, "read") for token in self.read_tokens]
        return [(self.token or "", "write"), *readers]


def _signature(token: str, until: str) -> str:
    words = f"ecolite-stream page session {until}".encode("utf-8", "surrogateescape")
    return hmac.new(token.encode(), words, sha256).hexdigest()


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """Whether a proxy has passed a request on, by what proxies add to its headers."""
    names = {name.lower() for name in headers}
    return bool(names & _PROXY_HEADERS) or any(name.startswith("x-forwarded-") for name in names)


class Visitors:
    """Who is logged in, and how often each address has guessed wrongly.

    An address that sent `MOST_GUESSES` different wrong tokens or cookies within `WINDOW_S` has to
    wait: nothing it sends is compared any more, except cookies that were right before, so that
    guessing logs nobody out who shares the address. The same wrong value again is no new guess: a
    page left open sends its old cookie for ever.

    Args:
        access: what visitors must know.
        clock: seconds, monotonic.
        unix_clock: seconds since 1970.
    """

    def __init__(
        self,
        access: Access,
        clock: Callable[[], float] = time.monotonic,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._clock = clock
        self._unix_clock = unix_clock
        self._wrong: dict[str, dict[bytes, float]] = {}  # digest of a guess, when, by address
        self._right: dict[str, None] = {}

    def must_wait(self, address: str) -> bool:
        """Whether an address has no guesses left."""
        return len(self._recent(address)) >= MOST_GUESSES

    def log_in(self, address: str, token: str) -> str | None:
        """The value of a new session's cookie, if that is the token and the address may guess."""
        if self.role_of_token(address, token) is None:
            return None
        session = self._access.new_session(self._unix_clock(), token)
        self._note_right(session)
        return session

    def role_of_token(self, address: str, token: str) -> Role | None:
        """What a request with that token may do; None: nothing, or the address must wait."""
        role = None if self.must_wait(address) else self._access.role_of(token)
        if role is None:
            self._note_wrong(address, token)
        return role

    def admits(self, address: str, session: str | None) -> bool:
        """Whether a request with that cookie is answered."""
        return self.role_of(address, session) is not None

    def role_of(self, address: str, session: str | None) -> Role | None:
        """What a request with that cookie may do; None: nothing."""
        if self._access.token is None:
            return "write"
        if session is None or (session not in self._right and self.must_wait(address)):
            return None
        role = self._access.role_of_session(session, self._unix_clock())
        if role is None:
            self._note_wrong(address, session)
        else:
            self._note_right(session)
        return role

    def _note_right(self, session: str) -> None:
        self._right.pop(session, None)
        self._right[session] = None
        while len(self._right) > _MOST_REMEMBERED:
            del self._right[next(iter(self._right))]

    def _note_wrong(self, address: str, value: str) -> None:
        recent = self._recent(address)
        if len(recent) < MOST_GUESSES:
            recent[sha256(value.encode("utf-8", "surrogateescape")).digest()] = self._clock()
        self._wrong.pop(address, None)
        self._wrong[address] = recent
        while len(self._wrong) > _MOST_REMEMBERED:
            del self._wrong[next(iter(self._wrong))]

    def _recent(self, address: str) -> dict[bytes, float]:
        since_s = self._clock() - WINDOW_S
        known = self._wrong.get(address, {})
        return {digest: at_s for digest, at_s in known.items() if at_s > since_s}


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
    known = known_hosts(host, bound_to, config.hosts)
    given = given_token(config, environment)
    is_new = given is None and (known.beyond_loopback or bool(config.hosts))
    token = secrets.token_urlsafe(24) if is_new else given
    if token is None and config.read_tokens:
        raise ConfigError(
            "web.read_tokens needs web.token: without one everybody may change things"
        )
    readers = read_tokens(config)
    return Access(known.names, known.beyond_loopback, token, readers), is_new


def given_token(config: WebConfig, environment: Mapping[str, str] = os.environ) -> str | None:
    """The token of the configuration, else that of the environment; None where neither has one.

    Raises:
        ConfigError: it is too short or cannot be in a cookie.
    """
    given = config.token or environment.get(TOKEN_VARIABLE) or None
    if given is not None:
        check_token(given)
    return given


def read_tokens(config: WebConfig) -> tuple[str, ...]:
    """The tokens of those who may change nothing.

    Raises:
        ConfigError: one is too short or cannot be in a cookie.
    """
    found = tuple((config.read_tokens or "").split())
    for token in found:
        check_token(token)
    return found


def check_token(token: str) -> None:
    """Raise a ConfigError, which does not show it, unless a token can be used as one."""
    fits = token.isascii() and all(c.isalnum() or c in "-_.~" for c in token)
    if not fits or len(token) < SHORTEST_TOKEN:
        raise ConfigError(
            f"token of the page: expected at least {SHORTEST_TOKEN} letters, digits or -_.~; "
            "`openssl rand -hex 16` makes one"
        )
