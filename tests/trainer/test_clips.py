"""Clips are found, split without overlap, decoded and kept small."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.clips import ClipFile, find_clips
from ecolite_stream.errors import ConfigError, SourceError
from tests.videos import write_numbered_video
from trainer.config import DataConfig
from trainer.data.clips import (
    DEFAULT_DATA,
    Clip,
    cut_windows,
    decode_clip,
    decode_clips,
    draw_clips,
    expand_folder,
    split_clips,
    still_clips,
)
from trainer.figures import ACTIONS


def clip_files(people: str = "abcd", labels: str = "xy", count: int = 1) -> list[ClipFile]:
    return [
        ClipFile(Path(f"{label}/{person}{number}_{label}.avi"), label)
        for label in labels
        for person in people
        for number in range(count)
    ]


def test_finds_videos_in_class_folders_and_nothing_else(tmp_path: Path) -> None:
    for name in (
        "run/b.mp4",
        "run/a.AVI",
        "walk/c.webm",
        "walk/d.MOV",
        "walk/._d.MOV",
        "e.avi",
        "walk/notes.txt",
        "walk/folder.avi/x",
        ".old/a.avi",
        "run/e.mpeg",
        "run/.hidden.mp4",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [clip.name for clip in find_clips([tmp_path])] == [
        "run/a.AVI",
        "run/b.mp4",
        "run/e.mpeg",
        "walk/c.webm",
        "walk/d.MOV",
    ]


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_a_folder_without_clips_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=name):
        find_clips([tmp_path / name])


def test_a_folder_may_hold_variables_and_the_environment_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ECOLITE_DATA", raising=False)
    monkeypatch.setenv("ECOLITE_DATA_2", "/other")
    before = dict(os.environ)
    for text in ("$ECOLITE_DATA/set", "${ECOLITE_DATA}/set"):
        assert expand_folder(text) == Path(DEFAULT_DATA) / "set"
    assert expand_folder("$ECOLITE_DATA_2/set") == Path("/other/set")
    assert dict(os.environ) == before
    monkeypatch.setenv("ECOLITE_DATA", "/mine")
    assert expand_folder("$ECOLITE_DATA/set") == Path("/mine/set")


SPLITS = {
    "random": {"split": "random", "val_fraction": 0.25},
    "pattern": {"split": "pattern", "split_pattern": "/([a-z])", "val_groups": ("b",)},
}


@pytest.mark.parametrize("settings", SPLITS.values(), ids=SPLITS.keys())
def test_every_clip_is_on_one_side_of_a_split_and_every_class_on_both(settings: dict) -> None:
    clips = clip_files()
    training, validation = split_clips(clips, DataConfig(clips=(".",), **settings), seed=1)
    assert sorted([*training, *validation], key=str) == sorted(clips, key=str)
    assert len(validation) == 2
    assert {clip.label for clip in validation} == {clip.label for clip in training} == {"x", "y"}


def test_a_pattern_split_keeps_groups_together() -> None:
    config = DataConfig(clips=(".",), **SPLITS["pattern"])
    training, validation = split_clips(clip_files(count=3), config, seed=0)
    assert {clip.path.name[0] for clip in validation} == {"b"}
    assert {clip.path.name[0] for clip in training} == {"a", "c", "d"}


def test_a_random_split_follows_its_seed() -> None:
    config = DataConfig(clips=(".",))
    clips = clip_files("abcdefgh")
    first, again, other = (split_clips(clips, config, seed)[1] for seed in (1, 1, 2))
    assert first == again != other


def test_a_list_split_takes_what_is_listed(tmp_path: Path) -> None:
    listed = tmp_path / "val.txt"
    listed.write_text("x/a0_x.avi 12 0\n\ny/c0_y.avi\n")
    config = DataConfig(clips=(".",), split="list", val_list=listed)
    _, validation = split_clips(clip_files(), config, seed=0)
    assert [clip.name for clip in validation] == ["x/a0_x.avi", "y/c0_y.avi"]
    listed.write_text("x/typo.avi\n")
    with pytest.raises(ConfigError, match=r"x/typo\.avi"):
        split_clips(clip_files(), config, seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "pattern", "split_pattern": "/([a-z])", "val_groups": ("z",)}, "no clip aside"),
        (
            {"split": "pattern", "split_pattern": "/([a-z])", "val_groups": tuple("abcd")},
            "to train",
        ),
        (
            {"split": "pattern", "split_pattern": "(nowhere)", "val_groups": ("a",)},
            "finds no group",
        ),
    ],
)
def test_a_split_that_leaves_one_side_empty_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split_clips(clip_files(), DataConfig(clips=(".",), **settings), seed=0)


def test_decodes_every_frame_small_and_at_the_right_speed(tmp_path: Path) -> None:
    path = tmp_path / "walk" / "long.avi"
    path.parent.mkdir()
    write_numbered_video(path, num_frames=30, size=(320, 240), fps=15)
    clip = decode_clip(ClipFile(path, "walk"), short_side=120)
    assert clip.frames.shape == (30, 120, 160, 3)
    assert clip.fps == pytest.approx(15)
    assert clip.seconds == pytest.approx(2)


def test_a_damaged_clip_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.avi").write_text("not a video")
    with pytest.raises(SourceError, match=r"bad\.avi"):
        decode_clips([ClipFile(tmp_path / "bad.avi", "walk")], 64, workers=2)


@pytest.mark.parametrize(
    ("frames", "starts"), [(10, [0]), (20, [0]), (21, [0, 1]), (45, [0, 10, 20, 25])]
)
def test_windows_overlap_by_half_and_reach_the_end(frames: int, starts: list[int]) -> None:
    clip = Clip("a/a", "a", np.arange(frames, dtype=np.uint8).reshape(-1, 1, 1, 1), 10.0)
    windows = cut_windows(clip, seconds=2)
    assert [int(window.frames[0, 0, 0, 0]) for window in windows] == starts
    assert all(len(window.frames) == 20 for window in windows)  # led in by its first frame
    assert int(windows[-1].frames[-1, 0, 0, 0]) == frames - 1


def test_draws_every_action_from_its_seed() -> None:
    clips = draw_clips(1, 72, seed=5, workers=2)
    assert [clip.label for clip in clips] == list(ACTIONS)
    assert all(min(clip.frames.shape[1:3]) == 72 for clip in clips)
    again = draw_clips(1, 72, seed=5, workers=1)
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(clips, again, strict=True))


def test_nothing_moves_in_still_clips_and_who_passes_is_gone_from_the_median() -> None:
    frames = np.full((20, 8, 20, 3), 100, np.uint8)
    for number in range(20):
        frames[number, :, number] = 255  # somebody passes
    clips = [Clip("walk/a", "walk", frames, 10.0), Clip("walk/b", "walk", frames, 10.0)]
    stills = still_clips(clips, "idle", 9, seconds=2)
    assert len(still_clips(clips, "idle", 1)) == 1
    held, median = stills
    assert held.label == median.label == "idle"
    for still in (held, median):
        assert still.frames.shape == (20, 8, 20, 3)
        assert (still.frames == still.frames[0]).all()
    assert (held.frames == 255).any()
    assert (median.frames == 100).all()
