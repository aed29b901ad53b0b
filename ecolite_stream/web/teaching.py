"""A teaching as a process of its own: `python -m trainer.teach`, its progress and its report."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from ecolite_stream.config.printable import printable
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.types import iso_utc
from ecolite_stream.web.trainings_folder import delete_old_trainings, trainings_folder

State = Literal["idle", "running", "done", "failed", "stopped"]
LONGEST_S = 3600.0
LONGEST_THOROUGH_S = 12 * 3600.0
_NICE = 10
"""The run goes before."""
_MOST_LINES = 200
_LONGEST_LINE = 2000  # characters
_MOST_REPORT = 10_000_000  # bytes
_END_S = 5.0
_STOP_S = 30.0
"""A training finishes what it writes, for at most 20 s."""
_PROGRESS = re.compile(
    r"progress: (\d{1,9})/(\d{1,9})(?P<epochs> epochs(?:, (?P<left_s>\d{1,9}) s left)?)?"
)


@dataclass(frozen=True)
class Teaching:
    """Where a teaching stands.

    Attributes:
        state: `idle` before the first one.
        stopping: whether it was stopped and has not ended yet.
        clips_done: clips whose features are there.
        clips: all of them; 0 where that is not known yet.
        thorough: whether all layers are trained.
        epochs_done: epochs that are done, of all trainings.
        epochs: all of them; 0 before the first training.
        left_s: how long the rest of them takes; None where that is not known yet.
        lines: what it printed, the newest last.
        report: what `trainer.teach --json` writes; None before it is done.
        error: why it failed, in a line.
        bundle: folder of the taught bundle, once it is done.
    """

    state: State = "idle"
    stopping: bool = False
    clips_done: int = 0
    clips: int = 0
    thorough: bool = False
    epochs_done: int = 0
    epochs: int = 0
    left_s: float | None = None
    lines: tuple[str, ...] = ()
    report: dict[str, Any] | None = None
    error: str = ""
    bundle: Path | None = None


def why_not_teach() -> str | None:
    """Why nothing can be taught here, and what to do; None where it can."""
    if find_spec("trainer") is None:
        return "teaching needs the package trainer of this project, which is not installed"
    if find_spec("onnx") is None:
        return (
            "teaching needs onnx, which is not installed; run pip install 'ecolite-stream[teach]'"
        )
    return None


def why_not_thorough(bundle: Bundle) -> str | None:
    """Why not all layers of a bundle can be trained here, and what to do; None where they can."""
    if find_spec("mindspore") is None:
        return (
            "the thorough way needs MindSpore, which is not installed; run "
            "pip install 'ecolite-stream[teach,train]'"
        )
    if not bundle.has_weights:
        return (
            "the thorough way needs mindir graphs, which hold the weights to train, and the model "
            "that runs now has none; use a version that has them, such as the embedded one"
        )
    return None


@dataclass
class _Job:
    """One process, the folder it writes to, and how it ends."""

    process: subprocess.Popen[str]
    folder: Path
    name: str
    longest_s: float
    thorough: bool = False
    stopped: bool = False
    is_late: bool = False
    timer: threading.Timer | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_LINES))

    @property
    def bundle(self) -> Path:
        return self.folder / self.name

    @property
    def report(self) -> Path:
        return self.folder / "report.json"

    def end_after(self, seconds: float, end: Callable[[_Job], None]) -> None:
        """Call `end` after so long, in place of an earlier one."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = threading.Timer(seconds, end, (self,))
        self.timer.daemon = True
        self.timer.start()


