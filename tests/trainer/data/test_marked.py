"""Segments of long videos, found beside them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.datasets.marked import WHOLE, find_clips, segment_of
from ecolite_stream.errors import ConfigError
from tests.datasets.test_segments import EAF
from trainer.config.schema import DataConfig
from trainer.data.splits import group_clips

TRACK = "start_s,end_s,label\n1,2.5,fall\n4,5,sit\n4,5,sit\n"


def write(folder: Path, **files: str) -> Path:
    """Files by name, `__` for the dot."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def test_each_row_of_a_track_is_a_clip_beside_those_of_the_folders(tmp_path: Path) -> None:
    folder = write(tmp_path, evening__mp4="", evening__csv=TRACK, clips__csv="no track")
    write(folder / "sit", a__mp4="")
    found = find_clips([folder])
    assert [clip.name for clip in found] == [
        "fall/evening.mp4@1-2.5",
        "sit/a.mp4",
        "sit/evening.mp4@4-5",
    ]
    assert segment_of(found[0]).end == 2.5
    assert segment_of(found[1]) == WHOLE


def test_exports_do_as_well_and_one_tier_can_be_chosen(tmp_path: Path) -> None:
    regions = [{"value": {"ranges": [{"start": 5, "end": 15}], "timelinelabels": ["sit"]}}]
    tasks = [{"data": {"video": "b.mp4"}, "annotations": [{"result": regions}]}]
    folder = write(tmp_path, a__mkv="", a__eaf=EAF, b__mp4="", b__json=json.dumps(tasks))
    names = ["fall/a.mkv@1.5-3.25", "hello/a.mkv@0.5-1.5", "sit/b.mp4@frame 4-15"]
    assert [clip.name for clip in find_clips([folder])] == names
    (folder / "b.json").unlink()
    assert [clip.name for clip in find_clips([folder], "action")] == names[:1]


def test_a_video_without_marks_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write(tmp_path, a__mp4="", a__csv=TRACK, b__mp4="")
    with caplog.at_level(logging.WARNING):
        assert len(find_clips([folder])) == 2
    assert "b.mp4: it lies in no action, and has no b.csv, b.eaf, b.json" in caplog.text


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a__mp4": "", "a__csv": TRACK, "a__eaf": EAF}, "marked in a.csv and a.eaf; keep one"),
        ({"a__mp4": "", "a__avi": "", "a__csv": TRACK}, "marks a.avi and a.mp4; rename one"),
        ({"a__mp4": "", "a__csv": "start_s,end_s,label\n1,2,a/b\n"}, "label is 'a/b'"),
        ({"a__mp4": "", "a__csv": "start_s,end_s,label\n1,x,a\n"}, "write times in seconds"),
        ({"a__mp4": "", "a__csv": "file,label\nx,y\n"}, "has no column start_s"),
        ({"a__mp4": ""}, "has no <class>/<clip>"),
    ],
)
def test_bad_marks_are_one_line(files: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        find_clips([write(tmp_path, **files)])
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_table_of_groups_names_a_segment_or_its_video(tmp_path: Path) -> None:
    folder = write(tmp_path, a__mp4="", a__csv=TRACK)
    table = tmp_path / "groups.csv"
    table.write_text("clip,place\na.mp4,kitchen\nsit/a.mp4@4-5,hall\n")
    groups = group_clips(find_clips([folder]), DataConfig(groups=str(table)))
    assert groups == {"kitchen": ["fall/a.mp4@1-2.5"], "hall": ["sit/a.mp4@4-5"]}
    table.write_text("clip,place\nb.mp4,kitchen\n")
    with pytest.raises(ConfigError, match=r"no line for a\.mp4; add one"):
        group_clips(find_clips([folder]), DataConfig(groups=str(table)))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        find_clips([tmp_path / "none"])
    assert segment_of(ClipFile(tmp_path / "a.mp4", "a")) == WHOLE
