"""What the commands of `ecolite-bench` share."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ecolite_stream.bench import shared
from ecolite_stream.bench.shared import Output, StreamClock, opened
from ecolite_stream.errors import ConfigError, EngineError
from ecolite_stream.model.bundle import Bundle


def test_a_bar_moves_in_whole_seconds_and_never_beyond_its_stream() -> None:
    steps: list[int] = []
    clock = StreamClock(3, steps.append)
    for time_s in (0.5, 1.0, 1.5, 2.9, 2.95, 7.0, 8.0):
        clock.tell(time_s)
    assert steps == [1, 1, 1]


def test_a_report_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    Output(None, tmp_path / "deep" / "report").prepare()
    assert (tmp_path / "deep" / "report").is_dir()
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "report"):
        with pytest.raises(ConfigError, match=r"--report .*file.* cannot be made: "):
            Output(None, folder).prepare()
    for file, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "nowhere" / "a.json", "make its folder"),
    ):
        with pytest.raises(ConfigError, match=words):
            Output(file, None).prepare()
    Output(tmp_path / "a.json", None).prepare()
    Output(None, None).prepare()


def test_engines_are_closed_where_a_later_one_cannot_be_opened(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    def open_checked(name: str, *_: object) -> SimpleNamespace:
        if name == "broken":
            raise EngineError("no graph")
        return SimpleNamespace(close=lambda: closed.append(name))

    monkeypatch.setattr(shared, "open_checked", open_checked)
    with pytest.raises(EngineError, match="no graph"), opened(bundle, ["one", "broken"]):
        raise AssertionError
    assert closed == ["one"]
