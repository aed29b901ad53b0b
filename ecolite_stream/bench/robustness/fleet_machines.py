"""A fleet on this machine: cameras, processes that can be killed and frozen, and what they saw."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import ecolite_stream
from ecolite_stream.types import unix_ms_of

FPS = 8
_CYCLE_S = 4  # half of it moves, half of it rests: events begin and end
_SIZE = 64
_GAP_MS = 2500  # without a prediction for so long, a camera is not watched


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


class _Camera(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        number = 0
        try:
            while True:
                jpeg = _picture(number % (_CYCLE_S * FPS))
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                number += 1
                time.sleep(1 / FPS)
        except OSError:  # the reader has gone
            return

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@functools.cache
def _picture(number: int) -> bytes:
    """A JPEG: a square that goes round in the first half of a cycle, and rests in the second."""
    place = min(number, _CYCLE_S * FPS // 2) * 3 % (_SIZE - 16)
    picture = np.full((_SIZE, _SIZE, 3), 40, np.uint8)
    picture[20:40, place : place + 16] = 220
    return bytes(cv2.imencode(".jpg", picture)[1])


@dataclass
class MachineProcess:
    """A machine of the fleet: a process that is started again and again.

    Attributes:
        name: of the machine.
        fleet: the fleet's file.
        folder: gets a folder for each start, with what the process saw and logged.
    """

    name: str
    fleet: Path
    folder: Path
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, *options: str) -> None:
        """Start it."""
        self.starts += 1
        place = self.folder / f"{self.name}-{self.starts}"
        place.mkdir(parents=True)
        words = [sys.executable, "-m", "ecolite_stream", "fleet", "--config", str(self.fleet)]
        root = Path(ecolite_stream.__file__).parents[1]
        with (place / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*words, "--machine", self.name, *options],
                cwd=place,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(root)},
            )

    def signal(self, kind: signal.Signals) -> None:
        """Send a signal: SIGKILL, SIGSTOP, SIGCONT or SIGTERM."""
        assert self._process is not None
        self._process.send_signal(kind)
        if kind == signal.SIGKILL:
            self._process.wait()

    def wait(self, timeout_s: float = 30) -> int:
        """Wait for its end; return the exit code."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def end(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended; a frozen process runs."""
        return self._process is not None and self._process.poll() is None


def write_fleet(
    folder: Path,
    store: str,
    cameras: Mapping[str, str],
    machines: Mapping[str, Mapping[str, Any]],
    **settings: Any,
) -> Path:
    """Write `fleet.yaml` and `stream.yaml`; return the path of the former.

    Args:
        folder: for both files.
        store: URL of the store.
        cameras: URL by name.
        machines: settings by name.
        settings: further keys of `fleet.yaml`.
    """
    stream = {
        "source": [{"name": name, "url": url} for name, url in cameras.items()],
        "store": {"url": store, "picture_px": 0},
        "json_file": {"path": "seen.jsonl"},
        "engine": "openvino",
        "every_s": 0.4,
        "smoothing": 0,
        "events": {"enter": 0.28, "leave": 0.2, "min_s": 0, "cooldown_s": 0, "min_fill": 0},
        "reconnect": {"first_wait_s": 0.2, "longest_wait_s": 1},
    }
    fleet = {"name": "proof", "config": "stream.yaml", "machines": machines, **settings}
    (folder / "stream.yaml").write_text(json.dumps(stream))  # JSON is YAML
    path = folder / "fleet.yaml"
    path.write_text(json.dumps(fleet))
    return path


@dataclass(frozen=True)
class Span:
    """A time for which a process watched a camera without a pause.

    Attributes:
        process: folder of the process.
        camera: name of the camera.
        begin_ms, end_ms: of its first and its last prediction, ms since 1970.
    """

    process: str
    camera: str
    begin_ms: int
    end_ms: int


@dataclass(frozen=True)
class Seen:
    """What the processes of a fleet saw.

    Attributes:
        spans: by camera, in order of their begin.
        events: process by id of each event that it reported.
    """

    spans: Mapping[str, Sequence[Span]]
    events: Mapping[str, str]

    def overlaps(self) -> list[tuple[Span, Span]]:
        """Spans of one camera and two processes that have a moment in common."""
        return [
            (before, after)
            for spans in self.spans.values()
            for number, before in enumerate(spans)
            for after in spans[number + 1 :]
            if after.process != before.process and after.begin_ms <= before.end_ms
        ]

    def longest_gap_s(self, since_ms: int, until_ms: int) -> float:
        """The longest time for which a camera had no prediction, of all cameras."""
        gaps = [0]
        for spans in self.spans.values():
            ends = [since_ms, *(min(until_ms, max(since_ms, span.end_ms)) for span in spans)]
            begins = [*(min(until_ms, max(since_ms, span.begin_ms)) for span in spans), until_ms]
            gaps += [begin - end for end, begin in zip(ends, begins, strict=True)]
        return max(gaps) / 1000


def read_seen(folder: Path) -> Seen:
    """Read what all processes wrote below a folder."""
    times: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    events: dict[str, str] = {}
    for path in sorted(folder.glob("*/seen.jsonl")):
        process = path.parent.name
        for facts in _lines(path):
            if "event" in facts:
                events[facts["event"]] = process
            elif "at" in facts:
                times[facts["stream"]][process].append(unix_ms_of(facts["at"]))
    spans = {
        camera: sorted(
            (span for process, at in by.items() for span in _spans(process, camera, at)),
            key=lambda span: span.begin_ms,
        )
        for camera, by in times.items()
    }
    return Seen(spans, events)


def _spans(process: str, camera: str, times_ms: list[int]) -> Iterator[Span]:
    begin = last = None
    for at in sorted(times_ms):
        if begin is None or last is None or at - last > _GAP_MS:
            if begin is not None and last is not None:
                yield Span(process, camera, begin, last)
            begin = at
        last = at
    if begin is not None and last is not None:
        yield Span(process, camera, begin, last)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:  # the last line of a killed process
            continue


def wait_until(check: Callable[[], bool], limit_s: float) -> bool:
    """Wait until something is so; return whether it was within the limit."""
    until_s = time.monotonic() + limit_s
    while not check():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.1)
    return True
