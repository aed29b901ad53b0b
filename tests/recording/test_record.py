"""A recorded run can be done again, to the byte."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.config.schema import EventConfig, MemoryConfig, StreamConfig
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.model.preprocess import Preprocessing, denormalize, normalize
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import opened
from ecolite_stream.pipeline.wall_clock import WallClock
from ecolite_stream.recording.recording import Recording, read_recording, replayed
from ecolite_stream.recording.sink import FRAMES, ROUNDS, RUN, SAID, RecordSink
from ecolite_stream.sinks import JsonLinesSink
from ecolite_stream.types import EngineBatch, Event, Frame, Output, Sample, unix_ms_of
from tests.conftest import ROOT, installed
from tests.fakes import ListSource, NumberEngine, OutputSink, frames, spec_of

pytestmark = pytest.mark.timeout(60)
STREAMS = {"a": 250, "b": 300}  # frames
CONFIG = StreamConfig(every_s=0.2, events=EventConfig(enter=0.3, leave=0.2, min_s=0, min_fill=0))
LIMIT = 10**9


def recording_of(folder: Path, config: StreamConfig = CONFIG) -> Recording:
    return Recording(folder, tuple(STREAMS), "digest", "numbers", None, config)


def sink_for(folder: Path, max_bytes: int = LIMIT) -> RecordSink:
    return RecordSink(folder, recording_of(folder).facts(), spec_of().preprocessing, max_bytes)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A run of two streams, 10 and 12 seconds long."""
    folder = tmp_path / "run"
    streams = [opened(ListSource(name, frames(n, 25, name))) for name, n in STREAMS.items()]
    with (tmp_path / "stdout").open("w") as out:
        sinks = [JsonLinesSink(out), sink_for(folder)]
        Pipeline(streams, NumberEngine, spec_of(), sinks, CONFIG).run()
    return folder


def test_a_run_comes_out_again_to_the_byte(recorded: Path) -> None:
    said = (recorded / SAID).read_text()
    again = "".join(
        f"{line}\n" for line in replayed(recording_of(recorded), NumberEngine(), spec_of())
    )
    assert again == said
    kinds = [set(json.loads(line)) & {"latency_ms", "event"} for line in said.splitlines()]
    assert {"latency_ms"} in kinds and {"event"} in kinds
    assert {json.loads(line)["stream"] for line in said.splitlines()} == set(STREAMS)


def test_a_recording_of_version_1_comes_out_as_the_version_that_made_it_wrote_it() -> None:
    folder = ROOT / "tests" / "data" / "recording_v1"
    again = list(replayed(read_recording(folder), NumberEngine(), spec_of()))
    assert "".join(f"{line}\n" for line in again) == (folder / SAID).read_text()
    ids = [json.loads(line)["event"] for line in again if "event" in line]
    assert ids and all(re.fullmatch(r"[ab]@\d+\.\d{3}", one) for one in ids)


def test_a_live_stream_that_is_lost_replays_with_its_ids_and_times(tmp_path: Path) -> None:
    said, recording = lost_and_back(tmp_path)
    assert list(replayed(recording, NumberEngine(), spec_of())) == said.splitlines()
    lines = [json.loads(line) for line in said.splitlines()]
    events = [line for line in lines if "event" in line]
    assert [line["kind"] for line in events if line["kind"] != "update"] == [
        "start",
        "end",
        "start",
        "end",
    ]
    first, second = dict.fromkeys(line["event"] for line in events)
    assert first < second
    lost = [line for line in events if line.get("lost")]
    assert [line["event"] for line in lost] == [first]
    for line in lines:
        at_s = line["time_s"] if "time_s" in line else line["start_s"]
        told = line.get("at") or line["started_at"]
        assert unix_ms_of(told) == 1_000_000 + round(1000 * at_s)


