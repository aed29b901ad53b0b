"""A fleet on this machine: processes that can be killed and frozen, and what they saw."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ecolite_stream
from ecolite_stream.types import unix_ms_of

_GAP_MS = 2500  # without a prediction for so long, a camera is not watched


@dataclass
class MachineProcess:
    """A machine of the fleet: a process that is started again and again.

    Attributes:
        name: of the machine.
        fleet: the fleet's file.
        folder: gets a folder for each start, with what the process saw and logged.
        inside: words before its command.
    """

    name: str
    fleet: Path
    folder: Path
    inside: Sequence[str] = ()
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, *options: str) -> None:
        """Start it."""
        self.starts += 1
        place = self.folder / self.current
        place.mkdir(parents=True)
        words = [sys.executable, "-m", "ecolite_stream", "fleet", "--config", str(self.fleet)]
        root = Path(ecolite_stream.__file__).parents[1]
        with (place / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*self.inside, *words, "--machine", self.name, *options],
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
    def current(self) -> str:
        """Name of the newest process, which is that of its folder."""
        return f"{self.name}-{self.starts}"

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended; a frozen process runs."""
        return self._process is not None and self._process.poll() is None


def write_fleet(
    folder: Path,
    store: str,
    cameras: Mapping[str, str],
    machines: Mapping[str, Mapping[str, Any]],
    bundle: Path | None = None,
    **settings: Any,
) -> Path:
    """Write `fleet.yaml` and `stream.yaml`; return the path of the former.

    Args:
        folder: for both files.
        store: URL of the store.
        cameras: URL by name.
        machines: settings by name.
        bundle: their model; None takes the embedded one.
        settings: further keys of `fleet.yaml`.
    """
    stream = {
        "source": [{"name": name, "url": url} for name, url in cameras.items()],
        "store": {"url": store, "picture_px": 0},
        "json_file": {"path": "seen.jsonl"},
        "engine": "openvino",
        "bundle": None if bundle is None else str(bundle),
        "every_s": 0.4,
        "smoothing": 0,
        "events": {
            **{"enter": 0.5, "leave": 0.4, "min_s": 0, "cooldown_s": 0, "min_fill": 0},
            "ignore": [],  # a figure that rests is an event, too
        },
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


class Observer:
    """Reads what the processes of a fleet saw while they write it.

    Args:
        folder: has a folder for each process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self._times_ms: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.events: dict[str, str] = {}
        """Process by id of each event that was reported."""

    def read(self) -> None:
        """Read what has been written since the last call."""
        for path in sorted(self._folder.glob("*/seen.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                lines = file.read()
            lines = lines[: lines.rfind(b"\n") + 1]
            self._offsets[path] = self._offsets.get(path, 0) + len(lines)
            for line in lines.splitlines():
                self._note(json.loads(line), path.parent.name)

    def watchers(self, camera: str, since_ms: int) -> set[str]:
        """Processes that had a prediction of a camera since then."""
        by = self._times_ms[camera]
        return {process for process, times in by.items() if times and times[-1] >= since_ms}

    def last_gap_end_ms(self, since_ms: int) -> int:
        """When the last of the cameras that were not watched was watched again, or `since_ms`."""
        ends_ms = [since_ms]
        for by in self._times_ms.values():
            times_ms = sorted(itertools.chain.from_iterable(by.values()))
            ends_ms += [b for a, b in itertools.pairwise(times_ms) if b - a > _GAP_MS]
        return max(ends_ms)

    def longest_gap_ms(self, since_ms: int) -> int:
        """The longest time without a prediction of a camera that ended after this moment."""
        gaps_ms = [0]
        for by in self._times_ms.values():
            times_ms = sorted(itertools.chain.from_iterable(by.values()))
            gaps_ms += [b - a for a, b in itertools.pairwise(times_ms) if b >= since_ms]
        return max(gaps_ms)

    def last_ms(self, process: str) -> int:
        """When a process had its last prediction, ms since 1970; 0 where it had none."""
        times_ms = (by[process][-1] for by in self._times_ms.values() if by.get(process))
        return max(times_ms, default=0)

    def overlaps(self) -> list[tuple[Span, Span]]:
        """Spans of one camera and two processes that have a moment in common."""
        return [
            (before, after)
            for camera in self._times_ms
            for before, after in itertools.combinations(self.spans(camera), 2)
            if after.process != before.process and after.begin_ms <= before.end_ms
        ]

    def spans(self, camera: str) -> list[Span]:
        """When which process watched a camera, in order of the begin."""
        spans = (
            span
            for process, times in self._times_ms[camera].items()
            for span in _spans(process, camera, times)
        )
        return sorted(spans, key=lambda span: span.begin_ms)

    def _note(self, facts: dict[str, Any], process: str) -> None:
        if "event" in facts:
            self.events[facts["event"]] = process
        elif "at" in facts:
            self._times_ms[facts["stream"]][process].append(unix_ms_of(facts["at"]))


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


def wait_until(check: Callable[[], bool], limit_s: float) -> bool:
    """Wait until something is so; return whether it was within the limit."""
    until_s = time.monotonic() + limit_s
    while not check():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.1)
    return True
