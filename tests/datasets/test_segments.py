"""Segments of long videos from the three kinds of files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecolite_stream.datasets.segments import Marked, read_segments
from ecolite_stream.errors import ConfigError

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT>
 <TIME_ORDER>
  <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1500"/>
  <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="3250"/>
  <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="500"/>
  <TIME_SLOT TIME_SLOT_ID="ts4"/>
 </TIME_ORDER>
 <TIER TIER_ID="action">
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
   <ANNOTATION_VALUE>fall</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts4">
   <ANNOTATION_VALUE>no end</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
 </TIER>
 <TIER TIER_ID="speech">
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts1">
   <ANNOTATION_VALUE>hello</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
 </TIER>
</ANNOTATION_DOCUMENT>"""


NO_ENDS = '[{"annotations":[{"result":[{"value":{"ranges":[{}],"timelinelabels":["a"]}}]}]}]'


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_label_track(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "start_s,end_s,label\n4,5.5,sit\n1,2,fall\n")
    assert read_segments(path) == [Marked(1, 2, "fall"), Marked(4, 5.5, "sit")]


def test_elan(tmp_path: Path) -> None:
    path = written(tmp_path, "a.eaf", EAF)
    assert read_segments(path) == [Marked(0.5, 1.5, "hello"), Marked(1.5, 3.25, "fall")]
    assert read_segments(path, "action") == [Marked(1.5, 3.25, "fall")]
    with pytest.raises(ConfigError, match="no segment in tier x"):
        read_segments(path, "x")


def test_label_studio_counts_frames_from_one(tmp_path: Path) -> None:
    regions = [
        {"value": {"ranges": [{"start": 5, "end": 15}], "timelinelabels": ["Movement"]}},
        {"value": {"start": 2.5, "end": 4, "labels": ["fall"]}},
        {"value": {"choices": ["good"]}},
    ]
    tasks = [
        {"annotations": [{"result": regions}, {"result": regions, "was_cancelled": True}]},
    ]
    path = written(tmp_path, "a.json", json.dumps(tasks))
    assert read_segments(path) == [Marked(2.5, 4, "fall"), Marked(4, 15, "Movement", True)]


def test_an_export_of_two_videos_is_refused(tmp_path: Path) -> None:
    regions = [{"value": {"ranges": [{"start": 5, "end": 15}], "timelinelabels": ["a"]}}]
    one, other = (
        {"data": {"video": f"{name}.mp4"}, "annotations": [{"result": regions}]} for name in "ab"
    )
    path = written(tmp_path, "a.json", json.dumps([one, other]))
    with pytest.raises(ConfigError, match="marks 2 videos; export the task of each"):
        read_segments(path)
    assert len(read_segments(written(tmp_path, "a.json", json.dumps([one, one])))) == 2


def test_an_export_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecolite_stream.datasets.segments.MOST_CHARACTERS", 100)
    for name in ("a.eaf", "a.json"):
        with pytest.raises(ConfigError, match="more than 100 characters"):
            read_segments(written(tmp_path, name, " " * 101))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "x", "expected .csv"),
        ("a.csv", "start_s,end_s,label\n", "is empty"),
        ("a.csv", "start_s,end_s,label\n2,1,fall\n", "an end after its start"),
        ("a.eaf", "<a", "is damaged"),
        ("a.eaf", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "declares entities"),
        ("a.eaf", EAF.replace("3250", "1000"), "an end after its start"),
        ("a.json", "{", "is damaged"),
        ("a.json", "[1]", "is damaged"),
        ("a.json", "[" * 100_000, "is damaged"),
        ("a.json", "[]", "marks no segment"),
        ("a.json", NO_ENDS, "is damaged"),
    ],
)
def test_what_is_no_segment_is_one_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_segments(written(tmp_path, name, text))
    assert says in str(raised.value)
