"""A real RTSP server, if GStreamer's is installed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("rtsp_server.py")
NEEDED = (
    "import gi; gi.require_version('GstRtspServer', '1.0');"
    "from gi.repository import Gst, GstRtspServer; Gst.init(None);"
    "assert all(map(Gst.ElementFactory.find, ['x264enc', 'rtph264pay', 'videotestsrc']))"
)
PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-ugly"
)


class RtspServer:
    """A server on its own port that can be killed, restarted and frozen.

    Args:
        options: as `rtsp_server.py` takes them.
        host: the address that it listens at.
        inside: words before its command.
    """

    def __init__(
        self, *options: object, host: str = "127.0.0.1", inside: Sequence[str] = ()
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.address = f"{host}:{self.port}/live"
        self._host = host
        self._inside = inside
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def url(self, name: str) -> str:
        """The URL of a camera whose path is its name."""
        return f"rtsp://{self._host}:{self.port}/{name}"

    def start(self, *options: object) -> None:
        """Start it, with other options if there are any; returns once it listens."""
        self._options = options or self._options
        words = [*self._inside, PYTHON, SCRIPT, "--port", self.port, *self._options]
        self._process = subprocess.Popen(
            list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """Kill it, like a power failure."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=20)
            self._process = None

    def freeze(self) -> None:
        """Freeze it; its connections stay open."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Thaw it."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


def why_not() -> str | None:
    """Why this machine cannot run the server, or None."""
    try:
        result = subprocess.run([PYTHON, "-c", NEEDED], capture_output=True, timeout=60)
    except OSError:
        return f"there is no {PYTHON}"
    return f"no RTSP server is installed (Debian: {PACKAGES})" if result.returncode else None
