"""What a camera costs that shows nothing: the turns, the sums, and the video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ecolite_stream.bench.speed.idle import idle_table, measure_idle, write_idle_video
from ecolite_stream.bench.speed.streams import Load, Outcome
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.sources import FileSource
from tests.fakes import spec_of

LOAD = Load(Path("b"), "auto", Path("busy"), video_s=10, idle_video=Path("idle"))


def test_the_busy_cameras_cost_is_taken_off_and_rounds_are_in_turns() -> None:
    """A busy camera costs 30 ms a second; an idle one 5 with the gate, 20 without."""
    asked: list[tuple[bool, int]] = []

    def run(load: Load, cameras_each: Sequence[int]) -> Outcome:
        (cameras,) = cameras_each
        asked.append((load.gate, load.idle))
        ms = 30 * (cameras - load.idle) + (5 if load.gate else 20) * load.idle
        return Outcome((20,) * cameras, 0.1, 100, cpu_s=ms * load.video_s / 1e3)

    on, off = measure_idle(LOAD, 20, rounds=2, run=run)
    assert asked == 2 * [(True, 0), (True, 18), (False, 0), (False, 18)]
    assert (on.gate, on.cameras, on.idle, on.sustained) == (True, 20, 18, True)
    assert (on.busy_ms, on.idle_ms, on.ratio) == pytest.approx((30, 5, 1 / 6))
    assert (off.busy_ms, off.idle_ms) == pytest.approx((30, 20))
    assert idle_table([on, off], LOAD).rows[0] == ("on", "30.0", "5.0", "0.17", "yes")


def test_the_first_cameras_show_nothing() -> None:
    load = Load.from_json(replace(LOAD, idle=2).command(3)[-2])
    assert [load.video_of(number) for number in range(3)] == [
        Path("idle"),
        Path("idle"),
        Path("busy"),
    ]


def test_nothing_moves_in_the_idle_video(tmp_path: Path) -> None:
    """Of 3 s only the first picture is encoded."""
    write_idle_video(tmp_path / "idle.mp4", 3)
    sampler = StreamSampler(replace(spec_of(8, 1.6), labels=("a", "idle")), StreamConfig())
    with FileSource(tmp_path / "idle.mp4") as source:
        samples = [sample for frame in source for sample in sampler.sample(frame)]
    assert len(samples) == 15
    assert [sample.frame for sample in samples if sample.image is not None] == [0]
