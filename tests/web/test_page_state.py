"""What is on the board, and what has changed there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ecolite_stream.media.clip_names import SUFFIX, clip_name
from ecolite_stream.types import Event, Prediction
from ecolite_stream.web.clips import ClipFolder
from ecolite_stream.web.page_state import EVENTS_KEPT, PageState

BEGAN = Event("door@1.000", "door", "walk", 1.0, None, 0.9, 0.8, "start")
ENDED = dataclasses.replace(BEGAN, end_s=3.0, kind="end")


def prediction(stream: str, label: str = "walk", frame: int = 3) -> Prediction:
    return Prediction(stream, frame, 1.0, label, 0.9, ((label, 0.9), ("run", 0.1)), 1.0)


def test_only_what_has_changed_is_told() -> None:
    board = PageState(["door", "yard"])
    assert not board.since(0)
    board.send(prediction("yard"))
    first = board.since(0)
    (found,) = first.predictions
    assert found["stream"] == 1
    assert found["top"] == [["walk", 0.9], ["run", 0.1]]
    assert not board.since(first.version)
    board.send(prediction("door", "run"))
    second = board.since(first.version)
    assert {p["stream"]: p["label"] for p in second.predictions} == {0: "run"}
    assert {p["stream"] for p in board.since(0).predictions} == {
        0,
        1,
    }  # who comes late gets all there is


def test_an_event_of_a_recording_is_when_it_was_told() -> None:
    now_s = [100.0]
    board = PageState(["door"], clock=lambda: now_s[0])
    board.send(BEGAN)
    (began,) = board.since(0).events
    assert (began["began_unix_s"], began["ended_unix_s"], began["kind"]) == (100.0, None, "start")
    assert not began["live"]
    version = board.since(0).version
    now_s[0] = 102.0
    board.send(ENDED)
    (ended,) = board.since(version).events
    assert (ended["began_unix_s"], ended["ended_unix_s"], ended["kind"]) == (100.0, 102.0, "end")
    assert began["kind"] == "start"  # what was handed out does not change
    assert len(board.since(0).events) == 1


def test_an_event_of_a_live_stream_is_when_its_frames_were() -> None:
    now_s = [1000.0]
    board = PageState(["door"], clock=lambda: now_s[0])
    board.note_live("door", True)
    now_s[0] = 1005.0  # it is reported late
    began_at, ended_at = "1970-01-01T00:16:36.500Z", "1970-01-01T00:16:38.500Z"
    board.send(dataclasses.replace(BEGAN, started_at=began_at))
    (began,) = board.since(0).events
    assert (began["live"], began["began_unix_s"], began["ended_unix_s"]) == (True, 996.5, None)
    now_s[0] = 1009.0
    board.send(dataclasses.replace(ENDED, started_at=began_at, ended_at=ended_at))
    (ended,) = board.since(0).events
    assert (ended["began_unix_s"], ended["ended_unix_s"]) == (996.5, 998.5)


def test_the_timeline_is_bounded() -> None:
    board = PageState(["door"])
    for number in range(EVENTS_KEPT + 5):
        board.send(dataclasses.replace(ENDED, id=f"door@{number}"))
    events = board.since(0).events
    assert len(events) == EVENTS_KEPT
    assert events[0]["event"] == "door@5"


def test_clips_come_and_go() -> None:
    board = PageState(["door"])
    board.send(ENDED)
    version = board.since(0).version
    name = clip_name(ENDED.id)
    board.link_clips({name, "other.mp4"})
    assert [event["clip"] for event in board.since(version).events] == [name]
    version = board.since(0).version
    board.link_clips({name})
    assert not board.since(version)
    board.link_clips(set())
    assert [event["clip"] for event in board.since(version).events] == [None]


@pytest.mark.parametrize(
    "event_id",
    [
        "door@1.000",
        "rtsp://cam/1@2.000#1",
        "../../etc/passwd@1.0",
        "..",
        "",
        "a\\b\0c\n",
        "ünï@1",
        "no text \udcff@1",
        "long" * 100 + "@1.000",
    ],
)
def test_the_name_of_a_clip_is_no_path(event_id: str, tmp_path: Path) -> None:
    name = clip_name(event_id)
    assert not set(name) & set('/\\\0\n:"')
    assert name.endswith(SUFFIX)
    assert len(name) <= 204
    (tmp_path / name).write_bytes(b"clip")
    assert ClipFolder(tmp_path).path(name) == tmp_path / name


def test_long_names_differ() -> None:
    assert clip_name("a" * 300 + "@1") != clip_name("a" * 300 + "@2")


def test_nothing_but_the_clips_can_be_named(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    (folder / "inner.mp4").mkdir(parents=True)
    secret = tmp_path / "secret.mp4"
    for path in (secret, folder / "a.mp4", folder / "notes.txt"):
        path.write_bytes(b"x")
    (folder / "link.mp4").symlink_to(secret)
    clips = ClipFolder(folder)
    assert clips.names() == {"a.mp4"}
    assert clips.path("a.mp4") == folder / "a.mp4"
    wrong = ["../secret.mp4", str(secret), "link.mp4", "inner.mp4", "notes.txt", "", ".", ".."]
    assert [clips.path(name) for name in wrong] == [None] * len(wrong)


def test_a_folder_that_is_not_there_has_no_clips(tmp_path: Path) -> None:
    assert ClipFolder(tmp_path / "none").names() == frozenset()


def test_each_view_has_its_newest_prediction_until_it_is_gone() -> None:
    board = PageState(["door"])

    def predict(view: str, time_s: float, label: str) -> None:
        board.send(Prediction("door", 1, time_s, label, 0.9, ((label, 0.9),), 1.0, view=view))

    predict("subject 1", 1.0, "walk")
    predict("subject 2", 1.0, "run")
    predict("subject 2", 2.0, "jump")
    found = {p["view"]: p["label"] for p in board.since(0).predictions}
    assert found == {"subject 1": "walk", "subject 2": "jump"}
    predict("subject 2", 11.5, "jump")  # the other one was last seen 10.5 s ago
    assert [p["view"] for p in board.since(0).predictions] == ["subject 2"]


def test_nothing_is_left_of_a_stream_that_was_removed() -> None:
    removed: list[str] = []
    board = PageState(["door", "yard", "gate"], on_removed=removed.append)
    for stream in board.streams:
        board.note_live(stream, True)
        board.send(prediction(stream))
        board.send(dataclasses.replace(BEGAN, id=f"{stream}@1.000", stream=stream))
    board.remove_stream("yard")
    assert removed == ["yard"]
    board.send(prediction("yard"))  # it waited in the queue of the sink
    board.send(dataclasses.replace(ENDED, id="yard@1.000", stream="yard"))
    changes = board.since(0)
    assert changes.streams == ("door", "gate")
    assert [one["stream"] for one in changes.predictions] == [0, 1]
    assert [one["event"] for one in changes.events] == ["door@1.000", "gate@1.000"]
    board.add_stream("yard")
    board.send(prediction("yard"))
    assert board.since(changes.version).streams == ("door", "gate", "yard")
    assert [one["stream"] for one in board.since(changes.version).predictions] == [2]
