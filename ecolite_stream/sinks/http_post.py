"""One POST to a web server, within a time limit for all of it."""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import IO, Any

_LATE = "no answer in time"


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> str | None:
    """Post a body; return why the server did not take it, or None.

    Args:
        url: http or https, without credentials.
        body: of the request.
        headers: of the request.
        timeout_s: seconds from the connection to the end of the answer's head, redirects
            included.
    """
    request = urllib.request.Request(url, body, dict(headers), method="POST")
    with _Deadline(timeout_s) as deadline:
        opener = urllib.request.build_opener(_SameHost, _Http(deadline), _Https(deadline, _tls()))
        try:
            opener.open(request, timeout=timeout_s).close()
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
            return None
        return _LATE if deadline.is_over else reason


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


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
