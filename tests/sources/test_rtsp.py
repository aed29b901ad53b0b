"""Against a real RTSP server: read, killed, started again, frozen, changed, and losing packets."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path
from typing import cast

import pytest

from ecolite_stream.config.schema import ReconnectConfig
from ecolite_stream.errors import SourceError
from ecolite_stream.sources import open_source
from ecolite_stream.sources.container import ContainerSource
from ecolite_stream.sources.probe import Probe
from ecolite_stream.sources.reconnect import Reconnecting
from ecolite_stream.types import Frame
from tests.conftest import installed
from tests.observability.test_monitoring import free_port
from tests.rtsp import RtspServer, skip_without_rtsp

pytestmark = pytest.mark.timeout(120)

SECRET = "hush-hush"
LOCKED = ("--user", "me", "--password", SECRET)
RECONNECT = ReconnectConfig(first_wait_s=0.2, longest_wait_s=0.5, silent_s=1.5)


@pytest.fixture(autouse=True, scope="module")
def _server_is_installed() -> None:
    skip_without_rtsp()


def check_order(frames: list[Frame]) -> None:
    """Indices and times go on, whatever happened."""
    assert [frame.index for frame in frames] == list(range(frames[0].index, frames[-1].index + 1))
    assert all(a.time_s < b.time_s for a, b in pairwise(frames))


@pytest.mark.parametrize(("scheme", "protocol"), [("rtsp", "tcp"), ("rtspu", "udp")])
def test_over_tcp_and_udp(scheme: str, protocol: str) -> None:
    """The server offers nothing else, so it is what was asked for."""
    with (
        RtspServer("--protocol", protocol, *LOCKED) as server,
        open_source(f"{scheme}://me:{SECRET}@{server.address}") as source,
    ):
        assert (source.name, source.live) == (f"{scheme}://{server.address}", True)
        frames = list(islice(source, 45))
    check_order(frames)
    assert frames[-1].image.shape == (120, 160, 3)
    assert frames[-1].image.std() > 20
    assert frames[-1].time_s - frames[0].time_s == pytest.approx(44 / 15, rel=0.5)


@pytest.mark.parametrize(("scheme", "protocol"), [("rtsp", "udp"), ("rtspu", "tcp")])
def test_the_other_way_is_named(scheme: str, protocol: str) -> None:
    with (
        RtspServer("--protocol", protocol) as server,
        pytest.raises(SourceError, match=r"does not send in this way; try rtspu:// for video"),
    ):
        open_source(f"{scheme}://{server.address}")


@pytest.mark.parametrize("who", ["", "me:wrong-secret@", "you:wrong-secret@"])
def test_who_may_not_look(who: str, caplog: pytest.LogCaptureFixture) -> None:
    with (
        RtspServer(*LOCKED) as server,
        pytest.raises(SourceError, match=r"127\.0\.0\.1:\d+/live: the server answered 401") as no,
    ):
        open_source(f"rtsp://{who}{server.address}")
    assert "wrong-secret" not in str(no.value) + caplog.text


def test_a_path_that_is_not_there() -> None:
    with RtspServer() as server, pytest.raises(SourceError, match="404: not found"):
        open_source(f"rtsp://{server.address}-not")


class Watch:
    """Reads a source that reconnects, in a thread, and keeps what came of it."""

    def __init__(self, url: str) -> None:
        self.states: list[str] = []
        self.frames: list[Frame] = []
        self.shapes: list[tuple[int, ...]] = []
        self._came = threading.Condition()
        self.source = Reconnecting(
            "door", lambda: open_source(url, name="door"), RECONNECT, on_state=self._state
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _state(self, state: str) -> None:
        with self._came:
            self.states.append(state)
            self._came.notify_all()

    def _run(self) -> None:
        for frame in self.source:
            with self._came:
                self.frames.append(frame)
                self.shapes.append(frame.image.shape)
                self._came.notify_all()

    def wait_for_frames(self, more: int) -> None:
        with self._came:
            wanted = len(self.frames) + more
            assert self._came.wait_for(lambda: len(self.frames) >= wanted, 60), self.states

    def wait_for_state(self, state: str) -> None:
        with self._came:
            assert self._came.wait_for(lambda: self.states[-1:] == [state], 60), self.states

    def close(self) -> None:
        self.source.close()
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def watching(server: RtspServer, scheme: str = "rtsp") -> Iterator[Watch]:
    watch = Watch(f"{scheme}://{server.address}")
    try:
        watch.wait_for_frames(5)
        yield watch
    finally:
        watch.close()
    check_order(watch.frames)


@pytest.mark.parametrize("scheme", ["rtsp", "rtspu"])
def test_killed_and_started_again(scheme: str) -> None:
    with RtspServer() as server, watching(server, scheme) as watch:
        server.kill()
        watch.wait_for_state("waiting")
        count = len(watch.frames)
        server.start()
        watch.wait_for_frames(10)
        gap_s = watch.frames[count].time_s - watch.frames[count - 1].time_s
    assert watch.states[:2] == ["connecting", "live"]
    assert watch.states[-1] == "live"
    assert gap_s > 0.2


@pytest.mark.parametrize("scheme", ["rtsp", "rtspu"])
def test_frozen_with_its_socket_open(scheme: str) -> None:
    with RtspServer() as server, watching(server, scheme) as watch:
        server.freeze()
        watch.wait_for_state("waiting")
        server.thaw()
        watch.wait_for_state("live")
        watch.wait_for_frames(10)
    assert "stalled" in watch.states


def test_started_again_with_another_picture() -> None:
    with RtspServer() as server, watching(server) as watch:
        server.kill()
        server.start("--size", "320x240", "--fps", "10")
        watch.wait_for_state("live")
        watch.wait_for_frames(20)
    assert watch.shapes[0] == (120, 160, 3)
    assert watch.shapes[-1] == (240, 320, 3)


def test_down_at_first() -> None:
    server = RtspServer()
    watch = Watch(f"rtsp://{server.address}")
    try:
        watch.wait_for_state("waiting")
        with server:
            watch.wait_for_frames(5)
    finally:
        watch.close()


@pytest.mark.slow
def test_lost_packets() -> None:
    """Five in a hundred over UDP: pictures suffer, the stream goes on."""
    with (
        RtspServer("--loss", "0.05", "--fps", "30") as server,
        watching(server, "rtspu") as watch,
    ):
        watch.wait_for_frames(250)
    assert set(watch.states) <= {"connecting", "live", "stalled"}
    steps_s = [b.time_s - a.time_s for a, b in pairwise(watch.frames)]
    assert max(steps_s[60:]) > 1.5 / 30  # after what came in one piece: a picture is missing


def test_check_finds_the_keyframes_and_the_clock() -> None:
    with RtspServer("--keyframes", "30") as server:
        url = f"rtsp://{server.address}"
        measured = Probe("it", lambda: cast(ContainerSource, open_source(url))).measure(9)
    assert measured.live and measured.has_times and measured.jumps == 0
    assert (measured.codec, measured.width, measured.height) == ("h264", 160, 120)
    assert measured.keyframe_s == pytest.approx(2.0, rel=0.1)
    assert measured.fps == pytest.approx(15, rel=0.1)


# The whole program


class Run:
    """`ecolite-stream` beside a server, its lines as they come."""

    def __init__(self, config: Path) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "ecolite_stream", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NOTIFY_SOCKET": ""},
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def wait_for(self, words: str) -> str:
        while True:
            try:
                line = self._lines.get(timeout=60)
            except queue.Empty:
                raise AssertionError(f"no {words!r} within 60 s, but {self.said!r}") from None
            self.said += line
            if words in line:
                return line

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        self._thread.join(20)
        while not self._lines.empty():
            self.said += self._lines.get()
        return code


def test_a_run_outlives_its_camera_and_shows_no_password(tmp_path: Path) -> None:
    installed("openvino")
    port, path = free_port(), tmp_path / "c.yaml"
    with RtspServer("--fps", "10", *LOCKED) as server:
        url = f"rtsp://me:{SECRET}@{server.address}?token={SECRET}"
        reconnect = {"first_wait_s": 0.2, "longest_wait_s": 0.5, "silent_s": 1.5}
        settings = {"source": url, "json": True, "metrics": str(port), "reconnect": reconnect}
        path.write_text(json.dumps(settings))
        run = Run(path)
        try:
            first = json.loads(run.wait_for('"label"'))
            server.kill()
            run.wait_for("lost (")
            server.start()
            run.wait_for("live again")
            second = json.loads(run.wait_for('"label"'))
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                metrics = answer.read().decode()
            code = run.end()
        finally:
            run.process.kill()
    name = f"rtsp://{server.address}?token=***"
    assert first["stream"] == second["stream"] == name
    assert second["time_s"] > first["time_s"]
    assert f'ecolite_stream_reconnects_total{{stream="{name}"}} 1.0' in metrics
    assert code == 130
    assert SECRET not in run.said + metrics
