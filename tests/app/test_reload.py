"""SIGHUP: what changed is applied, what is wrong is refused, and the run goes on."""

from __future__ import annotations

import dataclasses
import os
import queue
import signal
import threading
from pathlib import Path

import pytest

from ecolite_stream.app.build import stream_inputs
from ecolite_stream.app.control import PipelineControl
from ecolite_stream.app.reload import Reloader, reload_on_sighup
from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.config.includes import load_stream_config
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from ecolite_stream.pipeline.pipeline import Pipeline
from tests.fakes import ListSink, NumberEngine, spec_of

pytestmark = pytest.mark.timeout(60)

BEFORE = """
source:
- {name: gate, url: "pattern:seconds=2"}
- {name: yard, url: "pattern:seconds=3"}
"""


class Files:
    """A configuration file, and a run that was begun with it."""

    def __init__(self, folder: Path, text: str = BEFORE) -> None:
        self.path = folder / "stream.yaml"
        self.path.write_text(text)
        config = self.load()
        self.pipeline = Pipeline(
            stream_inputs(config), NumberEngine, spec_of(), [ListSink()], config
        )
        bundle = dataclasses.replace(read_bundle(demo_bundle_path()), spec=spec_of())
        control = PipelineControl(config, bundle)
        control.attach(self.pipeline)
        self.reloader = Reloader(config, self.load, self.pipeline, control)

    def load(self):
        return load_stream_config(self.path, RunConfig)


@pytest.mark.parametrize(
    ("text", "said", "streams"),
    [
        (BEFORE, "nothing changed", {"gate", "yard"}),
        (BEFORE + '- {name: door, url: "pattern:"}\n', "added door", {"gate", "yard", "door"}),
        (BEFORE.replace("yard", "door"), "added door; removed yard", {"gate", "door"}),
        (BEFORE.replace("seconds=3", "seconds=4"), "opened anew yard", {"gate", "yard"}),
        (
            BEFORE.replace('seconds=3"', 'seconds=3", every_s: 0.25'),
            "opened anew yard",
            {"gate", "yard"},
        ),
        (BEFORE + "every_s: 0.25\n", "opened anew gate, yard", {"gate", "yard"}),
        (BEFORE + "json: true\n", "restart to apply json", {"gate", "yard"}),
    ],
)
def test_what_changed_is_applied(tmp_path: Path, text: str, said: str, streams: set[str]) -> None:
    files = Files(tmp_path)
    # Without an engine thread nobody pops the end of a stream that is opened anew.
    files.pipeline._queue.wait_for_end = lambda *_: True  # type: ignore[method-assign]
    files.path.write_text(text)
    assert files.reloader.reload() == said
    assert set(files.pipeline.streams) == streams
    assert files.reloader.reload() == "nothing changed"


def test_a_stream_that_cannot_be_added_yet_is_added_by_the_next_reload(tmp_path: Path) -> None:
    files = Files(tmp_path)
    waiting = files.pipeline._queue
    waiting.wait_for_end = lambda *_: False  # type: ignore[method-assign]
    added = '- {name: door, url: "pattern:"}\n- {name: hall, url: "pattern:"}\n'
    files.path.write_text(BEFORE.replace("seconds=3", "seconds=4") + added)
    (hall,) = (one for one in stream_inputs(files.load()) if one.name == "hall")
    files.pipeline.add(hall)  # by the API, and the same as in the file
    assert files.reloader.reload() == (
        "added door; not added, reload again: "
        "yard (stream 'yard' is still being removed; try again)"
    )
    assert set(files.pipeline.streams) == {"gate", "door", "hall"}
    waiting.wait_for_end = lambda *_: True  # type: ignore[method-assign]
    assert files.reloader.reload() == "added yard"
    assert set(files.pipeline.streams) == {"gate", "yard", "door", "hall"}
    assert files.reloader.reload() == "nothing changed"


def test_a_reload_that_fails_unexpectedly_is_not_the_last(tmp_path: Path) -> None:
    files, said = Files(tmp_path), queue.SimpleQueue[str]()

    def reload() -> str:
        said.put("called")
        raise RuntimeError("can't start new thread")

    files.reloader.reload = reload  # type: ignore[method-assign]
    with reload_on_sighup(files.reloader):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
            assert said.get(timeout=30) == "called"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source: [", "cannot be read"),
        (BEFORE + "evry_s: 1\n", "did you mean 'every_s'"),
        (BEFORE.replace("yard", "gate"), "two streams are named 'gate'"),
        (BEFORE + "memory: {num_segments: 99}\n", "segments"),
        (BEFORE.replace('=3"', '=3", events: {enter: 7}'), "source yard: events: enter"),
    ],
)
def test_what_is_wrong_is_refused_and_the_run_is_as_it_was(
    tmp_path: Path, text: str, words: str
) -> None:
    files = Files(tmp_path)
    files.path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        files.reloader.reload()
    assert set(files.pipeline.streams) == {"gate", "yard"}
    files.path.write_text(BEFORE)
    assert files.reloader.reload() == "nothing changed"


def test_sighup_reloads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = Files(tmp_path)
    files.path.write_text(BEFORE + '- {name: door, url: "pattern:"}\n')
    done = threading.Event()
    reload = files.reloader.reload

    def noted() -> str:
        try:
            return reload()
        finally:
            done.set()

    files.reloader.reload = noted  # type: ignore[method-assign]
    with reload_on_sighup(files.reloader):
        os.kill(os.getpid(), signal.SIGHUP)
        assert done.wait(20), "SIGHUP did not reload the configuration"
    assert set(files.pipeline.streams) == {"gate", "yard", "door"}
