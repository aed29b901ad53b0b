from __future__ import annotations

import dataclasses
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.config import strict
from ecolite_stream.config.bounded_yaml import parse_yaml
from ecolite_stream.config.schema import MemoryConfig, StreamConfig
from ecolite_stream.config.strict import load_config, make_config, read_yaml
from ecolite_stream.errors import ConfigError
from tests.conftest import ROOT
from trainer.config.load import load_train_config

CONFIGS = ROOT / "configs"


def load(folder: Path, text: str) -> StreamConfig:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, RunConfig)


def test_every_kind_of_value(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        source: [camera, "caf\u00e9.mp4"]
        bundle: some/where
        engine: mindspore
        memory: {policy: paper, span_s: 2, num_segments: 8}
        every_s: 1e-2
        smoothing: 0
        json: true
        """,
    )
    assert config == RunConfig(
        source=("camera", "caf\u00e9.mp4"),
        bundle=Path("some/where"),
        engine="mindspore",
        memory=MemoryConfig(policy="paper", span_s=2.0, num_segments=8),
        every_s=0.01,
        smoothing=0.0,
        json=True,
    )
    assert isinstance(config.smoothing, float)


def test_one_source_needs_no_list(tmp_path: Path) -> None:
    assert load(tmp_path, "source: camera").source == ("camera",)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing") == RunConfig()


def test_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(tmp_path, "bundle: ~/model").bundle == tmp_path / "model"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("every: 1", "unknown key 'every'; did you mean 'every_s'?"),
        ("memory: {polcy: paper}", "memory: unknown key 'polcy'; did you mean 'policy'?"),
        ("xyz: 1", "unknown key 'xyz'; known: source, include, logins,"),
        ("1: 2", "unknown key 1; known: source"),
        ("every_s: fast", "every_s: expected a number, got 'fast'"),
        ("every_s: true", "every_s: expected a number, got True"),
        ("every_s: 1e-3s", "every_s: expected a number, got '1e-3s'"),
        ("every_s:", "every_s: expected a number, got None"),
        ("top: 2.5", "top: expected a whole number, got 2.5"),
        ("top: true", "top: expected a whole number, got True"),
        ("json: 1", "json: expected true or false, got 1"),
        ("engine: 1", "engine: expected text, got 1"),
        ("bundle: 1", "bundle: expected a path, got 1"),
        ("source: [camera, 1]", "source: expected text, got 1"),
        ("memory: paper", "memory: expected keys and values, got 'paper'"),
        ("memory: {num_segments: four}", "memory: num_segments: expected a whole number"),
        ("engine: tpu", "engine is 'tpu'; expected auto, openvino, onnxruntime, mindspore, mslite"),
        ("memory: {policy: fifo}", "memory: policy is 'fifo'; expected window, paper, pyramid"),
        ("memory: {on_gap: forget}", "memory: on_gap is 'forget'; expected keep, reset"),
        ("memory: {gap_s: 0}", "memory: gap_s is 0.0; expected a number above 0"),
        ("memory: {span_s: -1}", "memory: span_s is -1.0; expected a number above 0"),
        ("every_s: 0", "every_s is 0.0; expected at least 0.01"),
        ("every_s: .inf", "every_s is inf; expected at least 0.01"),
        ("every_s: .nan", "every_s is nan; expected at least 0.01"),
        ("every_s: 1e-7", "every_s is 1e-07; expected at least 0.01"),
        ("top: 1\ntop: 2", "key 'top' is repeated in line 2"),
        ("memory: {gap_s: 1, gap_s: 2}", "key 'gap_s' is repeated"),
        ("smoothing: 1", "smoothing is 1.0; expected 0 to below 1"),
        ("smoothing: .nan", "smoothing is nan; expected 0 to below 1"),
        ("top: 0", "top is 0; expected at least 1"),
        ("- a list", "expected keys and values, got list"),
        ("a: [", "cannot be read"),
        ("!!python/object/apply:os.getcwd []", "cannot be read"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert words in str(caught.value)
    assert str(tmp_path / "c.yaml") in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["web: {token: 31415926535897932}", "mqtt: {url: 31415926535897932}", "web: {token: [314159]}"],
)
def test_a_secret_of_the_wrong_kind_is_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="expected text; write it in quotes") as caught:
        load(tmp_path, text)
    assert "314159" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml does not exist"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"engine: \xe9")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "latin.yaml")


def test_a_missing_key() -> None:
    @dataclasses.dataclass(frozen=True)
    class Two:
        first: int
        second: int
        third: int = 3

    with pytest.raises(ConfigError, match="here: missing key first, second"):
        make_config(Two, {"third": 1}, "here")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("stream/*.yaml")), ids=lambda p: p.name)
def test_stream_configurations_load(path: Path) -> None:
    load_config(path, RunConfig)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("train/*.yaml")), ids=lambda p: p.name)
def test_train_configurations_load(path: Path) -> None:
    load_train_config(path)


def test_no_configuration_lies_elsewhere() -> None:
    folders = {path.parent.name for path in CONFIGS.rglob("*.yaml")}
    assert folders == {"kubernetes", "stream", "train"}


def test_the_default_file_shows_every_key_with_its_default() -> None:
    path = CONFIGS / "stream" / "default.yaml"
    assert dict(keys(read_yaml(path))) == dict(keys(dataclasses.asdict(RunConfig())))
    assert load_config(path, RunConfig) == RunConfig()


def keys(values: Any) -> Any:
    """The names of keys, in their order, nested ones included."""
    return [(k, keys(v)) for k, v in values.items()] if isinstance(values, dict) else None


def test_names_that_are_no_utf8_are_values(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    assert parse_yaml(f"[{name}]") == [name]
    assert parse_yaml('"caf\\udce9.mp4"') == name
    with pytest.raises(yaml.YAMLError):
        parse_yaml("a\x00b")


def test_a_pipe_that_a_program_writes_is_a_configuration(tmp_path: Path) -> None:
    pipe = tmp_path / "c.yaml"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("source: camera\n",))
    writer.start()
    assert read_yaml(pipe) == {"source": "camera"}
    writer.join()


def test_a_pipe_that_nobody_writes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict, "PIPE_WAIT_S", 0.05)
    pipe = tmp_path / "c.yaml"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match=r"c\.yaml cannot be read: the pipe sent no whole text"):
        read_yaml(pipe)
