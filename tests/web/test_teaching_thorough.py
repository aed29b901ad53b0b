"""The thorough way of teaching as a process, and over HTTP; the process is a small program."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.datasets.collect_kind import CollectConfig
from ecolite_stream.datasets.collect_sink import CollectSink
from ecolite_stream.media.new_files import lock_until_closed
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from ecolite_stream.web import teaching
from ecolite_stream.web.teaching import TeachingProcess, why_not_thorough
from ecolite_stream.web.trainings_folder import delete_old_trainings, trainings_folder
from tests.conftest import ROOT
from tests.trainer.teaching.films import folder_of_clips
from tests.waiting import eventually
from tests.web.api import got, refused
from tests.web.asking import ask
from tests.web.conftest import Page, served
from tests.web.test_teaching import REPORT, Runs, ended, teacher

pytestmark = pytest.mark.timeout(60)

COMPARED = {"taught": 9, "now": 7, "clips": 10, "bundle": "the quick way", "labels": ["fall"]}
TRAINER = f"""
import json, pathlib, signal, sys, time
def interrupted(*_):
    print("interrupted; the same command resumes after the last whole epoch", flush=True)
    sys.exit(130)
signal.signal(signal.SIGTERM, interrupted)
words = sys.argv[1:]
assert "--thorough" in words
value = lambda name: pathlib.Path(words[words.index(name) + 1])
trained = value("--work") / ("0" * 16)
trained.mkdir(parents=True, exist_ok=True)
print("progress: 2/2\\nprogress: 0/80 epochs", flush=True)
(trained / "begun").touch()
print("progress: 3/80 epochs, 930 s left", flush=True)
while not (pathlib.Path(words[0]) / "go").exists():
    time.sleep(0.02)
