"""No command computes labels with an engine that does not give the bundle's golden numbers."""

from __future__ import annotations

import dataclasses
import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from ecolite_stream.app.build import engine_opener
from ecolite_stream.archive.recognition import open_engine_of
from ecolite_stream.archive.tasks import Model
from ecolite_stream.bench.shared import opened
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.recording.sink import RUN
from tests.app.runs import Command, Result
from tests.conftest import installed
from tests.engines.expected import scaled

pytestmark = pytest.mark.timeout(60)
OFF = r"engine openvino disagrees with the bundle .* its features are off by 5\.0e-01"


@pytest.fixture
def wrong(bundle: Bundle, tmp_path: Path) -> Bundle:
    """A bundle whose golden features are twice what engines compute."""
    installed("openvino")
    return scaled(bundle, tmp_path / "wrong", 2)


def assert_refused(result: Result) -> None:
    assert result.exit_code == 5
    assert result.error.startswith("engine openvino disagrees with the bundle on this processor")
    assert "; use another engine" in result.error


def test_a_stream(ecolite: Command, wrong: Bundle) -> None:
    source = ("--source", "pattern:seconds=1", "--engine", "openvino")
    assert_refused(ecolite(*source, "--json", "--no-store", "--bundle", wrong.path))


def test_a_replay(ecolite: Command, bundle: Bundle, wrong: Bundle, tmp_path: Path) -> None:
    run = tmp_path / "run"
    source = ("--source", "pattern:seconds=1", "--engine", "openvino")
    assert ecolite(*source, "--record", run, "--no-store").exit_code == 0
    facts = json.loads((run / RUN).read_text())
    (run / RUN).write_text(json.dumps({**facts, "bundle": wrong.digest}))
    assert_refused(ecolite("replay", run, "--bundle", wrong.path))


def test_an_archive(ecolite: Command, wrong: Bundle, film: Path, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    shutil.copy(film, tmp_path / "films")
    where = (tmp_path / "films", "--out", tmp_path / "out", "--bundle", wrong.path)
    assert_refused(ecolite("archive", *where, "--engine", "openvino"))


def test_a_worker_of_an_archive(wrong: Bundle) -> None:
    config = StreamConfig(engine="openvino", bundle=wrong.path)
    model = Model(wrong.path, wrong.digest, "openvino", None, None, config)
    with pytest.raises(EngineError, match=OFF):
        open_engine_of(model, wrong)


def test_a_run_and_a_machine_of_a_fleet(bundle: Bundle, wrong: Bundle) -> None:
    config = StreamConfig(engine="openvino")
    with closing(engine_opener(config, bundle)()) as engine:
        assert engine.name == "openvino"
    for reuse in (False, True):
        with pytest.raises(EngineError, match=OFF):
            engine_opener(dataclasses.replace(config, reuse=reuse), wrong)()


def test_a_benchmark_of_labels(wrong: Bundle) -> None:
    with pytest.raises(EngineError, match=OFF), opened(wrong, ["openvino"]):
        raise AssertionError
