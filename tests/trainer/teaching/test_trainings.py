"""Trainings as processes: errors, interruption, and folders that two programs want."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ecolite_stream.errors import ConfigError, EcoliteError, EngineError, SourceError
from ecolite_stream.media.new_files import lock_until_closed
from tests.conftest import ROOT
from tests.waiting import eventually
from trainer.teaching import trainings
from trainer.teaching.trainings import LAST, OnEpoch, Trainings, epoch_seconds, run_module

SETTINGS = {"epochs": 3, "data": {"clips": ["somewhere"]}}
DIGESTS = {"up/a.mp4": "1", "across/b.mp4": "2"}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module `small_program`, empty yet, that processes of this one find."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "small_program.py"


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (3, SourceError, "two of them"),
        (5, EngineError, "two of them"),
        (1, EcoliteError, "two of them"),
        (9, EcoliteError, "it ended with exit code 9"),
    ],
)
def test_a_failure_has_the_error_and_the_exit_code_of_its_program(
    code: int, kind: type[EcoliteError], reason: str, module: Path, tmp_path: Path
) -> None:
    says = "" if code == 9 else "print('error: one', 'error: two of them', sep='\\n')\n"
    module.write_text(f"import sys\n{says}sys.exit({code})")
    log = tmp_path / "log"
    log.write_text("error: of an earlier run\n")
    with pytest.raises(kind) as raised:
        run_module(["small_program"], log)
    assert type(raised.value) is kind
    assert str(raised.value) == f"small_program: {reason}; see {log}"


def test_a_program_has_its_name_and_its_arguments(module: Path, tmp_path: Path) -> None:
    module.write_text("import sys\nprint(__name__, __spec__.name, sys.argv[1:])")
    run_module(["small_program", "a", "--b"], tmp_path / "log")
    assert (tmp_path / "log").read_text() == "__main__ small_program ['a', '--b']\n"


WAITS = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(100)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_ends_with_its_parent(how: signal.Signals, module: Path, tmp_path: Path) -> None:
    module.write_text(WAITS)
    pid = tmp_path / "pid"
    code = (
        "import signal; from pathlib import Path\n"
        "from trainer.teaching.trainings import run_module\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        f"run_module(['small_program', {str(pid)!r}], Path({str(tmp_path / 'log')!r}))\n"
    )
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path})
    eventually(lambda: pid.exists() and pid.read_text())
    child = int(pid.read_text())
    parent.send_signal(how)
    parent.wait()
    eventually(lambda: not is_running(child))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # where nobody waits for the orphan


def in_folder(
    work: Path,
    said: list[str],
    settings: dict[str, object] | None = None,
    on_epoch: OnEpoch = lambda *epochs: None,
) -> Trainings:
    return Trainings(work, settings or SETTINGS, 2, said.append, on_epoch)


class Programs:
    """In place of `run_module`: writes what a training leaves, or is interrupted after an epoch."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.interrupted = False

    def run(self, words: list[str], log: Path, on_wait: object = None) -> None:
        self.calls.append(words)
        if words[0] == "trainer.train":
            epochs = 1 if self.interrupted else 3
            rows = "".join(f"{epoch},7.5\n" for epoch in range(1, epochs + 1))
            (log.parent / "curves.csv").write_text(f"epoch,seconds\n{rows}")
            (log.parent / "last.state").touch()
            (log.parent / LAST).touch()
            on_wait()  # type: ignore[operator]
            if self.interrupted:
                raise KeyboardInterrupt


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    found = Programs()
    monkeypatch.setattr(trainings, "run_module", found.run)
    monkeypatch.setattr(trainings, "read_bundle", lambda path: path)
    return found


def test_an_interrupted_training_resumes_and_says_how(programs: Programs, tmp_path: Path) -> None:
    said: list[str] = []
    programs.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        in_folder(tmp_path, said).bundle_of(DIGESTS, "2 clips")
    assert said[-1] == "interrupted; the same command resumes after the last whole epoch"
    programs.interrupted = False
    bundle = in_folder(tmp_path, said).bundle_of(DIGESTS, "2 clips")
    (folder,) = tmp_path.iterdir()
    assert bundle == folder / "bundle"
    first, again, export = programs.calls
    assert first == ["trainer.train", "--config", str(folder / "config.yaml")]
    assert again == [*first, "--resume", str(folder)]
    assert export == ["trainer.export", str(folder / LAST), "--bundle", str(folder / "bundle")]
    assert said[-1] == "an epoch takes 7.5 s; 3 of 6 epochs are left, about 1 min"
    assert (folder / "clips.txt").read_text() == "across/b.mp4\nup/a.mp4\n"


def test_epochs_are_counted_over_all_trainings_with_the_time_left(
    programs: Programs, tmp_path: Path
) -> None:
    found: list[tuple[int, int, float | None]] = []

    def on_epoch(*epochs: int | float | None) -> None:
        found.append(epochs)  # type: ignore[arg-type]

    trainings = in_folder(tmp_path, [], on_epoch=on_epoch)
    trainings.bundle_of(DIGESTS, "2 clips")
    trainings.bundle_of({"up/a.mp4": "1"}, "1 clip")
    assert found == [
        *((0, 6, None), (3, 6, 22.5), (3, 6, 22.5)),
        *((3, 6, None), (6, 6, 0.0), (6, 6, 0.0)),
    ]


def test_what_is_finished_is_not_done_again(programs: Programs, tmp_path: Path) -> None:
    said: list[str] = []
    in_folder(tmp_path, said).bundle_of(DIGESTS, "2 clips")
    in_folder(tmp_path, said).bundle_of(DIGESTS, "2 clips")  # the export was interrupted, say
    assert [words[0] for words in programs.calls] == ["trainer.train", *2 * ["trainer.export"]]
    (folder,) = tmp_path.iterdir()
    (folder / "bundle").mkdir()
    (folder / "bundle" / "bundle.json").touch()
    in_folder(tmp_path, said).bundle_of(DIGESTS, "2 clips")
    assert len(programs.calls) == 3
    assert said[-1] == f"training 1 of 2, 2 clips: done before, in {folder}"


def test_other_clips_and_other_settings_are_other_trainings(
    programs: Programs, tmp_path: Path
) -> None:
    in_folder(tmp_path, []).bundle_of(DIGESTS, "")
    in_folder(tmp_path, []).bundle_of({**DIGESTS, "up/a.mp4": "changed"}, "")
    in_folder(tmp_path, []).bundle_of({"up/a.mp4": "1"}, "")
    in_folder(tmp_path, [], {**SETTINGS, "epochs": 4}).bundle_of(DIGESTS, "")
    assert len(list(tmp_path.iterdir())) == 4


def test_a_folder_in_which_another_program_trains_is_left_alone(
    programs: Programs, tmp_path: Path
) -> None:
    in_folder(tmp_path, []).bundle_of(DIGESTS, "")
    (folder,) = tmp_path.iterdir()
    with (folder / "lock").open("ab", buffering=0) as file:
        lock_until_closed(file)
        with pytest.raises(ConfigError, match=r"another program trains in .*name another --work"):
            in_folder(tmp_path, []).bundle_of(DIGESTS, "")


@pytest.mark.parametrize("text", ["", "epoch,loss\n1,2\n", "epoch,seconds\n1,soon\n", "\0"])
def test_a_table_that_was_edited_counts_as_nothing_done(text: str, tmp_path: Path) -> None:
    (tmp_path / "curves.csv").write_text(text)
    assert epoch_seconds(tmp_path) == []