def lost_and_back(tmp_path: Path) -> tuple[str, Recording]:
    """A camera that falls silent in an event until that has ended, then comes back.

    The wall clock is set back an hour after the first frame.
    """
    times_of_day = iter((1000.0,))
    clock = WallClock(lambda: next(times_of_day, 1000.0 - 3600), time.monotonic)
    ended = threading.Event()

    class Listening(OutputSink):
        def send(self, output: Output) -> None:
            if isinstance(output, Event) and output.lost:
                ended.set()

    def shown() -> Iterator[Frame]:
        yield from frames(50, 25, "a")
        assert ended.wait(30), "the event lasts though its camera is lost"
        for one in frames(50, 25, "a"):
            yield dataclasses.replace(one, index=50 + one.index, time_s=10 + one.time_s)

    events = EventConfig(enter=0, leave=0, min_s=0, min_fill=0, ignore=())
    config = StreamConfig(every_s=0.2, events=events, memory=MemoryConfig(gap_s=2.0))
    recording = Recording(tmp_path / "run", ("a",), "digest", "numbers", None, config)
    sink = RecordSink(recording.folder, recording.facts(), spec_of().preprocessing, LIMIT)
    source = opened(ListSource("a", shown(), live=True))
    Pipeline([source], NumberEngine, spec_of(), [Listening(), sink], config, clock=clock).run()
    return (recording.folder / SAID).read_text(), read_recording(recording.folder)


def test_everything_is_computed_anew(recorded: Path) -> None:
    class Other(NumberEngine):
        def encode(self, images: np.ndarray) -> np.ndarray:
            return super().encode(images) + 1

    said = (recorded / SAID).read_text().splitlines()
    again = list(replayed(recording_of(recorded), Other(), spec_of()))
    assert again != said


def test_what_is_read_is_what_was_written(recorded: Path) -> None:
    assert read_recording(recorded) == recording_of(recorded)


