"""Clips from files: the same pictures whether they are held or stay in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.datasets.marked import SegmentFile
from ecolite_stream.datasets.segments import Marked
from ecolite_stream.errors import SourceError
from tests.videos import read_number, write_numbered_video
from trainer.data.budget import Budget
from trainer.data.clips import HeldClip, cut_windows
from trainer.data.reading import FileClip, read_clip, read_clips


def both(path: Path, short_side: int) -> tuple[HeldClip, FileClip]:
    file = ClipFile(path, "walk")
    held = read_clip(file, short_side, Budget(100))
    lazy = read_clip(file, short_side, Budget(0))
    assert isinstance(held, HeldClip) and isinstance(lazy, FileClip)
    return held, lazy


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_clip_in_its_file_reads_as_a_held_one(tmp_path: Path, codec: str) -> None:
    path = write_numbered_video(tmp_path / "a.mp4", 40, (320, 240), 15, codec, bf=2)
    held, lazy = both(path, short_side=120)
    assert held.frames.shape == (40, 120, 160, 3)
    assert (held.num_frames, held.fps, held.name) == (lazy.num_frames, lazy.fps, lazy.name)
    for indices in ([0], [39], [3, 3, 17], [30, 2, 11], range(40), np.array([5, 6])):
        frames = lazy.read(indices)
        assert [read_number(frame) for frame in frames] == list(indices)
        assert np.array_equal(frames, held.read(indices))
    for one, other in zip(cut_windows(held, 4), cut_windows(lazy, 4), strict=True):
        assert np.array_equal(one.read(range(60)), other.read(range(60)))


def test_decodes_every_frame_small_and_at_the_right_speed(tmp_path: Path) -> None:
    path = tmp_path / "walk" / "long.avi"
    path.parent.mkdir()
    write_numbered_video(path, num_frames=30, size=(320, 240), fps=15)
    clip = both(path, short_side=120)[1]
    assert clip.read(range(30)).shape == (30, 120, 160, 3)
    assert clip.fps == pytest.approx(15)
    assert clip.seconds == pytest.approx(2)


def test_a_damaged_clip_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.avi").write_text("not a video")
    with pytest.raises(SourceError, match=r"bad\.avi"):
        read_clips([ClipFile(tmp_path / "bad.avi", "walk")], 64, 2, Budget(1))


def test_clips_are_held_as_long_as_the_budget_lasts(tmp_path: Path) -> None:
    files = [
        ClipFile(write_numbered_video(tmp_path / f"{n}.avi", 10 + n), "walk") for n in range(4)
    ]
    frame_mb = 160 * 120 * 3 / 1e6
    clips = read_clips(files, 120, 1, Budget(24 * frame_mb))  # of 10, 11, 12 and 13 frames
    assert [isinstance(clip, HeldClip) for clip in clips] == [True, True, False, False]
    assert [clip.num_frames for clip in clips] == [10, 11, 12, 13]
    budget = Budget(12 * frame_mb)
    assert [isinstance(read_clip(f, 120, budget), HeldClip) for f in files[3:] + files[:1]] == [
        False,
        True,  # what the longer one had taken is given back
    ]


def test_a_clip_that_has_become_shorter_is_named(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "a.avi", 20)
    _, lazy = both(path, 120)
    write_numbered_video(path, 10)
    with pytest.raises(SourceError, match=r"a\.avi had 20 frames and has fewer now"):
        lazy.read([15])


@pytest.mark.parametrize("part", [Marked(1.2, 3.2, "walk"), Marked(30, 80, "walk", in_frames=True)])
def test_a_segment_reads_as_the_file_that_would_be_cut_out(tmp_path: Path, part: Marked) -> None:
    path = write_numbered_video(tmp_path / "long.mp4", 100)
    file = SegmentFile(path, "walk", part)
    held, lazy = (read_clip(file, 120, Budget(mb)) for mb in (100, 0))
    assert isinstance(held, HeldClip) and isinstance(lazy, FileClip)
    for clip in (held, lazy):
        assert (clip.name, clip.label, clip.num_frames) == (file.name, "walk", 50)
        assert clip.fps == pytest.approx(25)
        assert [read_number(frame) for frame in clip.read([0, 49, 7])] == [30, 79, 37]
    with pytest.raises(IndexError, match="has 50 frames"):
        lazy.read([50])


def test_a_segment_behind_the_end_is_named(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "long.mp4", 20)
    with pytest.raises(SourceError, match=r"walk/long\.mp4@3-4 has no frame"):
        read_clip(SegmentFile(path, "walk", Marked(3, 4, "walk")), 120, Budget(1))
