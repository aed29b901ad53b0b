"""A file of JSON Lines that is rotated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks import JsonFileSink
from ecolite_stream.types import Event, Prediction


def event(number: int) -> Event:
    return Event(f"s@{number}.000", "s", "wave", number, None, 0.9, 0.8, "start")


def starts(path: Path) -> list[float]:
    return [json.loads(line)["start_s"] for line in path.read_text().splitlines()]


LINE = len(json.dumps(event(1).as_dict())) + 1


def test_predictions_and_events_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("{}\n")
    with JsonFileSink(path) as sink:
        assert set(sink.takes) == {Prediction, Event}
        sink.send(Prediction("caf\u00e9", 1, 0.5, "a", 0.9, (("a", 0.9),), 1.0))
        sink.send(event(3))
        assert len(path.read_text().splitlines()) == 3  # at once
    _, first, second = map(json.loads, path.read_text().splitlines())
    assert (first["stream"], "event" in first) == ("caf\u00e9", False)
    assert second["event"] == "s@3.000"


def test_full_files_are_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with JsonFileSink(path, max_bytes=2 * LINE, kept=2) as sink:
        for number in range(1, 10):
            sink.send(event(number))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "out.jsonl",
        "out.jsonl.1",
        "out.jsonl.2",
    ]
    assert starts(path) == [9]
    assert starts(tmp_path / "out.jsonl.1") == [7, 8]
    assert starts(tmp_path / "out.jsonl.2") == [5, 6]


def test_none_may_be_kept_and_long_lines_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with JsonFileSink(path, max_bytes=1, kept=0) as sink:
        sink.send(event(1))
        sink.send(event(2))
    assert [p.name for p in tmp_path.iterdir()] == ["out.jsonl"]
    assert starts(path) == [2]


def test_what_was_there_counts(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    for number in (1, 2, 3):
        with JsonFileSink(path, max_bytes=2 * LINE) as sink:
            sink.send(event(number))
    assert starts(path) == [3]
    assert starts(tmp_path / "out.jsonl.1") == [1, 2]


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text('{"start_s": 1}\n{"sta')
    with JsonFileSink(path) as sink:
        sink.send(event(2))
    first, cut, second = path.read_text().splitlines()
    assert (first, cut, json.loads(second)["start_s"]) == ('{"start_s": 1}', '{"sta', 2)


def test_a_rotation_that_fails_is_tried_again(tmp_path: Path) -> None:
    path, blocked = tmp_path / "out.jsonl", tmp_path / "out.jsonl.1"
    blocked.mkdir()
    with JsonFileSink(path, max_bytes=LINE, kept=1) as sink:
        sink.send(event(1))
        with pytest.raises(OSError):
            sink.send(event(2))
        blocked.rmdir()
        sink.send(event(2))
    assert (starts(blocked), starts(path)) == ([1], [2])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_the_outlets_to_handle() -> None:
    with JsonFileSink(Path("/dev/full")) as sink, pytest.raises(OSError, match="No space left"):
        sink.send(event(1))


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no/out\.jsonl: cannot be written: .*; make its folder"):
        JsonFileSink(tmp_path / "no" / "out.jsonl")


def test_a_second_run_may_not_write_to_it(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with JsonFileSink(path, max_bytes=LINE) as sink:
        sink.send(event(1))
        for number in (2, 3):  # and after the file is another one, too
            with pytest.raises(ConfigError, match="another run writes to it; choose another file"):
                JsonFileSink(path)
            sink.send(event(number))
    with JsonFileSink(path) as again:
        again.send(event(4))
    assert starts(path) == [3, 4]


def test_what_is_no_ordinary_file_is_anybodys() -> None:
    with JsonFileSink(Path("/dev/null")) as one, JsonFileSink(Path("/dev/null")) as other:
        one.send(event(1))
        other.send(event(2))