def test_a_run_that_was_killed_gives_what_there_is(recorded: Path) -> None:
    rounds = (recorded / ROUNDS).read_bytes()
    (recorded / ROUNDS).write_bytes(rounds[: len(rounds) // 2])
    said = (recorded / SAID).read_text().splitlines()
    again = list(replayed(recording_of(recorded), NumberEngine(), spec_of()))
    predictions = [line for line in again if "latency_ms" in line]
    assert 0 < len(predictions) < len(said)
    assert predictions == [line for line in said if "latency_ms" in line][: len(predictions)]


def test_rounds_that_are_missing_end_it(recorded: Path) -> None:
    lines = (recorded / ROUNDS).read_text().splitlines(keepends=True)
    (recorded / ROUNDS).write_text("".join(lines[:5] + lines[7:]))
    with pytest.raises(SourceError, match="rounds 5 to 6 were not recorded"):
        list(replayed(recording_of(recorded), NumberEngine(), spec_of()))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (FRAMES, b"", "is not a recorded run, or is damaged"),
        (ROUNDS, b'{"round": 0, "samples": [], "ended": ["x"]}\n', "there is no stream x"),
        (ROUNDS, b"{}\n", "is not a recorded run, or is damaged"),
        (ROUNDS, b"[\n", "is not a recorded run, or is damaged"),
    ],
)
def test_damage_is_said(recorded: Path, name: str, content: bytes, message: str) -> None:
    (recorded / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        list(replayed(recording_of(recorded), NumberEngine(), spec_of()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no recorded run; name a folder of --record"),
        ("{", "is malformed"),
        ("[]", "is malformed"),
        ('{"schema_version": 9}', "version is 9, this program reads 1 and 2"),
        ('{"schema_version": 1}', "is malformed"),
    ],
)
def test_a_folder_that_is_no_recording(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / RUN).write_text(content)
    with pytest.raises(SourceError, match=message):
        read_recording(tmp_path)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dear").write_text("me")
    with pytest.raises(ConfigError, match="is not empty; record into a new folder"):
        sink_for(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be recorded to"):
        sink_for(tmp_path / "file")


def test_of_two_runs_that_start_at_once_one_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecolite_stream.recording.sink.check_is_new", lambda folder: None)
    with sink_for(tmp_path) as first:
        first.send(EngineBatch(0, ()))
        with pytest.raises(ConfigError, match="File exists; name another folder"):
            sink_for(tmp_path)
    assert (tmp_path / ROUNDS).read_text() == '{"round": 0, "samples": [], "ended": []}\n'


@pytest.mark.parametrize("there_before", [False, True])
def test_a_run_that_came_to_nothing_is_not_in_the_way_of_the_next(
    tmp_path: Path, there_before: bool
) -> None:
    folder = tmp_path / "record"
    if there_before:
        folder.mkdir()
    for _ in range(2):
        sink = sink_for(folder)
        assert (folder / RUN).is_file()
        sink.close()
        sink.close()
        assert folder.exists() == there_before
        assert not there_before or not any(folder.iterdir())


def sample(number: int) -> Sample:
    image = np.zeros((3, 16, 16), np.float32)
    return Sample("a", number, number / 5, None, image, predicts=True)


def test_at_its_limit_it_stops_and_what_is_there_can_be_replayed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = sink_for(tmp_path / "run", max_bytes=600)
    with caplog.at_level(logging.WARNING):
        for number in range(50):
            sink.send(EngineBatch(number, (sample(number),)))
    sink.close()
    assert caplog.messages == [
        f"{tmp_path / 'run'} has reached its limit, record.max_bytes; nothing more is recorded"
    ]
    rounds = list(recording_of(tmp_path / "run").rounds(spec_of().preprocessing))
    assert 1 <= len(rounds) < 10


def test_rounds_that_came_too_fast_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = sink_for(tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        sink.send(EngineBatch(0, (sample(0),)))
        sink.send(EngineBatch(3, (sample(3),)))
    sink.close()
    assert "2 rounds came too fast to be recorded" in caplog.text


@given(
    mean=st.tuples(*[st.floats(0, 255, width=32)] * 3),
    scale=st.floats(1 / 512, 64, width=32),
    order=st.sampled_from(("BGR", "RGB")),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_picture_comes_back_exactly(
    mean: tuple[float, float, float], scale: float, order: str, seed: int
) -> None:
    how = Preprocessing(16, mean=mean, scale=scale, channel_order=order)
    square = np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    pixels = normalize(square, how)
    assert np.array_equal(denormalize(pixels, how), square)
    assert np.array_equal(normalize(denormalize(pixels, how), how), pixels)


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ecolite_stream", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_run_with_activations_reused_is_replayed_with_them(tmp_path: Path) -> None:
    installed("openvino")
    run = tmp_path / "run"
    first = command(
        "--source", "pattern:seconds=6", "--reuse", "--engine", "openvino", "--record", run
    )
    assert first.returncode == 0, first.stderr
    assert json.loads((run / RUN).read_text())["reuse"] is True
    again = command("replay", run)
    assert again.returncode == 0, again.stderr
    assert again.stdout == (run / SAID).read_text()


def test_the_command_records_and_replays(tmp_path: Path) -> None:
    run = tmp_path / "run"
    source = ("--source", "pattern:seconds=8", "--source", "pattern:seconds=6")
    first = command(*source, "--record", run, "--json")
    assert first.returncode == 0, first.stderr
    again = command("replay", run)
    assert again.returncode == 0, again.stderr
    assert again.stdout == (run / SAID).read_text()
    assert len(again.stdout.splitlines()) == len(first.stdout.splitlines()) > 10
    assert again.stderr.endswith("lines, all as recorded\n")

    said = (run / SAID).read_text()
    (run / SAID).write_text(said.replace('"frame": ', '"frame": 1', 1))
    other = command("replay", run)
    assert other.returncode == 1
    assert other.stderr.splitlines()[-1] == f"error: line 1 differs from {run / SAID}"
    assert other.stdout == said

    (run / SAID).write_text(said)
    facts = json.loads((run / RUN).read_text())
    (run / RUN).write_text(json.dumps({**facts, "precision": "f16"}))
    assert command("replay", run).returncode == 5  # no processor's engine has that
    assert command("replay", run, "--precision", "f32").stdout == said
    assert command("replay", run, "--engine", "none").returncode == 2

    (run / RUN).write_text(json.dumps({**facts, "bundle": "0" * 64}))
    refused = command("replay", run)
    assert refused.returncode == 4 and "was recorded with another bundle" in refused.stderr
    assert command("replay", tmp_path).returncode == 3
    assert command(*source, "--record", run).returncode == 2