value("--out").mkdir()
(value("--out") / "from").write_text(str(value("--bundle")))
value("--json").write_text(json.dumps({{**REPORT, "quick": {COMPARED!r}}}))
"""


def trainer(work: Path, **how: Any) -> TeachingProcess:
    how = {"why_not_thorough": lambda bundle: None, "work": lambda: work, **how}
    return teacher(TRAINER, **how)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[TeachingProcess]:
    process = trainer(tmp_path / "trainings")
    yield process
    process.close()


@pytest.fixture
def page(process: TeachingProcess, tmp_path: Path) -> Iterator[Page]:
    run: Any = Runs()
    sink = CollectSink(CollectConfig(tmp_path / "mine"))
    with served(collecting=sink, control=run, teaching=process) as page:
        yield page


def begun(page: Page, **options: Any) -> Any:
    status, _, body = ask(page, "/api/teaching", "POST", **options)
    assert status == 202, body
    return json.loads(body)


def test_it_is_started_followed_and_reported_over_http(page: Page, tmp_path: Path) -> None:
    idle = got(page, "/teaching")
    assert (idle["thorough"], idle["epochs"], idle["why_not_thorough"]) == (False, None, None)
    assert begun(page, json={"thorough": True})["thorough"]
    wanted = {"done": 3, "epochs": 80, "left_s": 930}
    eventually(lambda: got(page, "/teaching")["epochs"] == wanted)
    now = got(page, "/teaching")
    assert (now["state"], now["progress"]) == ("running", {"done": 2, "clips": 2})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "go").touch()
    eventually(lambda: got(page, "/teaching")["state"] == "done")
    report = got(page, "/teaching")["report"]
    assert report["quick"] == COMPARED
    assert report["compared"] == REPORT["compared"]
    assert got(page, "/teaching/use", method="POST") == {"digest": "digest"}


def test_a_stop_ends_it_and_keeps_what_was_trained(page: Page, tmp_path: Path) -> None:
    begun(page, json={"thorough": True})
    eventually(lambda: (got(page, "/teaching")["epochs"] or {}).get("done") == 3)
    assert ask(page, "/api/teaching", "DELETE")[0] == 204
    eventually(lambda: got(page, "/teaching")["state"] == "stopped")
    now = got(page, "/teaching")
    assert (now["stopping"], now["thorough"], now["epochs"]["left_s"]) == (False, True, None)
    assert now["lines"] == ["interrupted; the same command resumes after the last whole epoch"]
    assert [path.name for path in (tmp_path / "trainings").iterdir()] == ["0" * 16]


def test_what_does_not_end_when_stopped_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "_STOP_S", 0.2)
    ignores = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    process = teacher(f"{ignores}print('progress: 1/2', flush=True); time.sleep(60)")
    process.start(tmp_path, Path("demo"), 0)
    eventually(lambda: process.now.clips_done)
    process.stop()
    process.stop()
    assert process.now.stopping or process.now.state == "stopped"
    assert ended(process).state == "stopped"
    process.close()


def test_it_has_a_limit_of_its_own_and_then_says_how_to_resume(tmp_path: Path) -> None:
    process = trainer(tmp_path / "trainings", longest_s=60, longest_thorough_s=0.1)
    process.start(tmp_path, Path("demo"), 0, thorough=True)
    assert ended(process).state == "failed"
    assert process.now.error == "it took longer than 0.1 s; teach again to resume it"
    process.close()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"thorough": "yes"}, "body: Expected `bool`, got `str` - at `$.thorough`"),
        ({"thorough": 1}, "body: Expected `bool`, got `int` - at `$.thorough`"),
        ({"thorough": None}, "body: Expected `bool`, got `null` - at `$.thorough`"),
        ({"through": True}, "body: Object contains unknown field `through`"),
        ([], "body: Expected `object`, got `array`"),
    ],
)
def test_a_body_that_does_not_fit_starts_nothing(page: Page, body: Any, says: str) -> None:
    assert refused(page, "/teaching", "POST", json=body) == (400, says)
    assert got(page, "/teaching")["state"] == "idle"


def test_without_a_body_the_quick_way_is_taken(tmp_path: Path) -> None:
    """As earlier versions of the API did."""
    run: Any = Runs()
    sink = CollectSink(CollectConfig(tmp_path))
    reports = "print('thorough' if '--thorough' in sys.argv else 'quick')"
    with served(collecting=sink, control=run, teaching=teacher(f"import sys; {reports}")) as page:
        assert begun(page)["thorough"] is False
        eventually(lambda: got(page, "/teaching")["lines"] == ["quick"])


def test_where_it_cannot_run_the_quick_way_still_does(tmp_path: Path) -> None:
    run: Any = Runs()
    sink = CollectSink(CollectConfig(tmp_path))
    process = teacher(why_not_thorough=lambda bundle: "install it")
    with served(collecting=sink, control=run, teaching=process) as page:
        now = got(page, "/teaching")
        assert (now["why_not"], now["why_not_thorough"]) == (None, "install it")
        assert refused(page, "/teaching", "POST", json={"thorough": True}) == (409, "install it")
        assert begun(page)["state"] == "running"


def test_it_needs_mindspore_and_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = read_bundle(demo_bundle_path())
    monkeypatch.setattr(teaching, "find_spec", lambda name: None)
    assert why_not_thorough(bundle) == (
        "the thorough way needs MindSpore, which is not installed; run pip install "
        "'ecolite-stream[teach,train]'"
    )
    monkeypatch.setattr(teaching, "find_spec", lambda name: sys)
    assert why_not_thorough(bundle) is None
    graphs = tuple(graph for graph in bundle.graphs if graph.format != "mindir")
    without = dataclasses.replace(bundle, graphs=graphs)
    assert "needs mindir graphs" in str(why_not_thorough(without))


def training(work: Path, digit: str, changed_s: float, bytes_: int = 100) -> Path:
    folder = work / (digit * 16)
    folder.mkdir(parents=True)
    (folder / "last.ckpt").write_bytes(bytes(bytes_))
    os.utime(folder / "last.ckpt", (changed_s, changed_s))
    return folder


def test_the_oldest_trainings_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    for number, digit in enumerate("abcd"):
        training(tmp_path, digit, 1000 + number)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "film.mp4").write_bytes(bytes(1000))
    (tmp_path / ("e" * 16)).symlink_to(tmp_path / "mine")
    delete_old_trainings(tmp_path, 250)
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["c", "d", "e", "m"]
    delete_old_trainings(tmp_path / "none", 0)


def test_a_training_that_another_program_is_in_stays(tmp_path: Path) -> None:
    oldest, newest = training(tmp_path, "a", 1000), training(tmp_path, "b", 2000)
    with (oldest / "lock").open("wb", buffering=0) as file:
        lock_until_closed(file)
        os.utime(oldest / "lock", (1000, 1000))
        delete_old_trainings(tmp_path, 150)
        assert oldest.exists() and not newest.exists()
    delete_old_trainings(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_trainings_lie_beside_the_cached_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECOLITE_CACHE", str(tmp_path))
    assert trainings_folder() == tmp_path / "trainings"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_training_is_stopped_resumed_and_compared(tmp_path: Path) -> None:
    for package in ("mindspore", "onnx", "openvino"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    clips = folder_of_clips(tmp_path / "clips", each=3)
    small = ["--num-segments", "4", "--width", "0.25", "--image-size", "32", "--classes", "3"]
    export = [sys.executable, "-m", "trainer.export", "--untrained", *small]
    export += ["--bundle", str(tmp_path / "base")]
    subprocess.run(export, cwd=ROOT, check=True, capture_output=True)
    assert why_not_thorough(read_bundle(tmp_path / "base")) is None
    command = (sys.executable, "-P", "-m", "trainer.teach", "--epochs", "3")
    process = TeachingProcess(command, work=lambda: tmp_path / "trainings")
    process.start(clips, tmp_path / "base", 0, thorough=True)
    eventually(lambda: process.now.epochs_done or process.now.state != "running", 400)
    process.stop()
    assert ended(process).state == "stopped", process.now
    assert process.now.lines[-1].startswith("interrupted; the same command resumes")
    process.start(clips, tmp_path / "base", 0, thorough=True)
    # What was trained before counts from the beginning.
    assert eventually(lambda: process.now.epochs and process.now, 100).epochs_done > 0
    done = eventually(lambda: process.now.state != "running" and process.now, 400)
    assert (done.state, done.epochs_done, done.epochs) == ("done", 6, 6), done
    assert done.report is not None and done.bundle is not None
    assert done.report["quick"]["bundle"] == "the quick way"
    assert read_bundle(done.bundle).has_weights
    process.close()
