"""One list of sinks: options, sections, checks and docs follow from it."""

from __future__ import annotations

import ast
import dataclasses
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecolite_stream.app import build, check_config, cli
from ecolite_stream.app.sinks import SINKS, RunConfig, option_name
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from ecolite_stream.recording.kind import RecordConfig
from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.json_file import JsonFileConfig
from ecolite_stream.sinks.kind import Run, SinkKind, build_sinks
from ecolite_stream.sinks.webhook import WebhookConfig
from tests.conftest import ROOT
from tests.fakes import ListSink


def run_of(config: StreamConfig) -> Run:
    return Run(config, ["a"], read_bundle(demo_bundle_path()))


@pytest.mark.parametrize("module", [cli, build, check_config], ids=lambda m: m.__name__)
def test_what_joins_the_program_names_no_sink(module: object) -> None:
    path = Path(str(module.__file__))  # type: ignore[attr-defined]
    text = path.read_text(encoding="utf-8")
    imported = {
        node.module
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert {name for name in imported if name.startswith("ecolite_stream.sinks")} <= {
        "ecolite_stream.sinks.kind"
    }
    words = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    attributes = {n.attr for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute)}
    names = {kind.name for kind in SINKS} | {option_name(kind) for kind in SINKS}
    assert not names & (words | attributes)


def test_without_settings_only_stdout_is_a_sink() -> None:
    for config in (RunConfig(), StreamConfig()):
        (sink,) = build_sinks(SINKS, run_of(config))
        assert type(sink).__name__ == "ConsoleSink"
    (sink,) = build_sinks(SINKS, run_of(RunConfig(json=True)))
    assert type(sink).__name__ == "JsonLinesSink"


def test_each_option_sets_the_key_of_its_section() -> None:
    by_option = {option: p for p in cli.stream.params for option in p.opts}
    for kind in SINKS:
        option = by_option[option_name(kind)]
        config = cli.merge(RunConfig(), {option.name: "x"})
        assert getattr(config.section(kind.config), kind.key) == "x"


def test_sections_and_extras_are_their_own() -> None:
    sections = [kind.section for kind in SINKS if kind.section is not None]
    taken = {field.name for field in dataclasses.fields(StreamConfig)}
    assert len(set(sections)) == len(sections) and not taken & set(sections)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {kind.extra for kind in SINKS if kind.extra is not None}
    assert extras and extras <= set(project["optional-dependencies"])


def test_settings_that_a_configuration_has_not_are_the_defaults() -> None:
    assert StreamConfig().section(WebhookConfig) == WebhookConfig()
    config = RunConfig(webhook=WebhookConfig("http://host"))
    assert config.section(WebhookConfig).url == "http://host"
    assert config.section(StreamConfig) is config


def test_an_error_in_one_sink_leaves_no_file_of_another(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    json_file = JsonFileConfig(tmp_path / "log.jsonl")
    config = RunConfig(json_file=json_file, record=RecordConfig(tmp_path / "full"))
    with pytest.raises(ConfigError, match="is not empty"):
        build_sinks(SINKS, run_of(config))
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    for sink in build_sinks(SINKS, run_of(RunConfig(json_file=json_file))):
        sink.close()
    assert json_file.path is not None and json_file.path.exists()


@dataclass(frozen=True)
class PagerConfig:
    number: str | None = "1"


def pager(extra: str | None, missing: bool = True) -> SinkKind[PagerConfig]:
    def check(config: PagerConfig, run: Run) -> str:
        if missing:
            import a_library_that_nobody_has  # noqa: F401
        return f"pages to {config.number}"

    def built(config: PagerConfig, run: Run) -> Sink:
        return ListSink()

    return SinkKind("pager", PagerConfig, "number", "Page.", check, built, extra=extra)


def test_a_library_that_is_missing_names_the_extra() -> None:
    run = run_of(StreamConfig())
    advice = r"pager needs a_library_.*, which is not .*; run pip install 'ecolite-stream\[beep\]'"
    with pytest.raises(ConfigError, match=advice):
        build_sinks([pager("beep")], run)
    with pytest.raises(ModuleNotFoundError):  # a defect, where the sink says it needs none
        build_sinks([pager(None)], run)
    kind = pager("beep", missing=False)
    assert kind.check_for(run) == "pages to 1"
    assert isinstance(kind.build_for(run), ListSink)


def sink_docs(*args: object) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "scripts" / "sink_docs"), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_default_yaml_and_docs_have_every_sink(tmp_path: Path) -> None:
    """Their sections, keys, defaults and rows are what `scripts/sink_docs` would write."""
    assert sink_docs("--check") == (0, "")
    for name in ("configs/stream/default.yaml", "docs/events.md"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / name, tmp_path / name)
    config, table = tmp_path / "configs/stream/default.yaml", tmp_path / "docs/events.md"
    for path, old, new in (
        (config, "timeout_s: 5.0", "timeout_s: 6.0"),
        (table, "| `--webhook URL`", "| `--webhooks URL`"),
    ):
        right = path.read_text(encoding="utf-8")
        assert right.count(old) == 1
        path.write_text(right.replace(old, new), encoding="utf-8")
        code, err = sink_docs("--check", "--root", tmp_path)
        assert code == 2 and f"{path} does not match the list of sinks" in err
        assert sink_docs("--root", tmp_path) == (0, "")
        assert path.read_text(encoding="utf-8") == right


def test_files_without_the_marks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "configs" / "stream" / "default.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("source: camera\n", encoding="utf-8")
    code, err = sink_docs("--root", tmp_path)
    assert code == 2 and "expected the lines '# Sinks: " in err
    assert path.read_text(encoding="utf-8") == "source: camera\n"
