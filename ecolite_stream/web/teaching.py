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
from ecolite_stream.types import iso_utc

State = Literal["idle", "running", "done", "failed", "stopped"]
LONGEST_S = 3600.0
_NICE = 10
"""The run goes before."""
_MOST_LINES = 200
_LONGEST_LINE = 2000  # characters
_MOST_REPORT = 10_000_000  # bytes
_END_S = 5.0
_PROGRESS = re.compile(r"progress: (\d{1,9})/(\d{1,9})")


@dataclass(frozen=True)
class Teaching:
    """Where a teaching stands.

    Attributes:
        state: `idle` before the first one.
        clips_done: clips whose features are there.
        clips: all of them; 0 where that is not known yet.
        lines: what it printed, the newest last.
        report: what `trainer.teach --json` writes; None before it is done.
        error: why it failed, in a line.
        bundle: folder of the taught bundle, once it is done.
    """

    state: State = "idle"
    clips_done: int = 0
    clips: int = 0
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


@dataclass
class _Job:
    """One process, the folder it writes to, and how it ends."""

    process: subprocess.Popen[str]
    folder: Path
    name: str
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


class TeachingProcess:
    """Teaches one bundle at a time. All methods may be called from any thread.

    What it writes lies in a folder for temporary files until the next one begins or `close`.

    Args:
        command: what to run, before the arguments.
        why_not: why nothing can be taught here; None where it can.
        longest_s: after so long it is stopped.
    """

    def __init__(
        self,
        # -P and the path of this process: the working folder may hold another `trainer`.
        command: Sequence[str] = (sys.executable, "-P", "-m", "trainer.teach"),
        why_not: Callable[[], str | None] = why_not_teach,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._command = tuple(command)
        self.why_not = why_not
        self._longest_s = longest_s
        self._now = Teaching()
        self._job: _Job | None = None
        self._lock = threading.Lock()

    @property
    def now(self) -> Teaching:
        """Where it stands."""
        return self._now

    def start(self, clips: Path, bundle: Path, now_ms: float) -> Teaching:
        """Begin to teach the clips of a folder to a bundle.

        Args:
            clips: folder of `<action>/<clip>`.
            bundle: that runs now.
            now_ms: the time of day, in ms since 1970: a part of the new bundle's name.

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
                self._job = job = self._started(clips, bundle, folder, name)
            except OSError as error:
                if folder is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                raise ConfigError(f"teaching cannot be started: {error.strerror}") from error
            self._now = Teaching("running")
        threading.Thread(target=self._follow, args=(job,), name="teaching", daemon=True).start()
        return self._now

    def stop(self) -> None:
        """Stop the teaching that runs, if there is one; what it has computed stays cached."""
        with self._lock:
            job = self._job
            if job is not None and self._now.state == "running":
                job.stopped = True
                with contextlib.suppress(ProcessLookupError):
                    job.process.terminate()

    def close(self) -> None:
        """Stop at once, and delete what was written."""
        self.stop()
        with self._lock:
            if self._job is not None:
                self._job.process.kill()
            self._forget()

    def _started(self, clips: Path, bundle: Path, folder: Path, name: str) -> _Job:
        command = [*self._command, str(clips), "--bundle", str(bundle), "--progress"]
        command += ["--out", str(folder / name), "--json", str(folder / "report.json")]
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
        job = _Job(process, folder, name)
        job.timer = threading.Timer(self._longest_s, self._take_too_long, (job,))
        job.timer.daemon = True
        job.timer.start()
        return job

    def _take_too_long(self, job: _Job) -> None:
        job.is_late = True
        job.process.kill()

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
                done, total = int(progress[1]), int(progress[2])
                self._now = replace(self._now, clips_done=done, clips=total)
            self._now = replace(self._now, lines=tuple(job.lines))

    def _ended(self, job: _Job, code: int) -> Teaching:
        now = replace(self._now, lines=tuple(job.lines))
        if job.stopped:
            return replace(now, state="stopped")
        if job.is_late:
            error = f"it took longer than {self._longest_s:g} s; use fewer clips, then try again"
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
