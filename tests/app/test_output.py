"""`ecolite-stream` as people run it: what is on stdout, and what options change."""

from __future__ import annotations

import json
import logging
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from ecolite_stream.app import cli
from ecolite_stream.config.schema import MemoryConfig, StreamConfig
from ecolite_stream.model.bundle import Bundle
from tests.app.runs import Command, unused_port
from tests.conftest import installed
from tests.sinks.test_sinks import KEYS

pytestmark = pytest.mark.timeout(60)


def test_labels_as_text(ecolite: Command, film: Path) -> None:
    result = ecolite("--source", film)
    assert (result.exit_code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) == 5
    for line in lines:
        assert re.fullmatch(
            r" +\d+\.\d\d s  (bend|idle|jump|walk|wave) +\d+% #+ +( \| \w+ \d+%){2}", line
        )


def test_states_are_logged_where_they_are_asked_for(ecolite: Command, film: Path) -> None:
    said = ecolite("--source", f"gate={film}", "--verbose").err
    assert said.splitlines() == [
        f"info: gate: {state}" for state in ("connecting", "live", "ended")
    ]
    logging.getLogger("ecolite_stream").setLevel(logging.NOTSET)
    assert ecolite("--source", f"gate={film}").err == ""


def test_labels_as_json_lines(ecolite: Command, film: Path, bundle: Bundle) -> None:
    result = ecolite("--source", film, "--json")
    assert (result.exit_code, result.err) == (0, "")
    assert [p["frame"] for p in result.predictions] == [10, 25, 35, 50, 60]
    for prediction in result.predictions:
        assert list(prediction) == KEYS
        assert prediction["stream"] == str(film)
        assert prediction["time_s"] == prediction["frame"] / 25
        assert [prediction["label"], prediction["score"]] == prediction["top"][0]
        assert {label for label, _ in prediction["top"]} == set(bundle.spec.labels)
        assert 0 <= prediction["memory_fill"] <= 1
        assert prediction["latency_ms"] > 0


def test_events(ecolite: Command, film: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("events: {enter: 0, leave: 0, min_fill: 0, ignore: []}")
    result = ecolite("--source", film, "--config", path, "--events")
    assert (result.exit_code, result.err) == (0, "")
    assert re.fullmatch(
        r"    0\.4 s  (\w+) began\n    2\.4 s  \1 ended after 2\.0 s, peak \d+%\n", result.out
    )
    lines = ecolite("--source", film, "--config", path, "--events", "--json").predictions
    assert [line["kind"] for line in lines] == ["start", "end"]
    ids = {line["event"] for line in lines}
    assert len(ids) == 1 and uuid.UUID(ids.pop()).version == 7
    assert not any("started_at" in line for line in lines)  # a recording has no time of day


def test_files_and_web_servers_get_events_too(ecolite: Command, film: Path, tmp_path: Path) -> None:
    """A web server that is down does not end the run."""
    path, lines = tmp_path / "c.yaml", tmp_path / "out.jsonl"
    path.write_text("events: {enter: 0, leave: 0, min_s: 0.5, min_fill: 0, ignore: []}")
    url = f"http://127.0.0.1:{unused_port()}/hook"
    result = ecolite(
        "--source", film, "--config", path, "--json", "--json-file", lines, "--webhook", url
    )
    assert result.exit_code == 0
    assert all(list(line) == KEYS for line in result.predictions)
    assert f"warning: webhook failed: {url}: Connection refused" in result.err
    kinds = [json.loads(line).get("kind") for line in lines.read_text().splitlines()]
    assert kinds == [None, None, "start", None, None, None, "end"]


def test_a_run_can_be_repeated(ecolite: Command, film: Path) -> None:
    def lines() -> list[dict[str, Any]]:
        return [{**p, "latency_ms": None} for p in ecolite("--source", film, "--json").predictions]

    assert lines() == lines()


def test_options_and_configuration_files(ecolite: Command, film: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"source: {film}\nevery_s: 1\njson: true\ntop: 2\nmemory: {{policy: paper}}")
    assert [p["frame"] for p in ecolite("--config", path).predictions] == [12, 37, 62]
    result = ecolite("--config", path, "--every", 0.2, "--top", 1)
    assert [p["frame"] for p in result.predictions] == [5, *range(10, 75, 5)]
    assert all(len(p["top"]) == 1 for p in result.predictions)


def test_options_win_over_the_configuration() -> None:
    config = StreamConfig(memory=MemoryConfig("paper", gap_s=2), every_s=2, top=3)
    options = {"source": ("a",), "memory": "window", "span": 3.0, "every": 1.0, "smoothing": 0.0}
    options |= {"bundle": None, "engine": None, "top": None, "realtime": None, "json": True}
    memory = MemoryConfig("window", span_s=3.0, gap_s=2)
    assert cli.merge(config, options) == StreamConfig(
        source=("a",), memory=memory, every_s=1.0, smoothing=0.0, top=3, json=True
    )
    assert cli.merge(config, dict.fromkeys(options)) == config


@pytest.mark.parametrize("policy", ["window", "paper", "pyramid"])
@pytest.mark.parametrize("engine", ["mindspore", "openvino"])
def test_every_engine_and_policy(ecolite: Command, policy: str, engine: str) -> None:
    result = ecolite(
        "--source", "pattern:seconds=1.1", "--memory", policy, "--engine", installed(engine)
    )
    assert (result.exit_code, result.err) == (0, "")
    assert len(result.out.splitlines()) == 2


def test_help_and_version(ecolite: Command) -> None:
    assert "Exit codes: 0 done" in ecolite("--help").out
    assert re.search(r", version \d+\.\d+\.\d+$", ecolite("--version").out)
