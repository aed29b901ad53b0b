"""Cameras of a fleet that is tried: over HTTP, or of a real RTSP server."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ecolite_stream.bench.robustness.rtsp import RtspServer

FPS = 8
_CYCLE_S = 4  # half of it moves, half of it rests: events begin and end
_SIZE = 64


class CameraServer:
    """Cameras that send MJPEG over HTTP, as web cameras do; any path is a camera."""

    def __enter__(self) -> CameraServer:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Camera)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, name: str) -> str:
        """The URL of a camera."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}"


def rtsp_cameras(
    names: Sequence[str], folder: Path, host: str = "127.0.0.1", inside: Sequence[str] = ()
) -> RtspServer:
    """An RTSP server with a camera for each name, which shows the same as those over HTTP.

    Args:
        names: of the cameras; the paths of their URLs.
        folder: gets the file of their frames, which has to stay.
        host: the address to listen at.
        inside: words before the server's command.
    """
    frames = folder / "frames.i420"
    pictures = (cv2.cvtColor(_picture(n), cv2.COLOR_BGR2YUV_I420) for n in range(_CYCLE_S * FPS))
    frames.write_bytes(b"".join(picture.tobytes() for picture in pictures))
    paths = [word for name in names for word in ("--path", f"/{name}")]
    shown = ("--frames", frames, "--size", f"{_SIZE}x{_SIZE}", "--fps", FPS, "--keyframes", FPS)
    return RtspServer("--host", host, *shown, *paths, host=host, inside=inside)


class _Camera(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        number = 0
        try:
            while True:
                jpeg = _jpeg(number % (_CYCLE_S * FPS))
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                number += 1
                time.sleep(1 / FPS)
        except OSError:  # the reader has gone
            return

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@functools.cache
def _jpeg(number: int) -> bytes:
    return bytes(cv2.imencode(".jpg", _picture(number))[1])


def _picture(number: int) -> NDArray[np.uint8]:
    """A figure that swings arms and legs in the first half of a cycle, and rests in the second."""
    phase = abs(min(number, _CYCLE_S * FPS // 2) % 8 - 4) / 4
    angle = 1.2 * (2 * phase - 1)
    picture = np.full((_SIZE, _SIZE, 3), 40, np.uint8)
    bright, x = (220, 220, 220), _SIZE // 2
    cv2.circle(picture, (x, 16), 5, bright, -1)
    cv2.line(picture, (x, 20), (x, 40), bright, 4)
    for side in (-1, 1):
        hand = (round(x + side * 16 * math.cos(angle)), round(24 - 16 * math.sin(angle)))
        foot = (round(x + side * (3 + 9 * phase)), 58)
        cv2.line(picture, (x, 24), hand, bright, 3)
        cv2.line(picture, (x, 40), foot, bright, 3)
    return picture
