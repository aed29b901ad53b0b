"""A teaching as a process, and its operations; the process is a small program."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.datasets.collect_kind import CollectConfig
from ecolite_stream.datasets.collect_sink import CollectSink
from ecolite_stream.errors import ConfigError
from ecolite_stream.web.teaching import Teaching, TeachingProcess
from tests.waiting import eventually
from tests.web.api import READER, TOKEN, bearer, got, refused
from tests.web.asking import ask
from tests.web.conftest import served

pytestmark = pytest.mark.timeout(60)

REPORT = {
    "clips_right": 9,
    "clips": 10,
    "interval_95": [0.6, 0.98],
    "interval_95_by_groups": [0.4, 0.99],
    "grouping": "source and day of clips.csv",
    "groups": 3,
    "folds": 3,
    "framings": {"center": 9},
    "unjudged": ["fall/b.mp4"],
    "wrong": {"fall/a.mp4": "sit"},
    "confusion": [["fall", "fall", 4], ["fall", "sit", 1], ["sit", "sit", 5]],
    "compared": {"taught": 9, "now": 4, "clips": 10, "bundle": "demo", "labels": ["fall"]},
    "quick": None,
}
TEACHER = """
import json, pathlib, sys, time
words = sys.argv[1:]
value = lambda name: pathlib.Path(words[words.index(name) + 1])
print("progress: 1/2", file=sys.stderr, flush=True)
go, fail = pathlib.Path(words[0]) / "go", pathlib.Path(words[0]) / "fail"
while not go.exists() and not fail.exists():
    time.sleep(0.02)
if fail.exists():
    print("error: no actions", file=sys.stderr)
    sys.exit(2)
