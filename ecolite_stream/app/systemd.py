"""What a service manager is told of a run: that it is ready, that it gets on, that it ends.

The protocol is systemd's sd_notify: datagrams to a socket that it names in the environment.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping

_log = logging.getLogger(__name__)

_READY_POLL_S = 0.2
_BEATS_A_LIMIT = 4
"""So many looks in the time after which systemd takes a silent service for dead."""


@contextlib.contextmanager
def notify_systemd(
    heartbeat: Callable[[], int | None], environ: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Tell systemd how a run is while the block lasts, if it wants to know.

    Args:
        heartbeat: a number that changes while the run gets on; None before it is ready. While it
            stands still the watchdog is not fed, so that a run that hangs is ended.
        environ: where systemd says what it wants: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        yield
        return
    ended = threading.Event()
    limit_s = _watchdog_limit_s(environ)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:

        def tell(word: str) -> None:
            _send(sending, address, word)

        thread = threading.Thread(
            target=_watch, args=(heartbeat, tell, limit_s, ended), name="service", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(1)
            tell("STOPPING=1")


def _watch(
    heartbeat: Callable[[], int | None],
    tell: Callable[[str], None],
    limit_s: float | None,
    ended: threading.Event,
) -> None:
    while (last := heartbeat()) is None:
        if ended.wait(_READY_POLL_S):
            return
    tell("READY=1")
    while limit_s is not None and not ended.wait(limit_s / _BEATS_A_LIMIT):
        now = heartbeat()
        if now != last:
            tell("WATCHDOG=1")
        last = now


def _watchdog_limit_s(environ: Mapping[str, str]) -> float | None:
    """Seconds of silence after which this process is ended; None where nobody watches it."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    limit_us = environ.get("WATCHDOG_USEC", "")
    return int(limit_us) / 1e6 if limit_us.isdecimal() and int(limit_us) else None


def _send(sending: socket.socket, address: str, word: str) -> None:
    where = "\0" + address[1:] if address.startswith("@") else address
    try:
        sending.sendto(word.encode("ascii"), where)
    except OSError as error:
        _log.warning("the service manager cannot be told %s: %s", word, error.strerror)
