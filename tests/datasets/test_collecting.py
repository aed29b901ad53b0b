"""Clips out of sources: at segments, at marks, whole or not at all."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.datasets import collecting
from ecolite_stream.datasets.collected import read_collected
from ecolite_stream.datasets.collecting import Cut, LastSeconds, collect_marked, cut_segments
from ecolite_stream.datasets.segments import Marked
from ecolite_stream.errors import ConfigError
from ecolite_stream.sources import open_source
from ecolite_stream.sources.base import Source
from ecolite_stream.types import Box, Frame

FPS = 20


class Numbered(Source):
    """So many seconds of pictures, 64x48, each brighter than the one before."""

    name = "numbered"
    live = True

    def __init__(self, seconds: float, marks: dict[int, str | None] | None = None) -> None:
        self._frames = iter(range(round(seconds * FPS)))
        self.marks: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._marks = marks or {}

    def __next__(self) -> Frame:
        number = next(self._frames)
        if number in self._marks:
            self.marks.put(self._marks[number])
        return Frame("numbered", number, number / FPS, np.full((48, 64, 3), number % 200, np.uint8))

    def close(self) -> None:
        pass


def times(path: Path) -> list[float]:
    with open_source(str(path)) as source:
        return [frame.time_s for frame in source]


@pytest.fixture
def how(tmp_path: Path) -> Cut:
    return Cut(tmp_path / "clips", "door", "camera")


def test_segments_become_clips(how: Cut) -> None:
    segments = [Marked(1, 3, "fall"), Marked(2, 4, "sit"), Marked(50, 70, "sit", in_frames=True)]
    made = list(cut_segments(Numbered(6), segments, how))
    assert all(isinstance(one, Path) for one in made)
    assert [len(times(one)) for one in made if isinstance(one, Path)] == [40, 20, 40]
    rows = read_collected(how.folder)
    assert sorted((row.label, row.start) for row in rows.values()) == [
        ("fall", "1.00"),
        ("sit", "2.00"),
        ("sit", "2.50"),
    ]
    assert all((how.folder / name).is_file() for name in rows)


def test_a_segment_that_cannot_be_a_clip_does_not_end_the_others(how: Cut) -> None:
    segments = [
        Marked(0, 0.1, "short"),
        Marked(1, 2, "../up"),
        Marked(2, 3, "sit"),
        Marked(9, 10, "late"),
    ]
    made = list(cut_segments(Numbered(5), segments, how))
    assert [isinstance(one, ConfigError) for one in made] == [True, True, False, True]
    assert [path.name for path in how.folder.iterdir() if path.is_dir()] == ["sit"]
    assert not (how.folder.parent / "up").exists()


def test_a_long_segment_becomes_several_clips(how: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "LONGEST_S", 2.0)
    made = list(cut_segments(Numbered(6), [Marked(0, 5, "walk")], how))
    lengths = [times(one)[-1] for one in made if isinstance(one, Path)]
    assert len(lengths) == 3
    assert max(lengths) < 2.1


def test_a_mark_makes_a_clip_of_the_last_seconds(how: Cut) -> None:
    source = Numbered(10, {60: "", 130: "sit", 140: "a/b", 150: None})
    last = LastSeconds(2.0, how, lambda: 1_000_000_000_000.0)
    made: list[Path | Exception] = []
    collect_marked(source, last, source.marks, "fall", made.append)
    assert [one.parent.name for one in made if isinstance(one, Path)] == ["fall", "sit"]
    assert isinstance(made[2], ConfigError)
    assert times(made[0])[-1] == pytest.approx(2.0, abs=0.1)  # type: ignore[arg-type]
    rows = list(read_collected(how.folder).values())
    assert rows[0].start == "2001-09-09T01:46:38.000Z"
    assert rows[0].source == "camera"


def test_the_kept_box_stands_in_the_table(tmp_path: Path) -> None:
    how = Cut(tmp_path, "door", "camera", Box(0.5, 0, 0.5, 1))
    [made] = cut_segments(Numbered(2), [Marked(0, 1.5, "fall")], how)
    assert isinstance(made, Path)
    with open_source(str(made)) as source:
        assert next(iter(source)).image.shape == (48, 32, 3)
    [row] = read_collected(tmp_path).values()
    assert row.view == "0.5,0,0.5,1"


def test_a_full_disk_leaves_no_half_clip_and_the_run_goes_on(
    how: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = True

    class Full(collecting.Mp4Writer):
        def close(self) -> bool:
            nonlocal first
            if first:
                first = False
                super().close()
                raise OSError(28, "No space left on device")
            return super().close()

    monkeypatch.setattr(collecting, "Mp4Writer", Full)
    source = Numbered(10, {60: "", 120: "", 150: None})
    made: list[Path | Exception] = []
    collect_marked(source, LastSeconds(2.0, how), source.marks, "fall", made.append)
    assert isinstance(made[0], OSError)
    assert isinstance(made[1], Path)
    assert list((how.folder / "fall").iterdir()) == [made[1]]
    assert len(read_collected(how.folder)) == 1


def test_memory_is_bounded(how: Cut) -> None:
    last = LastSeconds(1.0, how)
    for frame in _many():
        last.add(frame)
    assert last.length_s <= 1.0
    assert len(last._pictures) <= 1.0 * collecting.MOST_FPS + 1


def _many() -> Iterator[Frame]:
    for number in range(2000):
        yield Frame("x", number, number / 500, np.zeros((8, 8, 3), np.uint8))
