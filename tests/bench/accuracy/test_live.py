"""How early, steady and honest live predictions are; by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.bench.accuracy.live import (
    false_events_per_hour,
    live_json,
    live_tables,
    right_after,
    score_error,
    switches_per_minute,
)
from ecolite_stream.bench.accuracy.online import (
    ClipResult,
    Moment,
    PolicyResult,
    find_clips,
    watch_clips,
)
from ecolite_stream.config.schema import StreamConfig
from tests.fakes import NumberEngine, spec_of
from tests.videos import write_numbered_video


def clip(labels: str, stream_s: float = 10.0, score: float = 0.5) -> ClipResult:
    """A clip of class a with a prediction at 2, 4, ... s."""
    moments = tuple(Moment(2.0 * (i + 1), label, score, 1.0) for i, label in enumerate(labels))
    return ClipResult("a/x", "a", "a", moments, stream_s=stream_s, encoded=7, engine_ms=20.0)


CLIPS = [clip("baaba"), clip("aaaaa"), clip("bbbbb")]


@pytest.mark.parametrize(("percent", "right"), [(10, 0), (20, 1), (40, 2), (80, 1), (100, 2)])
def test_the_newest_prediction_counts(percent: int, right: int):
    assert str(right_after(CLIPS, percent)).startswith(f"{right}/3")


def test_switches_and_scores():
    assert switches_per_minute(CLIPS) == pytest.approx(60 * 3 / 30)
    assert switches_per_minute([clip("", stream_s=0)]) is None
    assert score_error(CLIPS) == pytest.approx(abs(8 / 15 - 0.5))
    assert score_error([]) is None


def test_policies_are_side_by_side_and_unreadable_clips_left_out():
    broken = ClipResult("a/y", "a", None, error="no video")
    results = [PolicyResult("window", [*CLIPS, broken]), PolicyResult("paper", CLIPS[1:2])]
    seen, cost, *bins = live_tables(results)
    assert len(seen.rows) == 10 and seen.rows[-1] == ("100 %", "2/3  66.7 %", "1/1 100.0 %")
    assert cost.rows[0] == ("window", "3.00", "1 of 3", "6.0", None, "0.0333", 21, "20.0")
    assert [table.title[-6:] for table in bins] == ["window", " paper"]
    assert live_json(results[0])["frames_encoded"] == 21
    assert live_json(PolicyResult("window", [broken]))["engine_ms_per_clip"] is None


def test_frames_are_counted_where_they_are_encoded(tmp_path: Path):
    (tmp_path / "a").mkdir()
    write_numbered_video(tmp_path / "a" / "clip.avi", 75)
    engine, spec = NumberEngine(), spec_of()
    [result] = watch_clips(find_clips(tmp_path, spec.labels), engine, spec, [StreamConfig(top=3)])
    assert result.clips[0].encoded == engine.encoded.total() > 0
    assert result.clips[0].stream_s == pytest.approx(3.0)


def test_false_events_are_those_of_idle_clips():
    idle = [
        ClipResult("idle/1", "idle", "a", stream_s=1000, events=2),
        ClipResult("idle/2", "idle", "idle", stream_s=800, events=1),
        ClipResult("a/1", "a", "a", stream_s=100, events=1),
    ]
    assert false_events_per_hour(idle) == pytest.approx(6)
    assert false_events_per_hour(idle[2:]) is None
