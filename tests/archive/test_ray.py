"""Workers on Ray: a real cluster of one machine where Ray is installed."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecolite_stream.app.archive_command import _model, _settings
from ecolite_stream.archive.ray_workers import RayCrew, RayWorker, check_address
from ecolite_stream.archive.recognition import Recognition
from ecolite_stream.archive.schedule import Limits, Schedule
from ecolite_stream.archive.tasks import Task, task_of
from ecolite_stream.archive.workers import ProcessCrew
from ecolite_stream.bench.accuracy.results import RESULTS
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from tests.app.runs import Command, unused_port
from tests.archive.test_schedule import Heard
from tests.bench.test_cli import exit_code
from tests.conftest import installed
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(200)
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


@pytest.mark.parametrize("address", ["", "10.0.0.5", "ray://host", "ray://u:p@h:1", "ray://h:0"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ConfigError, match="expected auto or ray://HOST:PORT") as raised:
        check_address(address)
    assert "u:p" not in str(raised.value)


def test_an_address_that_does_not_answer() -> None:
    port = unused_port()
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port} does not answer .*ray start --head"):
        check_address(f"ray://127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_address(f"ray://127.0.0.1:{server.getsockname()[1]}")


def test_without_the_extra(
    ecolite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecolite_stream.app import extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    run = ecolite("archive", tmp_path, "--out", tmp_path / "out", "--address", "auto")
    assert run.exit_code == 2
    assert run.error == (
        "archive --address needs ray, which is not installed; "
        "run pip install 'ecolite-stream[fleet]'"
    )
    assert not (tmp_path / "out").exists()


@needs_ray
def test_a_cluster_of_this_machine_that_does_not_answer(
    ecolite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = unused_port()
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    write_numbered_video(tmp_path / "a.mp4", 30)
    run = ecolite("archive", tmp_path, "--out", tmp_path / "out", "--address", "auto")
    assert run.exit_code == 2
    assert run.error.startswith(f"127.0.0.1:{port} does not answer ")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A real head node with two cores; `auto` leads to it."""
    if find_spec("ray") is None or sys.platform == "win32":
        pytest.skip("ray is not installed")
    installed("openvino")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    memory = {"num_cpus": 2, "object_store_memory": 100_000_000, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=memory)
    os.environ["RAY_ADDRESS"] = nodes.address
    yield nodes.address
    del os.environ["RAY_ADDRESS"]
    with contextlib.suppress(Exception):
        nodes.shutdown()


class Killing(RayCrew):
    """Kills the process of the first actor once it has work."""

    hired = 0

    def hire(self, number: int) -> RayWorker:
        worker = super().hire(number)
        self.hired += 1
        if self.hired == 1:
            begin = worker.begin

            def killed(task: Task) -> None:
                pid = self._ray.get(worker._actor.__ray_call__.remote(lambda actor: os.getpid()))
                begin(task)
                os.kill(pid, signal.SIGKILL)

            worker.begin = killed  # type: ignore[method-assign]
        return worker


class Kept(Heard):
    """Keeps results."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, tuple[bytes, bytes]] = {}

    def finished(self, task: Task, results: Any) -> None:
        super().finished(task, results)
        self.results[task.name] = (results.predictions, results.events)


def test_a_cluster_gives_the_results_of_this_machine_although_an_actor_dies(
    cluster: str, tmp_path: Path
) -> None:
    for name in "abc":
        write_numbered_video(tmp_path / f"{name}.mp4", 40)
    (tmp_path / "d.mp4").write_bytes(b"no video")
    model = _model(_settings(None, {"bundle": demo_bundle_path(), "engine": "openvino"}))
    tasks = [task_of(path, model.settings()) for path in sorted(tmp_path.glob("*.mp4"))]
    crew, there, here = Killing(functools.partial(Recognition, model), "auto", None), Kept(), Kept()
    assert crew.workers == 2
    try:
        Schedule(tasks, crew, crew.workers, there, Limits(silent_s=60)).run()
    finally:
        crew.close()
    assert crew.hired >= 3
    Schedule(tasks, ProcessCrew(functools.partial(Recognition, model), 1), 1, here).run()
    assert there.results == here.results
    assert len(there.results) == 3
    for heard in (there, here):
        ((name, reason),) = heard.failed
        assert name.endswith("d.mp4") and "holds no video" in reason


def test_teaching_gives_the_features_of_this_machine(cluster: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from tests.trainer.teaching.films import folder_of_clips
    from trainer.teaching.clips import find_taught, load_features

    bundle, files = (
        read_bundle(demo_bundle_path()),
        find_taught(folder_of_clips(tmp_path / "clips")),
    )
    here, there = (
        load_features(files, bundle, ["follow"], "openvino", tmp_path / str(hire), hire=hire)
        for hire in (None, lambda job: contextlib.closing(RayCrew(job, "auto", None)))
    )
    assert [clip.name for clip in there] == [clip.name for clip in here]
    for one, other in zip(there, here, strict=True):
        found, expected = (clip.by_framing["follow"]["plain"].pooled for clip in (one, other))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_bench_gives_the_results_of_this_machine(cluster: str, tmp_path: Path) -> None:
    data, label = tmp_path / "data", read_bundle(demo_bundle_path()).spec.labels[1]
    (data / label).mkdir(parents=True)
    for number in (1, 2, 3):
        write_numbered_video(data / label / f"a_{number}.avi", 20 + number)
    (data / label / "a_4.avi").write_bytes(b"no video")
    options = ("--data", data, "--split-by", "/([a-z]+)_", "--test-groups", "a")
    reports = [tmp_path / "here", tmp_path / "there"]
    for report, more in zip(reports, ((), ("--address", "auto")), strict=True):
        run = ("ucf101", *options, "--engine", "openvino", "--report", report, *more)
        assert exit_code(*run) == 3  # one clip is unreadable
    here, there = ((report / RESULTS).read_bytes() for report in reports)
    assert here == there
    assert here.count(b"\n") == 5
    settings = json.loads((reports[1] / "report.json").read_text())["settings"]
    assert (settings["address"], settings["workers"]) == ("auto", 2)