class TeachingProcess:
    """Teaches one bundle at a time. All methods may be called from any thread.

    What it writes lies in a folder for temporary files until the next one begins or `close`.

    Args:
        command: what to run, before the arguments.
        why_not: why nothing can be taught here; None where it can.
        longest_s: after so long it is stopped.
        why_not_thorough: why not all layers of a bundle can be trained here; None where they can.
        longest_thorough_s: after so long a thorough teaching is stopped.
        work: folder of thorough trainings; the newest of them stay, so they can be resumed.
    """

    def __init__(
        self,
        # -P and the path of this process: the working folder may hold another `trainer`.
        command: Sequence[str] = (sys.executable, "-P", "-m", "trainer.teach"),
        why_not: Callable[[], str | None] = why_not_teach,
        longest_s: float = LONGEST_S,
        *,
        why_not_thorough: Callable[[Bundle], str | None] = why_not_thorough,
        longest_thorough_s: float = LONGEST_THOROUGH_S,
        work: Callable[[], Path] = trainings_folder,
    ) -> None:
        self._command = tuple(command)
        self.why_not = why_not
        self.why_not_thorough = why_not_thorough
        self._longest_s = longest_s
        self._longest_thorough_s = longest_thorough_s
        self._work = work
        self._now = Teaching()
        self._job: _Job | None = None
        self._lock = threading.Lock()

    @property
    def now(self) -> Teaching:
        """Where it stands."""
        return self._now

    def start(
        self, clips: Path, bundle: Path, now_ms: float, *, thorough: bool = False
    ) -> Teaching:
        """Begin to teach the clips of a folder to a bundle.

        Args:
            clips: folder of `<action>/<clip>`.
            bundle: that runs now.
            now_ms: the time of day, in ms since 1970: a part of the new bundle's name.
            thorough: whether to train all layers; one that was stopped is resumed.

        Raises:
            ConfigError: one is running, or it cannot be started.
        """
        with self._lock:
            if self._now.state == "running":
                raise ConfigError("a teaching is running; wait for it, or stop it")
            self._forget()
            name = "taught-" + re.sub(r"\D", "", iso_utc(round(now_ms)))[:14]
            folder = None
            try:
                folder = Path(tempfile.mkdtemp(prefix="ecolite-teach-"))
                self._job = job = self._started(clips, bundle, folder, name, thorough)
            except OSError as error:
                if folder is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                raise ConfigError(f"teaching cannot be started: {error.strerror}") from error
            self._now = Teaching("running", thorough=thorough)
        threading.Thread(target=self._follow, args=(job,), name="teaching", daemon=True).start()
        return self._now

    def stop(self) -> None:
        """Stop the teaching that runs, if there is one; what it has computed stays cached."""
        with self._lock:
            job = self._job
            if job is not None and self._now.state == "running" and not job.stopped:
                job.stopped = True
                self._now = replace(self._now, stopping=True)
                _terminate(job)

    def close(self) -> None:
        """Stop at once, and delete what was written."""
        self.stop()
        with self._lock:
            if self._job is not None:
                self._job.process.kill()
            self._forget()

    def _started(self, clips: Path, bundle: Path, folder: Path, name: str, thorough: bool) -> _Job:
        command = [*self._command, str(clips), "--bundle", str(bundle), "--progress"]
        command += ["--out", str(folder / name), "--json", str(folder / "report.json")]
        if thorough:
            work = self._work()
            delete_old_trainings(work)
            command += ["--thorough", "--work", str(work)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        with contextlib.suppress(OSError, AttributeError):  # Windows
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        longest_s = self._longest_thorough_s if thorough else self._longest_s
        job = _Job(process, folder, name, longest_s, thorough)
        job.end_after(longest_s, self._take_too_long)
        return job

    def _take_too_long(self, job: _Job) -> None:
        with self._lock:
            if not job.stopped:
                job.is_late = True
                _terminate(job)

    def _follow(self, job: _Job) -> None:
        """Read what it prints until it ends."""
        assert job.process.stdout is not None
        with job.process.stdout as printed:
            while line := printed.readline(_LONGEST_LINE):
                self._note(job, line.rstrip())
        code = job.process.wait()
        if job.timer is not None:
            job.timer.cancel()
        with self._lock:
            if job is self._job:
                self._now = self._ended(job, code)

    def _note(self, job: _Job, line: str) -> None:
        progress = _PROGRESS.fullmatch(line)
        if progress is None and line:
            job.lines.append(printable(line))
        with self._lock:
            if job is not self._job:
                return
            if progress is not None:
                self._now = _with_progress(self._now, progress)
            self._now = replace(self._now, lines=tuple(job.lines))

    def _ended(self, job: _Job, code: int) -> Teaching:
        now = replace(self._now, lines=tuple(job.lines), stopping=False, left_s=None)
        if job.stopped:
            return replace(now, state="stopped")
        if job.is_late:
            again = (
                "teach again to resume it" if job.thorough else "use fewer clips, then try again"
            )
            error = f"it took longer than {_length(job.longest_s)}; {again}"
            return replace(now, state="failed", error=error)
        if code != 0:
            errors = [line for line in job.lines if line.startswith("error: ")]
            last = errors[-1:] or list(job.lines)[-1:] or [f"it ended with code {code}"]
            return replace(now, state="failed", error=last[0].removeprefix("error: "))
        try:
            with job.report.open("rb") as file:
                report = json.loads(file.read(_MOST_REPORT))
        except (OSError, ValueError) as error:
            return replace(now, state="failed", error=f"its report cannot be read: {error}")
        return replace(now, state="done", report=report, bundle=job.bundle)

    def _forget(self) -> None:
        job, self._job = self._job, None
        self._now = Teaching()
        if job is None:
            return
        try:
            job.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            job.process.kill()
        shutil.rmtree(job.folder, ignore_errors=True)


def _with_progress(now: Teaching, progress: re.Match[str]) -> Teaching:
    done, total = int(progress[1]), int(progress[2])
    if progress["epochs"] is None:
        return replace(now, clips_done=done, clips=total)
    left_s = None if progress["left_s"] is None else float(progress["left_s"])
    return replace(now, epochs_done=done, epochs=total, left_s=left_s)


def _terminate(job: _Job) -> None:
    """Interrupt it; it is killed where it does not end soon."""
    job.end_after(_STOP_S, lambda late: late.process.kill())
    with contextlib.suppress(ProcessLookupError):
        job.process.terminate()


def _length(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 3600 else f"{seconds / 3600:g} h"
