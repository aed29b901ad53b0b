"""A network to a server that can be cut: a TCP proxy on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading


class CutProxy:
    """Passes connections on to a server, until it is cut.

    Args:
        host, port: of the server.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._open.set()
        self._ended = False
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Let nothing through, in either direction; connections stay open, as in a real cut."""
        self._open.clear()

    def heal(self) -> None:
        """Let everything through again, also what waits."""
        self._open.set()

    def close(self) -> None:
        """End it."""
        self._ended = True
        self._open.set()
        self._listening.close()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._open.wait()
        try:
            server = socket.create_connection(self._server, timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for reads, writes in ((client, server), (server, client)):
            threading.Thread(target=self._pass_on, args=(reads, writes), daemon=True).start()

    def _pass_on(self, reads: socket.socket, writes: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while some := reads.recv(65536):
                self._open.wait()
                writes.sendall(some)
        for one in (reads, writes):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
