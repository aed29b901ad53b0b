"""Find how many cameras a machine sustains, in one process for all and in one process for each.

A camera is a 320x240 H.264 video at 25 frames a second, decoded at its own pace as a live source:
overload drops frames. It is sustained if all its labels come in time.

python -m ecolite_stream.bench.speed.streams LOAD CAMERAS     one process; waits for a line
"""

from __future__ import annotations

import functools
import json
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np

from ecolite_stream.bench.measuring.process_tree import cpu_s, peak_mb
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.engines import Engine, open_engine
from ecolite_stream.errors import EcoliteError
from ecolite_stream.model.bundle import read_bundle
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.sinks import Sink
from ecolite_stream.sources import FileSource, Paced, Source
from ecolite_stream.types import Frame, Prediction

SIZE = "320x240"
FPS = 25
ENOUGH = 0.95
"""Share of the labels due that a sustained camera gets."""
MOST_LATE_S = 1.0
"""How late a sustained camera's video may end, in seconds."""


@dataclass(frozen=True)
class Load:
    """Load of each camera.

    Attributes:
        bundle: the model's folder.
        engine: its name.
        video: of every camera.
        video_s: its length in seconds.
        every_s: seconds between two labels.
        precision: what the engine computes in; None is its own default.
        gate: whether pictures in which nothing moves are spared.
        idle: how many cameras of a process see the idle video in place of the video.
        idle_video: what these see, as long as the video.
    """

    bundle: Path
    engine: str
    video: Path
    video_s: float
    every_s: float = 0.5
    precision: str | None = None
    gate: bool = True
    idle: int = 0
    idle_video: Path | None = None

    def command(self, cameras: int) -> list[str]:
        """Command line of a process for that many cameras."""
        words = json.dumps(asdict(self), default=str)
        return [sys.executable, "-m", __name__, words, str(cameras)]

    @classmethod
    def from_json(cls, words: str) -> Load:
        """Parse the load of a `command`."""
        facts = json.loads(words)
        paths = ("bundle", "video", "idle_video")
        return cls(**{**facts, **{key: Path(facts[key]) for key in paths if facts[key]}})

    def video_of(self, camera: int) -> Path:
        """What the camera of this number sees; the first ones show nothing."""
        if self.idle_video is not None and camera < self.idle:
            return self.idle_video
        return self.video


@dataclass(frozen=True)
class Outcome:
    """Result of the cameras of one process, or of several together.

    Attributes:
        labels: of each camera, fewest first.
        late_s: how late the last video ended, in seconds.
        latency_ms: age of the frame behind a label, 95th percentile.
        cpu_s: processor time on all cores, from the first frames to the end, with engines.
        peak_mb: peak resident memory in 10^6 bytes, likewise; None if the system lacks it.
    """

    labels: tuple[int, ...]
    late_s: float
    latency_ms: float
    cpu_s: float = 0.0
    peak_mb: float | None = None

    def sustained(self, load: Load) -> bool:
        """Whether every camera was labelled all the time."""
        due = int(load.video_s / load.every_s) - 1
        return min(self.labels) >= ENOUGH * due and self.late_s <= MOST_LATE_S


def write_camera_video(path: Path, seconds: float) -> None:
    """Write the cameras' video: FFmpeg's test picture as H.264."""
    picture = f"testsrc2=size={SIZE}:rate={FPS}:duration={seconds}"
    with av.open(picture, format="lavfi") as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height = map(int, SIZE.split("x"))
        stream.pix_fmt = "yuv420p"
        for frame in source.decode(video=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode())


class Camera(Source):
    """A video at its own pace, as a live source."""

    live = True

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._source = Paced(FileSource(path, name=name))

    def __next__(self) -> Frame:
        return next(self._source)

    def close(self) -> None:
        self._source.close()


class _Collected(Sink):
    """Counts labels and records their ages."""

    def __init__(self) -> None:
        self.labels: Counter[str] = Counter()
        self.latencies_ms: list[float] = []

    def send(self, prediction: Prediction) -> None:
        self.labels[prediction.stream] += 1
        self.latencies_ms.append(prediction.latency_ms or 0.0)

    def close(self) -> None:
        pass


class _Start:
    """Starts all cameras when a line arrives; records the time."""

    def __init__(self) -> None:
        self._asked = threading.Lock()
        self.started_s: float | None = None
        self.started_cpu_s = 0.0

    def open(self, path: Path, name: str) -> Source:
        with self._asked:
            if self.started_s is None:  # the engine is open
                print("ready", flush=True)
                sys.stdin.readline()
                self.started_s, self.started_cpu_s = time.monotonic(), cpu_s()
        return Camera(path, name)


