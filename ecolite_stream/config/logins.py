"""User and password of sources: in their URLs, or apart from them by name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from ecolite_stream.config.redact import redact_url
from ecolite_stream.config.source_names import NamedSource, named_source
from ecolite_stream.errors import ConfigError

_SCHEME = re.compile(r"[A-Za-z][\w+.-]*://")
_WITH_LOGIN = re.compile(r"[A-Za-z][\w+.-]*://[^/?#]*@")


@dataclass(frozen=True)
class LoginConfig:
    """User and password of a source.

    Attributes:
        user: as the camera has it; reserved characters are escaped in the URL.
        password: likewise.
    """

    user: str = field(repr=False)
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.user:
            raise ConfigError("user is empty; name the user of the camera")

    @property
    def in_url(self) -> str:
        """Both as they stand in a URL, before the `@`."""
        return ":".join(
            quote(word, safe="", errors="surrogatepass") for word in (self.user, self.password)
        )


def split_login(url: str) -> tuple[str, str]:
    """(URL without user and password, these as they stand in it); they are empty if it has none.

    A URL that has values to hide in other places stays as it is, with nothing beside it.
    """
    shown = redact_url(url)
    scheme = _SCHEME.match(shown)
    if scheme is None or not url.startswith(scheme[0]):
        return url, ""
    rest = shown[scheme.end() :]
    if not rest or not url.endswith(f"@{rest}"):
        return url, ""
    return shown, url[scheme.end() : -len(rest) - 1]


def with_login(url: str, login: str) -> str:
    """A URL with user and password, as they stand in URLs.

    Raises:
        ConfigError: it is no URL.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ConfigError("logins are for URLs; remove the one of this source")
    return f"{scheme[0]}{login}@{url[scheme.end() :]}"


def with_logins(
    sources: tuple[str | NamedSource, ...], logins: Mapping[str, LoginConfig]
) -> tuple[str | NamedSource, ...]:
    """Sources with the user and password of their names, where their URLs have none.

    Raises:
        ConfigError: one that has a login is no URL.
    """
    return tuple(_with_login(source, logins) for source in sources)


def _with_login(source: str | NamedSource, logins: Mapping[str, LoginConfig]) -> str | NamedSource:
    named = named_source(source)
    login = logins.get(named.name or "")
    has_login = _WITH_LOGIN.match(named.url) or split_login(named.url)[1]
    if login is None or has_login:
        return source
    try:
        url = with_login(named.url, login.in_url)
    except ConfigError as error:
        raise ConfigError(f"source {named.name}: {error}") from error
    return dataclasses.replace(named, url=url)
