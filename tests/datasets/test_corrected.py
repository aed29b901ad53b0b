"""Events that people corrected become clips to teach with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sqlalchemy", reason="the extra `store` is not installed")

from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.datasets.collected import ClipRow, add_row, read_collected
from ecolite_stream.datasets.corrected import (
    Corrected,
    collect_corrected,
    corrected_events,
    not_collected,
)
from ecolite_stream.media.clip_names import clip_name
from ecolite_stream.sinks.clips import ClipsConfig, ClipSink
from ecolite_stream.sources import open_source
from ecolite_stream.store import queries
from ecolite_stream.store.database import Database
from ecolite_stream.types import Event, Frame, Prediction
from tests.videos import write_numbered_video
from tests.web.history import history

FPS = 10


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    return tmp_path / "clips"


def reviewed(folder: Path, *reviews: tuple[str, str | None]) -> list[queries.StoredEvent]:
    """A store with as many events; those with a review of wrong or label come back."""
    url, ids = history(folder, len(reviews))
    database = Database(url)
    try:
        with database.begin() as connection:
            for event_id, (verdict, label) in zip(ids, reviews, strict=True):
                queries.review(connection, event_id, verdict, label)
        with database.read() as connection:
            return corrected_events(connection)
    finally:
        database.close()


def film(
    clips: Path, event: queries.StoredEvent, first_s: float, seconds: float, boxes: bool = False
) -> None:
    """The clip that `--clips` makes of an event, the stream's pictures from `first_s` on."""
    config = RunConfig(clips=ClipsConfig(clips, pre_s=3, post_s=3, boxes=boxes))
    with ClipSink(config) as sink:
        assert isinstance(sink, ClipSink)
        for number in range(round(seconds * FPS)):
            time_s = first_s + number / FPS
            sink.show(
                Frame("door", number, time_s, np.full((48, 64, 3), 2 * number, np.uint8)), True
            )
        label, end_s = event.label, event.end_s
        top = ((label, 0.9),)
        sink.send(Prediction("door", 1, event.start_s + 1, label, 0.9, top, 1.0))
        sink.send(Event(event.id, "door", label, event.start_s, end_s, 0.9, 0.8, "end"))
    assert (clips / clip_name(event.id)).is_file()


def test_wrong_and_renamed_events_become_clips(tmp_path: Path, clips: Path) -> None:
    events = reviewed(tmp_path, ("label", "fall"), ("wrong", None), ("right", None), ("none", None))
    assert [event.review for event in events] == ["wrong", "label"]
    wrong, renamed = events
    film(clips, wrong, wrong.start_s - 3, 11.5)
    write_numbered_video(clips / f"{renamed.id}.mp4", 50, codec="libx264")
    into = tmp_path / "mine"
    assert not_collected(events, into) == events
    made = list(collect_corrected(events, clips, into))
    assert made == [
        Corrected(wrong.id, f"nothing/event-{wrong.id}.mp4"),
        Corrected(renamed.id, f"fall/event-{renamed.id}.mp4"),
    ]
    row = read_collected(into)[made[0].clip or ""]
    assert (row.label, row.stream, row.source) == ("nothing", wrong.stream, wrong.stream)
    assert row.start == "2026-11-28T10:02:00.000Z"
    with open_source(str(into / (made[0].clip or ""))) as source:
        found = list(source)
    # The event begins 3 s into its clip: from 1.5 s before it to its end, 8 s later.
    assert (len(found), round(float(found[0].image.mean()) / 2)) == (95, pytest.approx(15, abs=3))
    assert not_collected(events, into) == []


def test_a_clip_with_boxes_drawn_in_teaches_nothing(tmp_path: Path, clips: Path) -> None:
    (event,) = reviewed(tmp_path, ("wrong", None))
    film(clips, event, event.start_s - 3, 11.5, boxes=True)
    (made,) = collect_corrected([event], clips, tmp_path / "mine")
    assert made.problem == f"its clip {event.clip} has boxes drawn in; set clips.boxes to false"
    assert not (tmp_path / "mine" / "nothing").exists()


def test_a_review_that_changes_moves_the_clip(tmp_path: Path, clips: Path) -> None:
    (event,) = reviewed(tmp_path, ("label", "fall"))
    write_numbered_video(clips / f"{event.id}.mp4", 50, codec="libx264")
    into = tmp_path / "mine"
    list(collect_corrected([event], clips, into))
    changed = replace(event, review_label="sit")
    assert not_collected([changed], into) == [changed]
    (moved,) = collect_corrected([changed], clips, into)
    assert moved.clip == f"sit/event-{event.id}.mp4"
    assert list(read_collected(into)) == [moved.clip]


def test_wrong_goes_to_idle_where_that_is_there(tmp_path: Path, clips: Path) -> None:
    (event,) = reviewed(tmp_path, ("wrong", None))
    write_numbered_video(clips / f"{event.id}.mp4", 50, codec="libx264")
    into = tmp_path / "mine"
    (into / "idle").mkdir(parents=True)
    add_row(into, ClipRow("idle/a.mp4", "idle", event.stream, "", "", "rtsp://door"))
    (made,) = collect_corrected([event], clips, into)
    assert made.clip == f"idle/event-{event.id}.mp4"
    assert read_collected(into)[made.clip].source == "rtsp://door"  # grouped with the others


def test_events_that_cannot_be_clips_are_named_and_the_others_go_on(
    tmp_path: Path, clips: Path
) -> None:
    events = reviewed(tmp_path, *[("label", "fall")] * 5)
    (clips / f"{events[1].id}.mp4").write_bytes(b"no video")
    write_numbered_video(clips / f"{events[2].id}.mp4", 3, codec="libx264")
    write_numbered_video(clips / f"{events[4].id}.mp4", 50, codec="libx264")
    wicked = [
        events[0],
        events[1],
        events[2],
        replace(events[3], clip="../../etc/passwd"),
        replace(events[4], review_label="../up"),
        events[4],
    ]
    made = list(collect_corrected(wicked, clips, tmp_path / "mine"))
    words = ("is not in", "", "at least 0.5 s", "has no clip", "a name of one line", "")
    for one, said in zip(made, words, strict=True):
        assert said in one.problem
        assert "\n" not in one.problem
    assert [one.clip is None for one in made] == [True] * 5 + [False]
    assert [path.name for path in (tmp_path / "mine").iterdir()] != []
