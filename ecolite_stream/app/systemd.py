"""Notify systemd when a run is ready, alive and stopping.

The protocol is sd_notify: datagrams to a socket named in the environment.
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
"""Heartbeat checks per watchdog timeout."""


@contextlib.contextmanager
def notify_systemd(
    heartbeat: Callable[[], int | None], environ: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Notify systemd of the run's state while the block lasts, if NOTIFY_SOCKET is set.

    Args:
        heartbeat: a number that changes while the run is alive; None before it is ready. While it
            does not change, no WATCHDOG=1 is sent and systemd kills the run.
        environ: holds NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        yield
        return
    ended = threading.Event()
    limit_s = _watchdog_limit_s(environ)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:

        def notify(word: str) -> None:
            _send(sending, address, word)

        thread = threading.Thread(
            target=_watch, args=(heartbeat, notify, limit_s, ended), name="service", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(1)
            notify("STOPPING=1")


def _watch(
    heartbeat: Callable[[], int | None],
    notify: Callable[[str], None],
    limit_s: float | None,
    ended: threading.Event,
) -> None:
    while (last := heartbeat()) is None:
        if ended.wait(_READY_POLL_S):
            return
    notify("READY=1")
    while limit_s is not None and not ended.wait(limit_s / _BEATS_A_LIMIT):
        now = heartbeat()
        if now != last:
            notify("WATCHDOG=1")
        last = now


def _watchdog_limit_s(environ: Mapping[str, str]) -> float | None:
    """The watchdog timeout of this process in seconds; None without a watchdog."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    limit_us = environ.get("WATCHDOG_USEC", "")
    return int(limit_us) / 1e6 if limit_us.isdecimal() and int(limit_us) else None


def _send(sending: socket.socket, address: str, word: str) -> None:
    where = "\0" + address[1:] if address.startswith("@") else address
    try:
        sending.sendto(word.encode("ascii"), where)
    except OSError as error:
        _log.warning("cannot send %s to systemd: %s; check NOTIFY_SOCKET", word, error.strerror)