class Measured:
    """An engine that records its cost before it is closed, since its own process then ends.

    Attributes:
        cpu_s: processor time in seconds; 0 until it is closed.
        peak_mb: peak resident memory in 10^6 bytes; None until it is closed.
    """

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.encode = engine.encode
        self.classify = engine.classify
        self.cpu_s = 0.0
        self.peak_mb: float | None = None
        self._close = engine.close

    def close(self) -> None:
        self.cpu_s, self.peak_mb = cpu_s(), peak_mb()
        self._close()


def run_cameras(load: Load, cameras: int) -> Outcome:
    """Run that many cameras in this process."""
    bundle = read_bundle(load.bundle)
    start = _Start()
    names = [f"camera {number}" for number in range(cameras)]
    streams = [
        StreamInput(name, functools.partial(start.open, load.video_of(number), name))
        for number, name in enumerate(names)
    ]
    sink = _Collected()
    opened: list[Measured] = []

    def open_measured() -> Measured:
        opened.append(Measured(open_engine(load.engine, bundle, precision=load.precision)))
        return opened[0]

    config = StreamConfig(every_s=load.every_s, gate=load.gate)
    Pipeline(streams, open_measured, bundle.spec, [sink], config).run()
    taken_s = time.monotonic() - (start.started_s or 0.0)
    return Outcome(
        tuple(sorted(sink.labels[name] for name in names)),
        taken_s - load.video_s,
        float(np.percentile(sink.latencies_ms or [np.inf], 95)),
        opened[0].cpu_s - start.started_cpu_s,
        opened[0].peak_mb,
    )


def run_processes(load: Load, cameras_each: Sequence[int]) -> Outcome:
    """Run cameras in one process each, which start together.

    Raises:
        EcoliteError: one of them failed.
    """
    processes: list[subprocess.Popen[str]] = []
    try:
        for cameras in cameras_each:
            processes.append(
                subprocess.Popen(
                    load.command(cameras),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        for process in processes:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise EcoliteError("a process of the benchmark did not start; see its error above")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outcomes = [Outcome(**json.loads(process.communicate()[0])) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    peaks = [outcome.peak_mb for outcome in outcomes]
    return Outcome(
        tuple(sorted(labels for outcome in outcomes for labels in outcome.labels)),
        max(outcome.late_s for outcome in outcomes),
        max(outcome.latency_ms for outcome in outcomes),
        sum(outcome.cpu_s for outcome in outcomes),
        None if None in peaks else sum(filter(None, peaks)),
    )


def most_sustained(try_count: Callable[[int], bool], most: int) -> int:
    """The largest count up to `most` that holds, by doubling and bisection."""
    good, bad = 0, 1
    while bad <= most and try_count(bad):
        good, bad = bad, 2 * bad
    bad = min(bad, most + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        if try_count(middle):
            good = middle
        else:
            bad = middle
    return good


def compare(
    load: Load,
    most: int,
    on_trial: Callable[[str, int], object] = lambda processes, cameras: None,
) -> dict[str, tuple[int, Outcome]]:
    """(cameras sustained, result) in one process, and in one process each.

    Args:
        load: of each camera.
        most: cameras to try.
        on_trial: called before each trial with `one` or `one each`, and the cameras.

    Raises:
        EcoliteError: a process failed.
    """

    def search(name: str, processes_for: Callable[[int], list[int]]) -> tuple[int, Outcome]:
        outcomes: dict[int, Outcome] = {}

        def holds(count: int) -> bool:
            on_trial(name, count)
            outcomes[count] = run_processes(load, processes_for(count))
            return outcomes[count].sustained(load)

        count = most_sustained(holds, most)
        return count, outcomes[max(1, count)]

    arrangements = {"one": lambda count: [count], "one each": lambda count: [1] * count}
    return {name: search(name, processes_for) for name, processes_for in arrangements.items()}


def what_counts(most: int) -> str:
    """The rule, as a line below the table."""
    return (
        f"sustained: every camera gets {ENOUGH:.0%} of the labels due and its video ends at most "
        f"{MOST_LATE_S:g} s late; up to {most} cameras were tried."
    )


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # dropped frames are the measurement
    outcome = run_cameras(Load.from_json(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(asdict(outcome)))
