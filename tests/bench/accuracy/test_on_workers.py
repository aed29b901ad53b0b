"""Whole clips on workers of the archive: real processes, the embedded bundle."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path

import pytest

from ecolite_stream.archive.tasks import Task
from ecolite_stream.archive.workers import ProcessCrew, ProcessWorker
from ecolite_stream.bench.accuracy.on_workers import open_classifier
from ecolite_stream.bench.accuracy.results import RESULTS
from ecolite_stream.bench.accuracy.ucf101 import Asked, Model, run_evaluation, select
from ecolite_stream.engines import open_engine
from ecolite_stream.errors import BundleError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from tests.conftest import installed
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def demo() -> Bundle:
    installed("openvino")
    return read_bundle(demo_bundle_path())


@pytest.fixture
def data(demo: Bundle, tmp_path: Path) -> Path:
    """Seven clips of three classes; the last is no video."""
    folder = tmp_path / "data"
    for place, label in enumerate(demo.spec.labels[:3]):
        (folder / label).mkdir(parents=True)
        for number in (1, 2):
            path = folder / label / f"a_{number}.avi"
            write_numbered_video(path, 20 + 7 * number, first=100 * place)
    (path.parent / "a_3.avi").write_bytes(b"no video")
    return folder


def evaluate(data: Path, demo: Bundle, report: Path, crew: ProcessCrew | None):
    asked = Asked(data, split_by="/([a-z]+)_", test_groups=("a",), report=report)
    selection = select(asked, demo.spec.labels)
    engine = open_engine("openvino", demo)
    try:
        return run_evaluation(asked, selection, Model(demo, engine), crew=crew)
    finally:
        engine.close()


def classifiers(demo: Bundle) -> ProcessCrew:
    return ProcessCrew(open_classifier(demo, "openvino", None, None, 1), 2)


def test_workers_give_the_outcomes_of_one_process(data: Path, demo: Bundle, tmp_path: Path) -> None:
    one, pace = evaluate(data, demo, tmp_path / "one", None)
    two, pace_of_two = evaluate(data, demo, tmp_path / "two", classifiers(demo))
    assert two.outcomes == one.outcomes
    assert len(two.outcomes) == 7
    assert [outcome.clip for outcome in two.unreadable] == [f"{demo.spec.labels[2]}/a_3.avi"]
    assert len({outcome.loss for outcome in two.read}) > 1
    assert (tmp_path / "two" / RESULTS).read_bytes() == (tmp_path / "one" / RESULTS).read_bytes()
    assert pace_of_two.videos == pace.videos == 6
    assert pace_of_two.engine_s > 0


class Killing(ProcessCrew):
    """Kills every worker that gets a clip of this name."""

    name = ""

    def hire(self, number: int) -> ProcessWorker:
        worker = super().hire(number)
        begin = worker.begin

        def killed(task: Task) -> None:
            begin(task)
            if task.name == self.name:
                os.kill(int(worker._process.pid or 0), signal.SIGKILL)

        worker.begin = killed  # type: ignore[method-assign]
        return worker


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_clip_that_kills_its_workers_is_unreadable(
    data: Path, demo: Bundle, tmp_path: Path
) -> None:
    crew = Killing(open_classifier(demo, "openvino", None, None, 1), 2)
    crew.name = f"{demo.spec.labels[0]}/a_1.avi"
    scores, _ = evaluate(data, demo, tmp_path / "out", crew)
    errors = {outcome.clip: outcome.error for outcome in scores.unreadable}
    assert errors.pop(crew.name) == "its worker was killed by SIGKILL"
    assert list(errors) == [f"{demo.spec.labels[2]}/a_3.avi"]
    assert len(scores.read) == 5


def test_workers_refuse_another_bundle(data: Path, demo: Bundle, tmp_path: Path) -> None:
    other = dataclasses.replace(demo, digest="0" * 64)
    with pytest.raises(BundleError, match=r"is another bundle here, .* expected 000000000000"):
        evaluate(data, demo, tmp_path / "out", classifiers(other))
