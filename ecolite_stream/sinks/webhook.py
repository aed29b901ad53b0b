"""Events sent to a web server, one POST each."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import IO, Any

from ecolite_stream.config.redact import redact_url
from ecolite_stream.config.strict import check_above_zero, check_at_least
from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.kind import Run, SinkKind
from ecolite_stream.types import Event

_LATE = "no answer in time"


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
        self._tls = ssl.create_default_context()

    def send(self, event: Event) -> None:
        self.post(event.as_dict())

    def post(self, facts: dict[str, Any]) -> None:
        """Post a JSON object.

        Raises:
            OSError: the server does not take it.
        """
        body = json.dumps(facts).encode("ascii")
        request = urllib.request.Request(self._url, body, self._headers, method="POST")
        with _Deadline(self._timeout_s) as deadline:
            opener = urllib.request.build_opener(
                _SameHost, _Http(deadline), _Https(deadline, self._tls)
            )
            try:
                opener.open(request, timeout=self._timeout_s).close()
            except urllib.error.HTTPError as error:
                error.close()
                reason = f"the server answered {error.code}"
            except _ElsewhereError as error:
                reason = str(error)
            except urllib.error.URLError as error:
                reason = _reason(error.reason)
            except (OSError, HTTPException, ValueError) as error:  # the last of a bad Location
                reason = _reason(error)
            else:
                return
            raise OSError(f"{self._shown}: {_LATE if deadline.is_over else reason}")

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


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return _LATE
    return getattr(error, "strerror", None) or type(error).__name__


class _ElsewhereError(Exception):
    """A redirect that is not followed."""


class _Deadline:
    """Shuts down the connections of a request at its deadline.

    A socket's timeout holds for each read, so a server that sends single bytes would never exceed
    it.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections = []

    def watch(self, connection: socket.socket) -> None:
        """Add a connection: a duplicate of its socket, because TLS takes the socket over."""
        with self._lock:
            if self.is_over:
                raise TimeoutError
            self._connections.append(connection.dup())

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            for connection in self._connections:
                with contextlib.suppress(OSError):  # it is closed
                    connection.shutdown(socket.SHUT_RDWR)


class _Watched(HTTPConnection):
    """A connection with a deadline."""

    deadline: _Deadline

    def connect(self) -> None:
        super().connect()
        self.deadline.watch(self.sock)


class _WatchedTls(HTTPSConnection, _Watched):
    """`HTTPSConnection.connect` calls `_Watched.connect` before TLS."""


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        def connection(host: str, **how: Any) -> HTTPConnection:
            made = _Watched(host, **how)
            made.deadline = self._deadline
            return made

        return self.do_open(connection, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: _Deadline, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._deadline = deadline
        self._tls = context

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        def connection(host: str, **how: Any) -> HTTPConnection:
            made = _WatchedTls(host, context=self._tls, **how)
            made.deadline = self._deadline
            return made

        return self.do_open(connection, req)


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects within a host and scheme, and repeats the POST."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if (old.scheme, old.netloc) != (new.scheme, new.netloc):
            raise _ElsewhereError(_elsewhere(old, new))
        return urllib.request.Request(newurl, req.data, dict(req.headers), method="POST")


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


def _elsewhere(old: urllib.parse.SplitResult, new: urllib.parse.SplitResult) -> str:
    """The reason why a redirect is not followed, and what to do."""
    if old.hostname != new.hostname:
        return "it redirects to another host, which is not followed; set webhook.url to that host"
    if old.scheme != new.scheme:
        return (
            f"it redirects from {old.scheme} to {new.scheme} on the same host, which is not "
            f"followed; write {new.scheme}:// in webhook.url"
        )
    return "it redirects to another port, which is not followed; write the port in webhook.url"