print("progress: 2/2", file=sys.stderr, flush=True)
print("9 of 10 clips right")
value("--out").mkdir()
(value("--out") / "from").write_text(str(value("--bundle")))
value("--json").write_text(json.dumps(REPORT))
"""


class Runs:
    """A run that notes which bundle it is changed to."""

    def __init__(self) -> None:
        self.bundle: Any = SimpleNamespace(path=Path("demo"), has_weights=True)
        self.done: list[tuple[str, str]] = []

    def add_version(self, path: Path) -> str:
        self.done.append(("add", (path / "from").read_text()))
        return "digest"

    def set_bundle(self, digest: str) -> None:
        if ("set", digest) in self.done:
            raise ConfigError("it does not fit")
        self.done.append(("set", digest))

    def names(self) -> None:
        return None


def teacher(code: str = TEACHER, why_not: str | None = None, **how: Any) -> TeachingProcess:
    code = f"REPORT = {REPORT!r}\n{code}"
    return TeachingProcess((sys.executable, "-c", code), lambda: why_not, **how)


@pytest.fixture
def process() -> Iterator[TeachingProcess]:
    process = teacher()
    yield process
    process.close()


def ended(process: TeachingProcess) -> Teaching:
    return eventually(lambda: process.now.state != "running" and process.now, 30)


def test_progress_report_and_bundle(process: TeachingProcess, tmp_path: Path) -> None:
    assert process.now == Teaching()
    process.start(tmp_path, Path("demo"), 1_795_896_010_000)
    eventually(lambda: (process.now.clips_done, process.now.clips) == (1, 2))
    with pytest.raises(ConfigError, match="a teaching is running; wait for it, or stop it"):
        process.start(tmp_path, Path("demo"), 0)
    (tmp_path / "go").touch()
    found = ended(process)
    assert (found.state, found.lines, found.report) == ("done", ("9 of 10 clips right",), REPORT)
    assert found.bundle is not None
    assert found.bundle.name == "taught-20261128200010"
    assert (found.bundle / "from").read_text() == "demo"
    process.close()
    assert not found.bundle.parent.exists()


def test_a_failure_is_one_line_and_the_next_one_works(
    process: TeachingProcess, tmp_path: Path
) -> None:
    (tmp_path / "fail").touch()
    process.start(tmp_path, Path("demo"), 0)
    assert (ended(process).state, process.now.error) == ("failed", "no actions")
    (tmp_path / "fail").unlink()
    (tmp_path / "go").touch()
    process.start(tmp_path, Path("demo"), 0)
    assert ended(process).state == "done"


def test_a_teaching_is_stopped_and_bounded(process: TeachingProcess, tmp_path: Path) -> None:
    process.start(tmp_path, Path("demo"), 0)
    eventually(lambda: process.now.clips_done)
    process.stop()
    assert ended(process).state == "stopped"
    short = TeachingProcess((sys.executable, "-c", "import time; time.sleep(60)"), longest_s=0.1)
    short.start(tmp_path, Path("demo"), 0)
    assert ended(short).state == "failed"
    assert "took longer than 0.1 s; use fewer clips" in short.now.error
    short.close()


def test_what_cannot_be_started_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ConfigError, match="cannot be started: No such file"):
        TeachingProcess((str(tmp_path / "none"),)).start(tmp_path, Path("demo"), 0)
    assert list(tmp_path.iterdir()) == []


def test_a_package_in_the_working_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trainer").mkdir()
    for name in ("__init__.py", "teach.py"):
        (tmp_path / "trainer" / name).write_text("print('error: this is another package')")
    monkeypatch.chdir(tmp_path)
    process = TeachingProcess()
    process.start(tmp_path / "no clips", tmp_path / "no bundle", 0)
    assert ended(process).state == "failed"
    assert "another package" not in process.now.error
    process.close()


def test_endless_lines_are_bounded(tmp_path: Path) -> None:
    process = teacher("print('x' * 100_000); [print(n) for n in range(1000)]; print(1 / 0)")
    process.start(tmp_path, Path("demo"), 0)
    assert (ended(process).state, len(process.now.lines)) == ("failed", 200)
    assert "ZeroDivisionError" in process.now.error
    process.close()


def test_it_is_started_followed_and_used_over_http(
    process: TeachingProcess, tmp_path: Path
) -> None:
    run, sink = Runs(), CollectSink(CollectConfig(tmp_path))
    with served(collecting=sink, control=run, teaching=process) as page:  # type: ignore[arg-type]
        assert got(page, "/teaching")["state"] == "idle"
        status, error = refused(page, "/teaching/use", "POST")
        assert (status, error) == (409, "no bundle is taught yet; teach first")
        status, _, _ = ask(page, "/api/teaching", "POST")
        assert status == 202
        eventually(lambda: got(page, "/teaching")["progress"] == {"done": 1, "clips": 2})
        assert refused(page, "/teaching", "POST")[0] == 409
        (tmp_path / "go").touch()
        eventually(lambda: got(page, "/teaching")["state"] == "done")
        report = got(page, "/teaching")["report"]
        assert report == {key: REPORT[key] for key in report}
        assert got(page, "/teaching/use", method="POST") == {"digest": "digest"}
        assert run.done == [("add", "demo"), ("set", "digest")]
        status, error = refused(page, "/teaching/use", "POST")
        assert (status, error) == (409, "it does not fit")
        assert ask(page, "/api/teaching", "DELETE")[0] == 204
    assert process.now == Teaching()  # the page is closed, and what was not used is gone


def test_where_nothing_can_be_taught_the_page_says_why(tmp_path: Path) -> None:
    sink = CollectSink(CollectConfig(tmp_path))
    run: Any = Runs()
    with served(collecting=sink, control=run, teaching=teacher(why_not="install it")) as page:
        assert got(page, "/teaching")["why_not"] == "install it"
        assert refused(page, "/teaching", "POST") == (409, "install it")
    with served(control=run) as page:
        assert refused(page, "/teaching", "POST")[0] == 503


def test_readers_teach_nothing(tmp_path: Path) -> None:
    sink = CollectSink(CollectConfig(tmp_path))
    with served(collecting=sink, token=TOKEN, read_tokens=READER) as page:
        headers = bearer(READER)
        for path, method in (("", "POST"), ("", "DELETE"), ("/use", "POST")):
            assert ask(page, f"/api/teaching{path}", method, headers=headers)[0] == 403
        assert ask(page, "/api/teaching", headers=headers)[0] == 200
