"""What the commands of `ecolite-bench` share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.bench.shared import Output, StreamClock
from ecolite_stream.errors import ConfigError


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
