"""What `ecolite-bench online` counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.bench.accuracy.online import (
    ClipResult,
    Moment,
    PolicyResult,
    clip_label,
    find_clips,
    moments_of,
    watch_clips,
)
from ecolite_stream.bench.accuracy.online_tables import online_tables, policy_json
from ecolite_stream.bench.accuracy.track import (
    Action,
    agreement,
    idle_stretches,
    read_track,
    track_json,
    track_table,
    watch_track,
)
from ecolite_stream.bench.accuracy.track_events import EventMatch
from ecolite_stream.config.schema import EventConfig, MemoryConfig, StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.preprocess import preprocess
from ecolite_stream.types import Prediction
from tests.fakes import NumberEngine, frame, spec_of
from tests.videos import read_number, write_numbered_video

LABELS = ("a", "b", "c")


def prediction(fill: float, **scores: float) -> Prediction:
    top = tuple(sorted(scores.items(), key=lambda item: -item[1]))
    return Prediction("s", 0, 1.0, *top[0], top, fill)


def moment(label: str, time_s: float = 0.0, fill: float = 1.0) -> Moment:
    return Moment(time_s, label, 0.5, fill)


def test_a_clip_is_what_its_full_memory_says_on_average():
    predictions = [
        prediction(0.5, a=1.0, b=0.0),
        prediction(1.0, a=0.6, b=0.4),
        prediction(1.0, a=0.3, b=0.7),
    ]
    assert clip_label(predictions) == "b"
    assert clip_label(predictions[:1]) == "a"
    assert clip_label([]) is None


def test_shares_of_clips_and_of_live_predictions():
    result = PolicyResult(
        "window",
        [
            ClipResult("a/1", "a", "a", (moment("b", fill=0.5), moment("a"), moment("a"))),
            ClipResult("a/2", "a", "b", (moment("b"), moment("a"))),
            ClipResult("b/3", "b", "b", (moment("b", fill=0.5),)),
            ClipResult("b/4", "b", None, error="no video"),
        ],
    )
    assert str(result.clips_right) == "2/4  50.0 %"
    assert (result.full_right.right, result.full_right.total) == (3, 4)
    assert (result.live_right.right, result.live_right.total) == (4, 6)
    assert result.never_full == 2
    policies, classes, wrong = online_tables([result])
    assert policies.rows[0][-1] == 2
    assert policies.title == "Labelled clips, streamed: 4; unreadable: 1"
    assert classes.rows == [("a", 2, 1), ("b", 2, 1)]
    assert wrong.rows == [("window", "a/2", "b"), ("window", "b/4", "no video")]
    assert policy_json(result)["results"][3]["error"] == "no video"


def test_the_videos_of_class_folders_are_clips(tmp_path: Path):
    for name in (
        "a/2.avi",
        "a/1.MOV",
        "a/1.txt",
        "b/._3.mp4",
        "b/3.mp4",
        ".git/x.avi",
        "b/deep/4.avi",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "sources.csv").touch()
    assert [c.name for c in find_clips(tmp_path, LABELS)] == ["a/1.MOV", "a/2.avi", "b/3.mp4"]
    assert [c.name for c in find_clips(tmp_path, LABELS, only="a/2")] == ["a/2.avi"]
    with pytest.raises(ConfigError, match="no label b; its labels: a, c"):
        find_clips(tmp_path, ("a", "c"))
    with pytest.raises(ConfigError, match="contains 'zzz'"):
        find_clips(tmp_path, LABELS, only="zzz")
    with pytest.raises(ConfigError, match="elsewhere does not exist"):
        find_clips(tmp_path / "elsewhere", LABELS)


def test_clips_go_through_the_pipeline_and_unreadable_ones_stay_in_the_count(tmp_path: Path):
    for label, num_frames in (("a", 75), ("b", 20)):
        (tmp_path / label).mkdir()
        write_numbered_video(tmp_path / label / "clip.avi", num_frames)
    (tmp_path / "a" / "text.avi").write_text("no video")
    configs = [
        StreamConfig(top=len(LABELS), memory=MemoryConfig(policy=policy))
        for policy in ("window", "paper")
    ]
    steps: list[int] = []
    results = watch_clips(
        find_clips(tmp_path, LABELS), NumberEngine(), spec_of(), configs, lambda: steps.append(1)
    )
    assert [result.policy for result in results] == ["window", "paper"]
    assert len(steps) == 3
    for result in results:
        long, broken, short = result.clips
        assert long.error is None and long.was_full and len(long.moments) == 5
        assert broken.error and broken.taken_for is None
        assert short.moments and short.taken_for in LABELS
        assert result.clips_right.total == 3


def test_track_leaves_out_what_the_memory_still_holds(tmp_path: Path):
    (tmp_path / "v.csv").write_text("start_s,end_s,label\n0,2,a\n2,6,b\n")
    track = read_track(tmp_path / "v.mp4", LABELS)
    assert track == [Action(0, 2, "a"), Action(2, 6, "b")]
    moments = [moment(label, time_s) for time_s, label in enumerate("aaabbbc")]
    result = agreement("v.mp4", "window", moments, track, span_s=2)
    assert str(result.settled) == "2/2 100.0 %"  # 4 and 5 s
    assert str(result.all) == "5/6  83.3 %"  # not 2 s; 6 s is not covered


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfstart_s,end_s,label\r\n0,2,a\r\n2,6.5,b\r\n",  # a spreadsheet on Windows
        b"start_s;end_s;label;note\r0;2;a;\r2;6.5;b;x\r",
        b"label\tstart_s\tend_s\n\na\t0\t2\nb\t2\t6.5\n",
    ],
)
def test_tracks_of_spreadsheets(tmp_path: Path, data: bytes):
    (tmp_path / "v.csv").write_bytes(data)
    assert read_track(tmp_path / "v.mp4", LABELS) == [Action(0, 2, "a"), Action(2, 6.5, "b")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("", "has no column start_s, end_s, label"),
        ("start_s,end_s,label\n", "is empty"),
        ("a,b\n1,2\n", "expected the heading start_s,end_s,label, got 'a,b'"),
        ("start_s,end_s,label\n0,x,a\n", r"v\.csv:2: expected 'start_s,end_s,label', got '0,x,a'"),
        ("start_s,end_s,label\n0,1\n", r"v\.csv:2: expected 'start_s,end_s,label', got '0,1'"),
        ("start_s,end_s,label\n0,inf,a\n", "a from 0 to inf s"),
        ("start_s,end_s,label\n0,1,z\n", "no label z"),
        ("start_s,end_s,label\n2,1,a\n", "a from 2 to 1 s"),
        ("start_s,end_s,label\n-1,1,a\n", "a from -1 to 1 s"),
    ],
)
def test_bad_tracks(tmp_path: Path, text: str | None, message: str):
    if text is not None:
        (tmp_path / "v.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_track(tmp_path / "v.mp4", LABELS)


def test_moments_forget_the_lists():
    assert moments_of([prediction(0.5, a=0.9, b=0.1)]) == (Moment(1.0, "a", 0.9, 0.5),)


def test_delays_and_switches_follow_the_track():
    track = [Action(0, 3, "a"), Action(3, 6, "b"), Action(6, 8, "c"), Action(8, 9, "a")]
    moments = [moment(label, time_s) for time_s, label in enumerate("aaaabbacba")]
    found = agreement("v.mp4", "window", moments, track, span_s=1)
    assert found.delays_s == (1.0, 1.0, None)  # b from 4 s, c from 7 s; at 8 s it is b
    assert found.delay_s == 1.0
    assert found.switches == 4  # 9 s is not covered
    assert found.switches_per_minute == pytest.approx(60 * 4 / 9)
    assert found.false_events_per_hour is None
    idle = dataclasses.replace(found, idle_s=1800.0, false_events=3, events=EventMatch(9, 8, 1))
    [row] = track_table([idle], 1).rows
    assert row[4:] == ("1.00", "1 of 3", "26.7", "8/9, 1 extra", "6.0", "1800")
    assert track_json(idle)["false_events_per_hour"] == 6


def test_idle_footage_begins_when_the_memory_has_forgotten():
    track = [
        *(Action(0, 10, "idle"), Action(10, 12, "a"), Action(12, 20, "idle")),
        *(Action(20, 21, "idle"), Action(21, 30, "b"), Action(30, 31, "idle")),
        Action(31, 40, "idle"),
    ]
    assert idle_stretches(track, ("idle",), span_s=2) == [(0, 10), (14, 20), (20, 21), (32, 40)]


class SureEngine(NumberEngine):
    """Sure of `a` from frame 60 to 120, of `c` otherwise."""

    def classify(self, features):
        super().classify(features)
        newest = features.reshape(len(features), -1)[:, -1]
        shown = (newest >= 60) & (newest <= 120)
        return np.stack([9.0 * shown, 0 * shown, 9.0 * ~shown], axis=1).astype(np.float32)


def test_false_events_of_a_recording(tmp_path: Path, monkeypatch):
    """The pictures are numbered by their time; an event of `a` begins where nothing is to be."""
    video = write_numbered_video(tmp_path / "v.avi", 200)
    images = {n: frame(n, n / 25).image for n in range(200)}
    monkeypatch.setattr(
        "ecolite_stream.recognition.sampler.preprocess",
        lambda image, how: preprocess(images[read_number(image)], how),
    )
    config = StreamConfig(top=3, smoothing=0.0, events=EventConfig(ignore=("c",)))
    found = watch_track(video, [Action(0, 8, "c")], SureEngine(), spec_of(), config)
    assert (found.false_events, found.idle_s) == (1, 8)
    track = [Action(0, 2.2, "c"), Action(2.2, 5, "a"), Action(5, 8, "c")]
    found = watch_track(video, track, SureEngine(), spec_of(), config)
    assert found.false_events == 0
    assert found.idle_s == pytest.approx(2.2 + 3 - spec_of().clip_seconds)
