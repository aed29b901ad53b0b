"""The trainings of a thorough teaching: processes of their own, resumed where they were stopped."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecolite_stream.errors import (
    BundleError,
    ConfigError,
    EcoliteError,
    EngineError,
    SourceError,
)
from ecolite_stream.media.new_files import lock_until_closed
from ecolite_stream.model.bundle import DESCRIPTION, Bundle, read_bundle
from trainer.data.parallel import bar_of

LAST, BEST, STATE, CURVES = "last.ckpt", "best.ckpt", "last.state", "curves.csv"
"""Files of `trainer.train`, whose own names of them need MindSpore."""
POLL_S = 0.5
END_S = 20.0
_MOST_LOG = 200_000  # bytes of a log in which an error is searched

OnEpoch = Callable[[int, int, float | None], None]

_ERRORS = {2: ConfigError, 3: SourceError, 4: BundleError, 5: EngineError}


class Trainings:
    """Trains networks with some clips, each in a folder of its own in `work`.

    The name of a folder is a hash of the clips' bytes and of the settings, so that a finished
    training is never stale and never run again.

    Args:
        work: made where it is missing.
        settings: the keys of `TrainConfig` that all share.
        count: how many trainings there will be.
        report: takes a line for people.
        on_epoch: takes the epochs that are done, of how many in all trainings, and the seconds
            that the rest takes, None before they can be estimated.

    Raises:
        ConfigError: the folder cannot be made.
    """

    def __init__(
        self,
        work: Path,
        settings: Mapping[str, Any],
        count: int,
        report: Callable[[str], None],
        on_epoch: OnEpoch,
    ) -> None:
        self._work = work.resolve()
        self._settings = settings
        self._epochs = int(settings["epochs"])
        self._count = count
        self._begun = 0
        self._report = report
        self._on_epoch = on_epoch
        with _writable(self._work):
            self._work.mkdir(parents=True, exist_ok=True)

    def bundle_of(self, digests: Mapping[str, str], what: str) -> Bundle:
        """A bundle of a network that was trained with these clips alone.

        Args:
            digests: `<class>/<file>` -> hash of the clip's bytes.
            what: which clips these are, for people.

        Raises:
            ConfigError: the folder cannot be written, or another program trains there.
            EcoliteError: the training or the export failed; names its log.
        """
        self._begun += 1
        folder = self._work / self._name(digests)
        title = f"training {self._begun} of {self._count}, {what}"
        with _writable(folder), _locked(folder):
            if (folder / "bundle" / DESCRIPTION).is_file():
                self._report(f"{title}: done before, in {folder}")
            else:
                self._report(f"{title}: {folder}/training.log")
                self._make(folder, digests)
        self._note_epochs(self._begun * self._epochs, epoch_seconds(folder))
        return read_bundle(folder / "bundle")

    def _name(self, digests: Mapping[str, str]) -> str:
        facts = json.dumps([sorted(digests.items()), self._settings], sort_keys=True)
        return hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()

    def _make(self, folder: Path, digests: Mapping[str, str]) -> None:
        """Train and export."""
        words = [str(folder / LAST), "--bundle", str(folder / "bundle")]
        try:
            self._train(folder, digests)
            run_module(["trainer.export", *words], folder / "training.log")
            for name in (STATE, BEST):  # most of the folder's bytes, and of no more use
                (folder / name).unlink(missing_ok=True)
        except KeyboardInterrupt:
            self._report("interrupted; the same command resumes after the last whole epoch")
            raise

    def _train(self, folder: Path, digests: Mapping[str, str]) -> None:
        """Train the epochs that are left."""
        earlier = epoch_seconds(folder)
        before = len(earlier)
        self._note_epochs((self._begun - 1) * self._epochs + before, earlier)
        if before >= self._epochs and (folder / LAST).is_file():
            return
        names, settings = folder / "clips.txt", folder / "config.yaml"
        names.write_text("".join(f"{name}\n" for name in sorted(digests)), encoding="utf-8")
        data = {**self._settings["data"], "only": str(names)}
        config = {**self._settings, "data": data, "output": str(folder)}
        settings.write_text(json.dumps(config, indent=2), encoding="utf-8")  # JSON is YAML
        words = ["trainer.train", "--config", str(settings)]
        if (folder / STATE).is_file():
            words += ["--resume", str(folder)]
        with bar_of("training", self._epochs) as step:
            step(before)
            follow = self._follow(folder, before, step)
            run_module(words, folder / "training.log", follow)

    def _follow(self, folder: Path, before: int, step: Callable[[int], None]) -> Callable[[], None]:
        """A function that looks for new epochs; it estimates the time from the second one on."""
        all_epochs, earlier = self._count * self._epochs, (self._begun - 1) * self._epochs
        seen, is_estimated = before, False

        def look() -> None:
            nonlocal seen, is_estimated
            seconds = epoch_seconds(folder)
            if len(seconds) <= seen:
                return
            step(len(seconds) - seen)
            seen = len(seconds)
            self._note_epochs(earlier + seen, seconds)
            left = all_epochs - earlier - seen
            if left and not is_estimated and seen - before >= min(2, self._epochs):
                is_estimated = True
                minutes = max(1, round(left * seconds[-1] / 60))
                self._report(
                    f"an epoch takes {seconds[-1]:.1f} s; {left} of {all_epochs} epochs are left, "
                    f"about {minutes} min"
                )

        return look

    def _note_epochs(self, done: int, seconds: Sequence[float]) -> None:
        """Report the epochs of all trainings that are done; `seconds` are those of one."""
        total = self._count * self._epochs
        # The first epoch compiles the network, which takes long.
        is_known = len(seconds) >= min(2, self._epochs)
        self._on_epoch(done, total, (total - done) * seconds[-1] if is_known else None)


def epoch_seconds(folder: Path) -> list[float]:
    """How long each epoch of a training took, of those that are done."""
    try:
        with (folder / CURVES).open(newline="", encoding="utf-8") as file:
            return [float(row["seconds"] or 0) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # nothing is done, or the table was edited: the training itself has the state


def run_module(words: Sequence[str], log: Path, on_wait: Callable[[], None] = lambda: None) -> None:
    """Run a module as a process that ends with this one.

    Args:
        words: the module, and its arguments.
        log: what it prints is added to this file.
        on_wait: called again and again while it runs, and at its end.

    Raises:
        EcoliteError: it failed; with its error and exit code.
    """
    # -P and the path of this process: the working folder may hold another `trainer`.
    command = [sys.executable, "-P", "-m", "trainer.teaching.attached", *words]
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    with log.open("ab") as file:
        begin = file.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": paths},
        )
        try:
            while (code := _wait(process, POLL_S)) is None:
                on_wait()
        finally:
            _end(process)
    on_wait()
    if code:
        raise _failure(words[0], code, log, begin)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that may still run; it finishes what it writes."""
    if process.poll() is None:
        process.terminate()
        if _wait(process, END_S) is None:
            process.kill()
            process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _failure(module: str, code: int, log: Path, begin: int) -> EcoliteError:
    with log.open("rb") as file:
        file.seek(max(begin, file.seek(0, os.SEEK_END) - _MOST_LOG))
        lines = file.read().decode("utf-8", "replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    reason = errors[-1] if errors else f"it ended with exit code {code}"
    return _ERRORS.get(code, EcoliteError)(f"{module}: {reason}; see {shlex.quote(str(log))}")


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Name the folder in errors of the system.

    Raises:
        ConfigError: something in it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written: {error.strerror or error}; name another --work or make "
            "room"
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make a folder, and keep other programs from training there.

    Raises:
        ConfigError: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab", buffering=0) as file:
        try:
            lock_until_closed(file)
        except BlockingIOError as error:
            raise ConfigError(
                f"another program trains in {folder}; wait for it, or name another --work"
            ) from error
        yield
