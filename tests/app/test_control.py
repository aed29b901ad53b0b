"""What the API does to a run: a real pipeline, OpenVINO and bundles made from the embedded one."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecolite_stream.app.build import stream_inputs
from ecolite_stream.app.control import PipelineControl
from ecolite_stream.app.reload import Reloader
from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.app.versions import add_version, bundle_path, list_versions, use_version
from ecolite_stream.config.schema import EventConfig
from ecolite_stream.engines import Engine, open_engine
from ecolite_stream.engines.auto_precision import Chosen
from ecolite_stream.errors import BundleError, ConfigError, EngineError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.recognition.models import Model, model_of
from tests.app.bundles import changed, disagreeing, renamed
from tests.fakes import OutputSink
from tests.waiting import eventually

pytest.importorskip("openvino")

pytestmark = pytest.mark.timeout(120)


class Run:
    """A run of test patterns that change all the time."""

    def __init__(self, config: RunConfig) -> None:
        self.config, self.sink, self.metrics = config, OutputSink(), Metrics()
        self.bundle = read_bundle(bundle_path(config))
        self.control = PipelineControl(config, self.bundle)
        self.pipeline = Pipeline(
            stream_inputs(config),
            lambda: open_engine("openvino", self.bundle),
            model_of(self.bundle, "openvino"),
            [self.sink],
            config,
            self.metrics,
        )
        self._thread = threading.Thread(target=self.pipeline.run)

    def __enter__(self) -> Run:
        self._thread.start()
        self.control.attach(self.pipeline)
        return self

    def __exit__(self, *what: object) -> None:
        self.pipeline.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def labels(self, stream: str, since: int = 0) -> set[str]:
        found = list(self.sink.outputs)[since:]
        return {one.label for one in found if one.stream == stream}

    def wait(self, stream: str, prefix: str = "") -> None:
        """Wait for a label of a bundle in what comes now."""
        since = len(self.sink.outputs)
        eventually(lambda: any(x.startswith(prefix) for x in self.labels(stream, since)))


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return RunConfig(
        source=("gate=pattern:", "yard=pattern:"),
        realtime=True,
        engine="openvino",
        models=tmp_path / "models",
        events=EventConfig(enter=0, leave=0, min_s=0, min_fill=0, ignore=()),
    )


@pytest.fixture
def run(config: RunConfig) -> Iterator[Run]:
    with Run(config) as run:
        run.wait("gate")
        yield run


def version(run: Run, bundle: Bundle) -> str:
    return add_version(bundle.path, run.config.models)


def test_streams_are_added_paused_resumed_and_removed(run: Run) -> None:
    assert run.control.add({"url": "pattern:", "name": "hall"}) == "hall"
    run.wait("hall")
    assert set(run.control.names() or ()) == {"gate", "yard", "hall"}
    with pytest.raises(ConfigError, match="there is a stream 'hall' already"):
        run.control.add({"url": "pattern:", "name": "hall"})
    run.control.pause("hall")
    assert run.pipeline.streams["hall"] == "paused"
    with pytest.raises(ConfigError, match="paused already"):
        run.control.pause("hall")
    run.control.resume("hall")
    run.wait("hall")
    run.control.remove("hall")
    for change in (run.control.remove, run.control.pause, run.control.resume):
        with pytest.raises(KeyError):
            change("hall")
    run.wait("gate")
    with pytest.raises(ConfigError, match="standard input"):
        run.control.add({"url": "-"})


def test_before_the_run_nothing_can_be_changed(config: RunConfig) -> None:
    control = PipelineControl(config, read_bundle(demo_bundle_path()))
    assert control.names() is None
    with pytest.raises(ConfigError, match="still starting"):
        control.add({"url": "pattern:"})
    with pytest.raises(ConfigError, match="still starting"):
        control.change_bundle(demo_bundle_path())


def test_a_version_is_swapped_in_and_back(run: Run, tmp_path: Path) -> None:
    heard: list[str] = []
    run.control.on_bundle(lambda bundle: heard.append(bundle.digest))
    mine = version(run, renamed(tmp_path / "mine"))
    run.control.set_bundle(mine[:10])
    for stream in ("gate", "yard"):
        run.wait(stream, "my ")
    assert run.control.bundle.digest == mine
    assert [v.digest for v in run.control.versions() if v.is_current] == [mine]
    run.control.set_bundle(mine)  # nothing to do
    run.control.add({"url": "pattern:", "name": "hall"})
    run.wait("hall", "my ")
    run.control.set_bundle(run.bundle.digest)
    since = len(run.sink.outputs)
    eventually(lambda: "gate" in {one.stream for one in run.sink.outputs[since + 4 :]})
    assert heard == [mine, run.bundle.digest]
    digests = {event.bundle for event in run.sink.events("gate")}
    assert digests <= {mine, run.bundle.digest}
    for event in run.sink.events("gate") + run.sink.events("hall"):
        assert (event.bundle == mine) == event.label.startswith("my ")


def test_auto_precision_is_chosen_anew_for_each_bundle(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(engine: str, bundle: Bundle, device: str | None, precision: str | None) -> Chosen:
        assert precision == "auto"
        return Chosen("f32", "bf16 disagrees")

    class Swapped:
        """Stands for the pipeline."""

        def set_bundle(self, model: Model, open_engine: Callable[[], Engine]) -> None:
            with contextlib.closing(open_engine()) as engine:
                opened.append(engine.precision)  # type: ignore[attr-defined]

    opened: list[str] = []
    monkeypatch.setattr("ecolite_stream.app.control.choose_precision", chosen)
    start = dataclasses.replace(config, precision="bf16")  # of the bundle at the start
    control = PipelineControl(start, read_bundle(demo_bundle_path()), "auto")
    control.attach(Swapped())  # type: ignore[arg-type]
    assert control.change_bundle(renamed(tmp_path / "mine").path)
    assert opened == ["f32"]


def test_only_versions_are_swapped_in(run: Run, tmp_path: Path) -> None:
    bundle = renamed(tmp_path / "mine")
    with pytest.raises(ConfigError, match="not in the folder of models"):
        run.control.set_bundle(str(bundle.path))
    with pytest.raises(ConfigError, match="there is no version"):
        run.control.set_bundle(bundle.digest)


def test_a_version_that_cannot_be_kept_is_reported(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = version(run, renamed(tmp_path / "mine"))

    def full(digest: str, folder: Path) -> None:
        raise ConfigError("No space left on device")

    monkeypatch.setattr("ecolite_stream.app.control.use_version", full)
    with pytest.raises(ConfigError, match=r"now, but the next one will not: No space left"):
        run.control.set_bundle(mine)
    run.wait("gate", "my ")


def test_a_bundle_that_fails_leaves_the_run_as_it_is(run: Run, tmp_path: Path) -> None:
    wrong = version(run, disagreeing(tmp_path / "wrong"))
    with pytest.raises(EngineError, match="disagrees with the bundle"):
        run.control.set_bundle(wrong)
    bundle = renamed(tmp_path / "cut")
    cut = version(run, bundle)
    assert run.config.models is not None
    with (run.config.models / cut / "encoder_2d.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match="damaged"):
        run.control.set_bundle(cut)
    assert run.control.bundle.digest == run.bundle.digest
    assert [v.name for v in list_versions(run.config.models) if v.is_current] == ["embedded"]
    run.wait("gate")
    assert not any(label.startswith("my ") for label in run.labels("gate"))


def test_full_memory_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    mine = version(run, renamed(tmp_path / "mine"))
    with monkeypatch.context() as patch:
        patch.setattr("ecolite_stream.engines.check.open_engine", full)
        with pytest.raises(EngineError, match="memory is full"):
            run.control.set_bundle(mine)
    run.wait("gate")
    run.control.set_bundle(mine)
    run.wait("gate", "my ")


def test_a_bundle_of_another_framing_and_length_is_swapped_in(run: Run, tmp_path: Path) -> None:
    how = dataclasses.replace(run.bundle.spec.preprocessing, framing="center")
    other = renamed(tmp_path / "other", preprocessing=how, clip_seconds=3.2)
    run.control.set_bundle(version(run, other))
    run.wait("gate", "my ")


def test_the_same_encoder_gives_the_same_features(tmp_path: Path) -> None:
    embedded = read_bundle(demo_bundle_path())
    old = model_of(embedded, "openvino")
    assert model_of(renamed(tmp_path / "mine"), "openvino").has_features_of(old)
    how = dataclasses.replace(embedded.spec.preprocessing, framing="whole")
    assert not model_of(changed(tmp_path / "a", preprocessing=how), "openvino").has_features_of(old)
    longer = changed(tmp_path / "b", clip_seconds=3.2)
    assert not model_of(longer, "openvino").has_features_of(old)
    assert not model_of(embedded, "openvino", precision="f64").has_features_of(old)


# SIGHUP


def test_a_reload_applies_another_bundle(run: Run, tmp_path: Path) -> None:
    wanted = [run.config]
    reloader = Reloader(run.config, lambda: wanted[0], run.pipeline, run.control)
    assert reloader.reload() == "nothing changed"
    mine = renamed(tmp_path / "mine")
    wanted[0] = dataclasses.replace(run.config, bundle=mine.path)
    assert reloader.reload() == f"changed to bundle {mine.digest[:12]}"
    run.wait("gate", "my ")
    assert reloader.reload() == "nothing changed"


def test_a_reload_applies_other_content_of_the_same_folder(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    first = renamed(path)
    wanted = dataclasses.replace(run.config, bundle=path)
    reloader = Reloader(run.config, lambda: wanted, run.pipeline, run.control)
    assert reloader.reload() == f"changed to bundle {first.digest[:12]}"
    path.rename(tmp_path / "before")
    second = renamed(path, "your ")
    assert reloader.reload() == f"changed to bundle {second.digest[:12]}"
    run.wait("gate", "your ")


def test_a_reload_applies_the_current_version_and_keeps_that_of_the_api(
    run: Run, tmp_path: Path
) -> None:
    mine = version(run, renamed(tmp_path / "mine"))
    reloader = Reloader(run.config, lambda: run.config, run.pipeline, run.control)
    use_version(mine, run.config.models)
    assert reloader.reload() == f"changed to bundle {mine[:12]}"
    run.control.set_bundle("embedded")
    assert reloader.reload() == "nothing changed"
    assert run.control.bundle.digest == run.bundle.digest


def test_a_reload_with_a_damaged_bundle_changes_nothing(run: Run, tmp_path: Path) -> None:
    wrong = disagreeing(tmp_path / "wrong")
    source = ("gate=pattern:",)
    wanted = dataclasses.replace(run.config, bundle=wrong.path, source=source)
    reloader = Reloader(run.config, lambda: wanted, run.pipeline, run.control)
    with pytest.raises(EngineError, match="disagrees"):
        reloader.reload()
    assert set(run.pipeline.streams) == {"gate", "yard"}
    run.wait("yard")
