"""Every clip is on one side of a split."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.datasets.marked import SegmentFile
from ecolite_stream.datasets.segments import Marked
from ecolite_stream.errors import ConfigError
from trainer.config.schema import DataConfig
from trainer.data.splits import deal_folds, keep_only, split_clips


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
        (
            {"split": "pattern", "split_pattern": "/([a-z])", "val_groups": ("z",)},
            "holds out no clip",
        ),
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


def fold_config(**settings: object) -> DataConfig:
    return DataConfig(clips=(".",), split="fold", **settings)


def test_folds_are_whole_groups_and_cover_every_clip_once() -> None:
    clips = clip_files("abcdefg", count=3)
    seen: list[str] = []
    for fold in (1, 2, 3):
        config = fold_config(folds=3, fold=fold, split_pattern="/([a-z])")
        training, validation = split_clips(clips, config, seed=0)
        people = {clip.path.name[0] for clip in validation}
        assert people.isdisjoint(clip.path.name[0] for clip in training)
        seen += [clip.name for clip in validation]
    assert sorted(seen) == sorted(clip.name for clip in clips)


def test_folds_are_alike_in_size_and_classes() -> None:
    groups = {f"x{i}": [f"x/{i}{j}" for j in range(i)] for i in range(1, 9)}
    groups |= {f"y{i}": [f"y/{i}{j}" for j in range(i)] for i in range(1, 9)}
    for part in deal_folds(groups, 4):
        of_x = sum(name.startswith("x/") for name in part)
        assert 8 <= of_x <= 10 and 8 <= len(part) - of_x <= 10


def test_without_groups_each_clip_is_its_own() -> None:
    _, validation = split_clips(clip_files(), fold_config(folds=4), seed=0)
    assert len(validation) == 2


def test_groups_come_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "sources.csv"
    lines = [f"{clip.name},{clip.path.name[0]}" for clip in clip_files()]
    table.write_text("\n".join(["clip,source", *lines]) + "\n")
    config = DataConfig(clips=(".",), split="pattern", groups=str(table), val_groups=("c",))
    _, validation = split_clips(clip_files(), config, seed=0)
    assert [clip.name for clip in validation] == ["x/c0_x.avi", "y/c0_y.avi"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,source\nx/a0_x.avi,a\n", "has no line for x/b0_x.avi; add one"),
        ("clip,source\nx/a0_x.avi\n", "expected '<class>/<file>,group', got 'x/a0_x.avi'"),
    ],
)
def test_a_table_that_does_not_tell_is_refused(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "sources.csv"
    table.write_text(text)
    with pytest.raises(ConfigError, match=message):
        split_clips(clip_files(), fold_config(groups=str(table)), seed=0)
    with pytest.raises(ConfigError, match="cannot be read"):
        split_clips(clip_files(), fold_config(groups=str(tmp_path / "none.csv")), seed=0)


def test_too_few_groups_are_refused() -> None:
    config = fold_config(folds=5, split_pattern="/([a-z])")
    with pytest.raises(ConfigError, match="4 groups of clips cannot make 5 folds"):
        split_clips(clip_files(), config, seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "fold", "fold": 6}, "fold is 6; expected 1 to 5"),
        ({"split": "fold", "folds": 1}, "folds is 1; expected at least 2"),
        ({"split_pattern": "a", "groups": "b"}, "both group the clips"),
        ({"split": "pattern", "val_groups": ("a",)}, "and split_pattern or groups"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DataConfig(clips=(".",), **settings)


def test_names_in_val_lists_have_spaces_and_windows_ends(tmp_path: Path) -> None:
    clips = [ClipFile(Path(f"x/walk ({n}).avi"), "x") for n in (31, 32)]
    path = tmp_path / "val.txt"
    path.write_bytes(b"\xef\xbb\xbfx\\walk (31).avi\r\n")
    config = DataConfig(clips=(".",), split="list", val_list=path)
    training, validation = split_clips(clips, config, seed=0)
    assert (training, validation) == (clips[1:], clips[:1])
    path.write_text("x/walk (32).avi 1\nx/walk.avi\n")
    wanted = r"val\.txt:2: no clip is named 'x/walk\.avi' \(1 of 2 lines\).* such as 'x/walk \(31\)"
    with pytest.raises(ConfigError, match=wanted):
        split_clips(clips, config, seed=0)


def test_a_list_of_clips_names_files_and_segments(tmp_path: Path) -> None:
    """As they are, with spaces at their ends, numbers and escapes in their names."""
    names = (" fall /a 12.mp4", "fall/b.mp4", "caf\\xe9/c.mp4")
    clips = [ClipFile(Path(name), name.partition("/")[0]) for name in names]
    clips += [SegmentFile(Path("v.mp4"), "fall", Marked(n, n + 1.5, "fall")) for n in (0, 3)]
    chosen = [clips[0], *clips[2:4]]
    path = tmp_path / "only.txt"
    path.write_text("".join(f"{clip.name}\n" for clip in chosen), encoding="utf-8")
    assert keep_only(clips, path) == chosen
    path.write_text("fall/none.mp4\n")
    with pytest.raises(ConfigError, match=r"only\.txt:1: no clip is named 'fall/none\.mp4'"):
        keep_only(clips, path)
    with pytest.raises(ConfigError, match=r"data\.only .* cannot be read"):
        keep_only(clips, tmp_path / "gone.txt")


def test_a_table_of_groups_from_a_spreadsheet(tmp_path: Path) -> None:
    table = tmp_path / "sources.csv"
    lines = [f"{clip.label}\\{clip.path.name};{clip.path.name[0]}" for clip in clip_files()]
    table.write_bytes("\r\n".join(["\ufeffclip;source", *lines]).encode())
    config = DataConfig(clips=(".",), split="pattern", groups=str(table), val_groups=("c",))
    _, validation = split_clips(clip_files(), config, seed=0)
    assert [clip.name for clip in validation] == ["x/c0_x.avi", "y/c0_y.avi"]
