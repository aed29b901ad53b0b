"""`ecolite-stream archive` with the embedded bundle: real videos, real worker processes."""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from ecolite_stream.app.archive_command import _model, _settings
from ecolite_stream.app.versions import add_version, use_version
from ecolite_stream.archive.folder import MANIFEST
from ecolite_stream.archive.recognition import Recognition, RecordingClock
from ecolite_stream.archive.schedule import Limits, Schedule
from ecolite_stream.archive.tasks import Task, task_of
from ecolite_stream.archive.workers import ProcessCrew, ProcessWorker, divide_cores
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from ecolite_stream.recognition.event_id import event_id
from ecolite_stream.types import Sample
from tests.app.bundles import renamed
from tests.app.runs import Command, Result
from tests.archive.test_schedule import Heard
from tests.conftest import installed
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(120)
ALWAYS = "events: {enter: 0, leave: 0, min_fill: 0, min_s: 0.5, ignore: []}"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings; `b` is no video."""
    installed("openvino")
    folder = tmp_path_factory.mktemp("films")
    for name, frames in (("a", 40), ("c é", 75), ("d", 60)):
        write_numbered_video(folder / f"{name}.mp4", frames)
    (folder / "b.mp4").write_bytes(b"no video")
    return folder


def always(tmp_path: Path) -> Path:
    """A configuration in which every recording has an event."""
    path = tmp_path / "always.yaml"
    path.write_text(ALWAYS)
    return path


def archive(ecolite: Command, *args: object) -> Result:
    return ecolite("archive", *args, "--bundle", demo_bundle_path(), "--engine", "openvino")


def results(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "results").iterdir()}


def comparable(line: dict[str, Any]) -> dict[str, Any]:
    """Without what two runs of `ecolite-stream` do not have in common either."""
    return {key: value for key, value in line.items() if key not in ("latency_ms", "event")}


def test_the_results_of_single_runs_whatever_the_number_of_workers(
    ecolite: Command, films: Path, tmp_path: Path
) -> None:
    config, outs = always(tmp_path), [tmp_path / "one", tmp_path / "two"]
    for workers, out in enumerate(outs, start=1):
        run = archive(ecolite, films, "--config", config, "--out", out, "--workers", workers)
        failed, error = run.err.splitlines()[-2:]
        assert run.exit_code == 3
        assert failed.startswith(f"failed: {films / 'b.mp4'}: holds no video")
        assert error.startswith("error: 1 of 4 recordings failed; the others are in ")
    assert results(outs[0]) == results(outs[1])
    assert len(results(outs[0])) == 6
    entries = [json.loads(line) for line in (outs[0] / MANIFEST).read_text().splitlines()[1:]]
    assert len(entries) == 3
    for entry in entries:
        for kind, options in (("predictions", []), ("events", ["--events"])):
            source = ("--source", entry["recording"], "--config", config, "--json", *options)
            single = ecolite(
                *source, "--bundle", demo_bundle_path(), "--engine", "openvino"
            ).predictions
            text = results(outs[0])[entry["results"][kind]].decode()
            found = [json.loads(line) for line in text.splitlines()]
            assert list(map(comparable, found)) == list(map(comparable, single))
            assert found and [list(line) for line in found] == [list(line) for line in single]
            assert not any(line.get("latency_ms") for line in found)


def test_a_second_run_goes_on_where_the_first_ended(
    ecolite: Command, films: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    good = [films / "a.mp4", films / "d.mp4"]
    first = archive(ecolite, good[0], "--out", out)
    assert first.exit_code == 0
    assert first.err.splitlines()[-1] == f"1 recordings are finished, in {out}"
    before = results(out)
    (path,) = out.glob("results/a*.predictions.jsonl")
    modified_ns = path.stat().st_mtime_ns
    second = archive(ecolite, *good, "--out", out)
    assert second.err.splitlines()[0] == "1 of 2 recordings are finished already"
    assert path.stat().st_mtime_ns == modified_ns
    assert before.items() < results(out).items()
    path.write_bytes(b"damaged")
    assert archive(ecolite, *good, "--out", out).exit_code == 0
    assert before.items() < results(out).items()


def test_an_archive_of_other_settings_is_not_touched(
    ecolite: Command, films: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    archive(ecolite, films / "a.mp4", "--out", out)
    before = (out / MANIFEST).read_bytes()
    run = archive(ecolite, films / "d.mp4", "--out", out, "--every", 0.25)
    assert run.exit_code == 2
    assert run.error == (
        f"{out} is another archive: it was made with another every_s; choose another folder"
    )
    assert (out / MANIFEST).read_bytes() == before


def test_nothing_is_begun_where_there_is_nothing_to_do(ecolite: Command, tmp_path: Path) -> None:
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    run = archive(ecolite, empty, "--out", out)
    assert run.exit_code == 2
    assert run.error.startswith(f"no recordings in {empty}; expected files such as ")
    assert not out.exists()


def test_an_archive_takes_the_current_version_of_the_model(tmp_path: Path) -> None:
    installed("openvino")
    bundle, config = renamed(tmp_path / "bundle"), tmp_path / "archive.yaml"
    config.write_text(f"models: {tmp_path / 'models'}\nengine: openvino\n")
    use_version(add_version(bundle.path, tmp_path / "models"), tmp_path / "models")
    assert _model(_settings(config, {})).bundle_digest == bundle.digest
    explicit = _model(_settings(config, {"bundle": demo_bundle_path()}))
    assert explicit.bundle_digest == read_bundle(demo_bundle_path()).digest


class Saboteurs(ProcessCrew):
    """Does something to the process of the first worker once it has work."""

    signal_number = 0
    hired = 0

    def hire(self, number: int) -> ProcessWorker:
        worker = super().hire(number)
        self.hired += 1
        if self.hired == 1:
            begin = worker.begin

            def sabotaged(task: Task) -> None:
                pid = worker._process.pid
                assert pid is not None
                os.kill(pid, self.signal_number)
                begin(task)

            worker.begin = sabotaged  # type: ignore[method-assign]
        return worker


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_a_worker_that_is_killed_or_frozen_is_replaced(films: Path, how: str) -> None:
    model = _model(_settings(None, {"bundle": demo_bundle_path(), "engine": "openvino"}))
    tasks = [task_of(films / name, model.settings()) for name in ("a.mp4", "d.mp4")]
    crew, heard = Saboteurs(functools.partial(Recognition, model), 1), Heard()
    crew.signal_number = getattr(signal, how)
    Schedule(tasks, crew, 1, heard, Limits(silent_s=20 if how == "SIGKILL" else 4)).run()
    assert sorted(heard.done) == sorted(task.name for task in tasks)
    assert (crew.hired, heard.failed) == (2, [])


def test_ids_of_events_are_the_same_in_every_run_and_differ_between_recordings() -> None:
    def ids(task: Task) -> list[str]:
        clock, sample = RecordingClock(task), Sample("s", 0, 0.0, None, None, True)
        return [event_id(clock.anchor(sample, False), "", 1.0) for _ in range(2)]

    one = Task(Path("/a"), "a", 1, 10**18, "0" * 32)
    other = Task(Path("/a"), "a", 1, 10**18, "1" * 32)
    assert ids(one) == ids(one)
    assert len({*ids(one), *ids(other)}) == 4


def test_cores_are_divided() -> None:
    assert divide_cores([0, 1, 2, 3, 4], 2) == [[0, 1], [2, 3, 4]]
    assert divide_cores([3, 7], 3) == [[3], [7], [3]]
