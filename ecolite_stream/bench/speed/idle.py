"""What a camera costs that shows nothing, beside one that shows much; with the gate and without."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from ecolite_stream.bench.report.report import Table
from ecolite_stream.bench.speed.streams import FPS, SIZE, Load, Outcome, run_processes

CAMERAS = 20
ROUNDS = 3
MOST_OF_A_BUSY_ONE = 1 / 3
"""What a camera that shows nothing may cost, in costs of a busy one."""
_NOISE_LEVELS = 2.0


@dataclass(frozen=True)
class IdleCost:
    """Processor time of a camera's second, in milliseconds.

    Attributes:
        gate: whether the gate was on.
        cameras: how many were watched at once.
        idle: how many of them showed nothing.
        busy_ms: of a camera, where all were busy; the median of all rounds.
        idle_ms: of a camera that showed nothing; likewise.
        sustained: every camera was labelled all the time, in every round.
    """

    gate: bool
    cameras: int
    idle: int
    busy_ms: float
    idle_ms: float
    sustained: bool

    @property
    def ratio(self) -> float:
        """Cost of a camera that shows nothing, in costs of a busy one."""
        return self.idle_ms / self.busy_ms

    def to_json(self) -> dict[str, Any]:
        """Plain containers."""
        return {**vars(self), "ratio": self.ratio}


def write_idle_video(path: Path, seconds: float) -> None:
    """A still room, with the noise of a sensor, as H.264."""
    width, height = map(int, SIZE.split("x"))
    rng = np.random.default_rng(0)
    room = np.full((height, width, 3), (90, 110, 120), np.float32)
    room[height * 2 // 3 :] = (60, 70, 80)
    room[height // 4 : height // 2, width // 8 : width // 3] = (200, 190, 170)
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(round(seconds * FPS)):
            noisy = room + rng.normal(0, _NOISE_LEVELS, room.shape)
            picture = av.VideoFrame.from_ndarray(noisy.clip(0, 255).astype(np.uint8), "bgr24")
            target.mux(stream.encode(picture))
        target.mux(stream.encode())


def measure_idle(
    load: Load,
    cameras: int = CAMERAS,
    rounds: int = ROUNDS,
    on_trial: Callable[[str, int], object] = lambda what, cameras: None,
    run: Callable[[Load, Sequence[int]], Outcome] = run_processes,
) -> list[IdleCost]:
    """Watch busy cameras, then a tenth busy and the rest idle, with the gate on and off, in turns.

    Args:
        load: what each camera asks for; it has an `idle_video`.
        cameras: watched at once in one process, at least 2.
        rounds: how often each is measured.
        on_trial: called with what is measured and the cameras, before each trial.
        run: watches cameras in processes of their own.

    Raises:
        EcoliteError: a process failed.
    """
    idle = cameras - max(1, cameras // 10)
    outcomes: dict[tuple[bool, int], list[Outcome]] = {}
    for _ in range(rounds):
        for gate in (True, False):
            for count in (0, idle):
                on_trial(f"one, gate {'on' if gate else 'off'}, {count} idle", cameras)
                outcome = run(replace(load, gate=gate, idle=count), [cameras])
                outcomes.setdefault((gate, count), []).append(outcome)

    def ms(gate: bool, count: int) -> float:
        spent_s = statistics.median(outcome.cpu_s for outcome in outcomes[gate, count])
        return 1e3 * spent_s / load.video_s

    costs = []
    for gate in (True, False):
        busy_ms = ms(gate, 0) / cameras
        idle_ms = (ms(gate, idle) - busy_ms * (cameras - idle)) / idle
        trials = outcomes[gate, 0] + outcomes[gate, idle]
        sustained = all(outcome.sustained(load) for outcome in trials)
        costs.append(IdleCost(gate, cameras, idle, busy_ms, idle_ms, sustained))
    return costs


def idle_table(costs: Sequence[IdleCost], load: Load) -> Table:
    """The gate on, and off."""
    cameras, idle = costs[0].cameras, costs[0].idle
    return Table(
        f"{cameras} cameras in one process, {SIZE}, {FPS} frames and {1 / load.every_s:.3g} labels "
        f"a second",
        ("gate", "busy camera, ms/s", "idle camera, ms/s", "idle / busy", "sustained"),
        [
            (
                "on" if cost.gate else "off",
                f"{cost.busy_ms:.1f}",
                f"{cost.idle_ms:.1f}",
                f"{cost.ratio:.2f}",
                "yes" if cost.sustained else "no",
            )
            for cost in costs
        ],
        notes=(
            "processor time on all cores for a second of one camera, the median of all rounds.",
            f"busy: all {cameras} show FFmpeg's test picture. idle: {idle} of them show a still "
            f"room; what the {cameras - idle} busy ones cost is taken off.",
            f"expected with the gate: at most {MOST_OF_A_BUSY_ONE:.2f} of a busy one.",
        ),
    )
