"""Measure the outage of a lost camera: the numbers of docs/reliability.md.

    python -m ecolite_stream.bench.robustness.lost_camera

Beside a real RTSP server (see `rtsp.py`), with the defaults of `ReconnectConfig`. It takes
about five minutes and prints a table.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import click

from ecolite_stream.app.entry import run
from ecolite_stream.bench.robustness.rtsp import RtspServer, why_not
from ecolite_stream.errors import ConfigError
from ecolite_stream.sources import open_source
from ecolite_stream.sources.reconnect import Reconnecting

RUNS = 3
AWAY_S = 5.0
FROZEN_S = 15.0
WATCHED_S = 30.0
FPS = 15
_LIMIT_S = 60.0


@dataclass
class Watch:
    """Reads a stream as a run does; records its states and the times of frames."""

    url: str
    changes: list[tuple[str, float]] = field(default_factory=list)
    frames_s: list[float] = field(default_factory=list)
    reconnects: int = 0

    def __post_init__(self) -> None:
        self._came = threading.Condition()
        self._source = Reconnecting(
            "camera",
            lambda: open_source(self.url, name="camera", end_is_worth_a_warning=False),
            on_state=self._note,
            on_reconnect=self._count,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _count(self) -> None:
        self.reconnects += 1

    def _note(self, state: str) -> None:
        with self._came:
            self.changes.append((state, time.monotonic()))
            self._came.notify_all()

    def _read(self) -> None:
        for _ in self._source:
            with self._came:
                self.frames_s.append(time.monotonic())
                self._came.notify_all()

    def state_after(self, since_s: float, *states: str) -> float:
        """Seconds from a moment until it is in one of these states."""

        def found() -> float | None:
            times = (at - since_s for state, at in self.changes if state in states)
            return next((passed_s for passed_s in times if passed_s > 0), None)

        return self._wait_for(found)

    def frame_after(self, since_s: float) -> float:
        """Seconds from a moment until the next frame."""
        return self._wait_for(
            lambda: next((at - since_s for at in self.frames_s if at > since_s), None)
        )

    def _wait_for(self, found: Callable[[], float | None]) -> float:
        with self._came:
            if not self._came.wait_for(lambda: found() is not None, _LIMIT_S):
                raise TimeoutError(f"nothing in {_LIMIT_S:g} s: {self.changes}")
            passed_s = found()
        assert passed_s is not None
        return passed_s

    def close(self) -> None:
        self._source.close()


def killed(server: RtspServer, watch: Watch) -> tuple[float, float]:
    """(seconds until it is detected, seconds from the server's return to the next frame)"""
    start_s = time.monotonic()
    server.kill()
    noticed_s = watch.state_after(start_s, "stalled", "waiting")
    time.sleep(max(0.0, start_s + AWAY_S - time.monotonic()))
    server.start()
    return noticed_s, watch.frame_after(time.monotonic())


def frozen(server: RtspServer, watch: Watch) -> tuple[float, float]:
    """Likewise, of a server whose sockets stay open."""
    server.freeze()
    start_s = time.monotonic()
    noticed_s = watch.state_after(start_s, "stalled", "waiting")
    time.sleep(max(0.0, start_s + FROZEN_S - time.monotonic()))
    server.thaw()
    return noticed_s, watch.frame_after(time.monotonic())


def missed(
    scheme: str, what: Callable[[RtspServer, Watch], tuple[float, float]]
) -> tuple[list[float], list[float]]:
    """What `what` measures, of each of several runs."""
    runs = []
    for _ in range(RUNS):
        with RtspServer("--fps", FPS) as server:
            watch = Watch(f"{scheme}://{server.address}")
            watch.frame_after(0.0)
            runs.append(what(server, watch))
            watch.close()
    return [noticed for noticed, _ in runs], [back for _, back in runs]


def losing(loss: float) -> tuple[float, int]:
    """(share of frames that came over UDP, times it was opened again)"""
    with RtspServer("--fps", FPS, "--loss", loss) as server:
        watch = Watch(f"rtspu://{server.address}")
        watch.frame_after(0.0)
        start_s = time.monotonic() + 3.0  # frames buffered while opening do not count
        time.sleep(3.0 + WATCHED_S)
        came = sum(start_s <= at < start_s + WATCHED_S for at in watch.frames_s)
        watch.close()
    return came / (WATCHED_S * FPS), watch.reconnects


def shown(times_s: list[float]) -> str:
    return f"{statistics.median(times_s):.1f} ({min(times_s):.1f} to {max(times_s):.1f})"


@click.command()
def main() -> None:
    """Print the tables.

    Raises:
        ConfigError: this machine has no RTSP server.
    """
    if reason := why_not():
        raise ConfigError(reason)
    print("| what happens | over | noticed after, s | frames again after its return, s |")
    print("| --- | --- | --- | --- |")
    for what, name in (
        (killed, f"killed, started again after {AWAY_S:g} s"),
        (frozen, f"frozen for {FROZEN_S:g} s, sockets open"),
    ):
        for scheme, over in (("rtsp", "TCP"), ("rtspu", "UDP")):
            noticed_s, back_s = missed(scheme, what)
            print(f"| {name} | {over} | {shown(noticed_s)} | {shown(back_s)} |", flush=True)
    print("\n| packets lost over UDP | frames that came | opened again |\n| --- | --- | --- |")
    for loss in (0.0, 0.05):
        share, reconnects = losing(loss)
        print(f"| {loss:.0%} | {share:.0%} | {reconnects} |", flush=True)


if __name__ == "__main__":
    run(main)
