"""Which clips are held out together."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.errors import ConfigError
from trainer.teaching.groups import group_by

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
