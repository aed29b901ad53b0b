"""Every clip is on one side of a split."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.clips import ClipFile
from ecolite_stream.errors import ConfigError
from trainer.config import DataConfig
from trainer.data.splits import split_clips


def clip_files(people: str = "abcd", labels: str = "xy", count: int = 1) -> list[ClipFile]:
    return [
        ClipFile(Path(f"{label}/{person}{number}_{label}.avi"), label)
        for label in labels
        for person in people
        for number in range(count)
    ]


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
