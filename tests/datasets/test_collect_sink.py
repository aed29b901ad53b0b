"""Marks on a running stream become clips."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.datasets import collect_sink
from ecolite_stream.datasets.collect_kind import CollectConfig
from ecolite_stream.datasets.collect_sink import CollectSink, Mark
from ecolite_stream.datasets.collected import read_collected
from ecolite_stream.errors import ConfigError
from ecolite_stream.sources import open_source
from ecolite_stream.types import Box, Frame, Prediction

FPS = 10
NOW_MS = 1_795_896_010_000.0  # 2026-11-28T20:00:10Z


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[CollectSink]:
    with CollectSink(CollectConfig(tmp_path / "clips"), lambda: NOW_MS) as one:
        assert isinstance(one, CollectSink)
        yield one


def watch(sink: CollectSink, seconds: float, stream: str = "door", live: bool = True) -> None:
    """Half the picture is black; the other one becomes brighter."""
    for number in range(round(seconds * FPS)):
        image = np.zeros((60, 80, 3), np.uint8)
        image[:, 40:] = min(number * 2, 250)
        sink.show(Frame(stream, number, number / FPS, image), live)


def see(sink: CollectSink, view: str, time_s: float, box: Box) -> None:
    top = (("walk", 0.9),)
    sink.send(Prediction("door", 1, time_s, "walk", 0.9, top, 1.0, view=view, box=box))


def frames(path: Path) -> list[Frame]:
    with open_source(str(path)) as source:
        return list(source)


def test_the_newest_seconds_become_a_clip(sink: CollectSink) -> None:
    watch(sink, 8)
    path = sink.mark(Mark("door", "fall", 3.0, source="rtsp://door"))
    found = frames(path)
    assert len(found) == 31
    assert abs(int(found[-1].image[30, 60].mean()) - 158) < 12
    [row] = read_collected(sink.folder).values()
    assert (row.file, row.label, row.stream) == (f"fall/{path.name}", "fall", "door")
    assert (row.start, row.source, row.view) == ("2026-11-28T20:00:07.000Z", "rtsp://door", "")


def test_a_clip_of_a_recording_has_its_place(sink: CollectSink) -> None:
    watch(sink, 8, live=False)
    sink.mark(Mark("door", "fall", 3.0))
    [row] = read_collected(sink.folder).values()
    assert (row.start, row.source) == ("4.90", "door")


def test_a_clip_is_cut_by_the_boxes_of_its_view(sink: CollectSink) -> None:
    watch(sink, 4)
    for half_s in range(8):
        see(sink, "gate", half_s / 2, Box(0.5, 0, 0.5, 1))
    found = frames(sink.mark(Mark("door", "fall", 3.0, "gate")))
    assert found[0].image.shape[:2] == (60, 40)
    assert found[-1].image.min() > 50  # the black half is not in it
    [row] = read_collected(sink.folder).values()
    assert row.view == "gate"


def test_a_subject_that_came_late_has_a_shorter_clip(sink: CollectSink) -> None:
    watch(sink, 10)
    for tenth in range(80, 100):
        see(sink, "subject 3", tenth / 10, Box(0.5, 0, 0.5, 1))
    assert len(frames(sink.mark(Mark("door", "fall", 8.0, "subject 3")))) == 40


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (Mark("door", "../up", 2.0), "expected a name of one line"),
        (Mark("door", "a\nb", 2.0), "expected a name of one line"),
        (Mark("door", "fall", 0.1), r"seconds is 0\.1; expected 0\.5 to 20"),
        (Mark("door", "fall", float("nan")), "seconds is nan"),
        (Mark("door", "fall", 1e9), "expected 0.5 to 20"),
        (Mark("door", "fall", 2.0, "gate"), "there is no view 'gate' now; views: none"),
        (Mark("short", "fall", 2.0), r"would last 0\.3 s; at least 0\.5 s"),
    ],
)
def test_what_cannot_be_a_clip_is_one_line(sink: CollectSink, mark: Mark, words: str) -> None:
    watch(sink, 4)
    watch(sink, 0.4, "short")
    with pytest.raises(ConfigError, match=words):
        sink.mark(mark)
    assert not sink.folder.exists()
    with pytest.raises(KeyError):
        sink.mark(Mark("nowhere", "fall", 2.0))


def test_the_folder_is_bounded(tmp_path: Path) -> None:
    for config, words in (
        (CollectConfig(tmp_path / "a", max_clips=2), "has 2 clips"),
        (CollectConfig(tmp_path / "b", max_bytes=100), "take 0 MB"),
    ):
        sink = CollectSink(config)
        watch(sink, 4)
        made = [sink.mark(Mark("door", "fall", 1.0))]
        if config.max_clips == 2:
            made.append(sink.mark(Mark("door", "fall", 1.0)))
        with pytest.raises(ConfigError, match=words):
            sink.mark(Mark("door", "fall", 1.0))
        assert all(path.is_file() for path in made)


def test_pictures_are_bounded_in_time_and_bytes(
    sink: CollectSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(sink, 40)
    assert len(frames(sink.mark(Mark("door", "fall", 20.0)))) == 201
    monkeypatch.setattr(collect_sink, "KEPT_BYTES", 20_000)
    watch(sink, 40, "yard")
    assert 5 < len(frames(sink.mark(Mark("yard", "fall", 20.0)))) < 60


def test_a_stream_that_begins_again_has_no_pictures_of_before(sink: CollectSink) -> None:
    watch(sink, 10)
    watch(sink, 2)
    assert len(frames(sink.mark(Mark("door", "fall", 20.0)))) == 20


def test_a_disk_that_is_full_is_an_error_and_leaves_no_half(
    sink: CollectSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(sink, 4)
    first = sink.mark(Mark("door", "fall", 2.0))

    def full(self: object, image: object, time_s: float) -> None:
        raise OSError("x.part: cannot be written: No space left on device")

    monkeypatch.setattr("ecolite_stream.datasets.collecting.Mp4Writer.add", full)
    with pytest.raises(OSError, match="No space left"):
        sink.mark(Mark("door", "fall", 2.0))
    monkeypatch.undo()
    assert [path.name for path in first.parent.iterdir()] == [first.name]
    assert sink.mark(Mark("door", "fall", 2.0)).is_file()


def test_a_clip_whose_row_cannot_be_written_is_not_left_behind(
    sink: CollectSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(sink, 4)

    def full(folder: Path, row: object) -> None:
        raise OSError("clips.csv: the disk is full")

    monkeypatch.setattr("ecolite_stream.datasets.collecting.add_row", full)
    with pytest.raises(OSError, match="the disk is full"):
        sink.mark(Mark("door", "fall", 2.0))
    assert list((sink.folder / "fall").iterdir()) == []


def test_marks_of_many_while_pictures_come(sink: CollectSink) -> None:
    watch(sink, 2)
    ending = threading.Event()

    def film() -> None:
        number = 2 * FPS
        while not ending.is_set():
            image = np.full((60, 80, 3), number % 250, np.uint8)
            sink.show(Frame("door", number, number / FPS, image), True)
            number += 1

    thread = threading.Thread(target=film)
    thread.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda n: sink.mark(Mark("door", f"a{n % 3}", 1.0)), range(12)))
    finally:
        ending.set()
        thread.join()
    assert len(set(made)) == 12
    assert len(read_collected(sink.folder)) == 12


def test_a_stream_that_was_lost_has_no_newest_seconds(tmp_path: Path) -> None:
    now_ms = [NOW_MS]
    sink = CollectSink(CollectConfig(tmp_path / "clips"), lambda: now_ms[0])
    watch(sink, 8)
    now_ms[0] += 4000
    sink.mark(Mark("door", "fall", 3.0))
    [row] = read_collected(sink.folder).values()
    assert row.start == "2026-11-28T20:00:07.000Z"  # when the pictures came, not the mark
    now_ms[0] += 60_000
    with pytest.raises(ConfigError, match="of door is 64 s old; wait until the stream is live"):
        sink.mark(Mark("door", "fall", 3.0))


def test_pictures_of_streams_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    now_ms = [NOW_MS]
    sink = CollectSink(CollectConfig(tmp_path / "clips"), lambda: now_ms[0])
    for number in range(5):
        watch(sink, 2, f"door {number}", live=False)
        now_ms[0] += 40_000
    assert list(sink._streams) == ["door 3", "door 4"]
