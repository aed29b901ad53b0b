"""Which clips are held out together."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.errors import ConfigError
from trainer.teaching.groups import Grouping, group_by, hold_out_once

NAMES = ["fall/a-1.mp4", "fall/a-2.mp4", "fall/b-1.mp4", "sit/a-1.mp4", "sit/b-1.mp4"]
CLIPS = [ClipFile(Path(name), name.partition("/")[0]) for name in NAMES]


def test_a_pattern_keeps_a_place_together() -> None:
    found = group_by(CLIPS, None, "/([a-z])-", None)
    assert sorted(map(sorted, found.folds)) == [
        ["fall/a-1.mp4", "fall/a-2.mp4", "sit/a-1.mp4"],
        ["fall/b-1.mp4", "sit/b-1.mp4"],
    ]
    assert found.group_of("sit/b-1.mp4") == "b"


def test_a_table_names_the_groups(tmp_path: Path) -> None:
    table = tmp_path / "subjects.csv"
    table.write_text("clip,source\n" + "".join(f"{name},{name[-7]}\n" for name in NAMES))
    found = group_by(CLIPS, table, "", None)
    assert sorted(found.groups) == ["a", "b"]
    assert "subjects.csv" in found.how


def test_collected_clips_are_grouped_by_source_and_day() -> None:
    recorded = dict.fromkeys(NAMES[:3], "camera 2026-11-28")
    found = group_by(CLIPS, None, "", None, recorded)
    assert found.groups["camera 2026-11-28"] == NAMES[:3]
    assert len(found.groups) == 3


def test_a_clip_alone_where_nothing_is_known() -> None:
    assert len(group_by(CLIPS, None, "", None).folds) == 5
    assert len(group_by(CLIPS, None, "", 2).folds) == 2


def test_one_group_cannot_be_held_out() -> None:
    with pytest.raises(ConfigError, match="nothing can be held out"):
        group_by(CLIPS, None, "([.]mp4)", None)


def test_clips_of_one_evening_are_held_out_alone_and_it_is_said() -> None:
    recorded = dict.fromkeys(NAMES, "camera 2026-11-28")
    found = group_by(CLIPS, None, "", None, recorded)
    assert found.how.startswith("each clip alone: all are of one source and day")
    assert len(found.groups) == 5
    recorded["sit/b-1.mp4"] = "camera 2026-11-29"
    found = group_by(CLIPS, None, "", None, recorded)
    assert (found.how, len(found.groups)) == ("source and day of clips.csv", 2)


ONE_FIFTH = {
    f"p{n}": [f"{label}/p{n}-{take}.mp4" for label in ("fall", "sit") for take in range(2)]
    for n in range(10)
}


def test_held_out_once_is_about_one_clip_in_five_of_every_action() -> None:
    whole = Grouping("people", ONE_FIFTH, [])
    (part,) = hold_out_once(whole).folds
    assert len(part) == 8
    assert {name.partition("/")[0] for name in part} == {"fall", "sit"}
    groups = {whole.group_of(name) for name in part}
    assert sorted(part) == sorted(name for group in groups for name in ONE_FIFTH[group])
    assert hold_out_once(whole) == hold_out_once(Grouping("people", dict(ONE_FIFTH), [["x"]]))


def test_every_action_that_two_groups_show_is_on_both_sides() -> None:
    """Each person shows one action alone, and one action has a single person."""
    groups = {
        f"{label}{n}": [f"{label}/{label}{n}-{take}.mp4" for take in range(1 + n)]
        for label in ("fall", "nothing", "sit")
        for n in range(2)
    }
    groups["waver"] = ["wave/1.mp4", "wave/2.mp4"]
    (part,) = hold_out_once(Grouping("people", groups, [])).folds
    rest = {name for names in groups.values() for name in names} - set(part)
    assert {name.partition("/")[0] for name in part} == {"fall", "nothing", "sit"}
    assert {name.partition("/")[0] for name in rest} == {"fall", "nothing", "sit", "wave"}


def test_two_groups_are_one_on_each_side() -> None:
    groups = {who: [f"{label}/{who}.mp4" for label in ("fall", "sit")] for who in "ab"}
    (part,) = hold_out_once(Grouping("people", groups, [])).folds
    assert part in (groups["a"], groups["b"])
