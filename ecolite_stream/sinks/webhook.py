"""Events sent to a web server, one POST each."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ecolite_stream.config.redact import redact_url
from ecolite_stream.config.strict import check_above_zero, check_at_least
from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.kind import Run, SinkKind
from ecolite_stream.types import Event


@dataclass(frozen=True)
class WebhookConfig:
    """Events posted to a web server as JSON.

    Attributes:
        url: http or https; None posts none.
        timeout_s: seconds to wait for the server.
        retry_for_s: seconds during which an event of a live stream is sent again.
    """

    url: str | None = field(default=None, repr=False)
    timeout_s: float = 5.0
    retry_for_s: float = 60.0

    def __post_init__(self) -> None:
        check_above_zero("timeout_s", self.timeout_s)
        check_at_least("retry_for_s", self.retry_for_s, 0)


class WebhookSink(Sink):
    """Posts each event as a JSON object; any answer except 2xx is an error.

    An event may arrive twice, if the first answer was lost; `event` and `kind` together identify
    it. Redirects to another host are not followed.
    """

    takes = (Event,)

    def __init__(self, url: str, timeout_s: float = 5.0, retry_for_s: float = 60.0) -> None:
        """Args:
        url: http or https; its user and password are sent as basic authentication.
        timeout_s: seconds from the connection to the end of the answer's head, redirects
            included.
        retry_for_s: seconds during which an event of a live stream is tried again.

        Raises:
            ConfigError: the URL is invalid.
        """
        self._shown = redact_url(url)
        self._timeout_s = timeout_s
        self.retry_after_s = tuple(growing_waits_s(retry_for_s))
        self._url, self._headers = _split(url, self._shown)

    def send(self, event: Event) -> None:
        self.post(event.as_dict())

    def post(self, facts: dict[str, Any]) -> None:
        """Post a JSON object.

        Raises:
            OSError: the server does not take it.
        """
        from ecolite_stream.sinks.http_post import post

        body = json.dumps(facts).encode("ascii")
        if reason := post(self._url, body, self._headers, self._timeout_s):
            raise OSError(f"{self._shown}: {reason}")

    def close(self) -> None:
        """Do nothing."""


def growing_waits_s(total_s: float) -> Iterator[float]:
    """Waits in seconds: 0.5, then doubling; their sum is `total_s`."""
    wait_s = 0.5
    while total_s > 0:
        yield min(wait_s, total_s)
        total_s -= wait_s
        wait_s *= 2


def _split(url: str, shown: str) -> tuple[str, dict[str, str]]:
    """The URL without its credentials, and the headers that carry them."""
    headers = {"Content-Type": "application/json", "User-Agent": "ecolite-stream"}
    try:
        parts = urllib.parse.urlsplit(url)
        is_web = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_web = False
    if not is_web or not url.isascii() or any(c <= " " for c in url):
        if "@" in shown:  # more of an invalid URL may be a password
            shown = "***@" + shown.rpartition("@")[2]
        raise ConfigError(f"webhook is {shown!r}; expected a URL such as https://HOST/PATH")
    credentials, at, host = parts.netloc.rpartition("@")
    if at:
        token = base64.b64encode(urllib.parse.unquote_to_bytes(credentials)).decode("ascii")
        headers["Authorization"] = f"Basic {token}"
    return urllib.parse.urlunsplit(parts._replace(netloc=host, fragment="")), headers


def _check(config: WebhookConfig, run: Run) -> str:
    assert config.url is not None
    _build(config, run)
    return f"events to {redact_url(config.url)}"


def _build(config: WebhookConfig, run: Run) -> Sink:
    assert config.url is not None
    return WebhookSink(config.url, config.timeout_s, config.retry_for_s)


SINK = SinkKind(
    "webhook",
    WebhookConfig,
    key="url",
    metavar="URL",
    help="Post each event as JSON to a web server.",
    check=_check,
    build=_build,
)
