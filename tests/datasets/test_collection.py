"""Clips that are counted, moved and dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.datasets import collection
from ecolite_stream.datasets.collected import ClipRow, add_row, read_collected
from ecolite_stream.datasets.collection import (
    describe,
    drop_clip,
    find_clip,
    move_clip,
    remove_collected,
    survey,
)
from ecolite_stream.errors import ConfigError

EVENING = "2026-11-28T20:00:00.000Z"


def put(folder: Path, name: str, content: bytes, start: str = EVENING) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    add_row(folder, ClipRow(name, name.partition("/")[0], "door", "", start, "camera"))


def test_counts_by_action_group_and_day(tmp_path: Path) -> None:
    put(tmp_path, "fall/a.mp4", b"1")
    put(tmp_path, "fall/b.mp4", b"22", "2026-11-29T08:00:00.000Z")
    put(tmp_path, "nothing/a.mp4", b"333", "12.50")
    (tmp_path / "nothing" / "own.mp4").write_bytes(b"1")
    found = survey(tmp_path)
    fall, nothing = found.actions
    assert (fall.label, fall.clips, nothing.clips, found.clips) == ("fall", 2, 2, 4)
    assert fall.groups == {"camera 2026-11-28": 1, "camera 2026-11-29": 1}
    assert fall.days == {"2026-11-28": 1, "2026-11-29": 1}
    assert nothing.days == {"unknown": 2}
    assert found.doubles == (("nothing/own.mp4", "fall/a.mp4"),)
    assert found.missing == tuple(
        f"{label} has 2 clips: ten more of other days or places help most"
        for label in ("fall", "nothing")
    )


def test_each_clip_of_unknown_source_is_a_group(tmp_path: Path) -> None:
    put(tmp_path, "fall/a.mp4", b"1")
    put(tmp_path, "fall/b.mp4", b"22")
    for name in ("c", "d", "e"):
        (tmp_path / "fall" / f"{name}.mp4").write_bytes(name.encode())
    (fall,) = survey(tmp_path).actions
    assert (dict(fall.groups), fall.turns) == ({"camera 2026-11-28": 2, "unknown": 3}, 4)
    assert "5 clips,   4 groups" in "\n".join(describe(tmp_path))


def test_segments_of_long_videos_are_counted_by_recording(tmp_path: Path) -> None:
    put(tmp_path, "fall/a.mp4", b"1")
    for name in ("monday", "tuesday"):
        (tmp_path / f"{name}.mp4").write_bytes(name.encode())
    rows = "".join(f"{start},{start + 1},fall\n" for start in range(5))
    (tmp_path / "monday.csv").write_text(f"start_s,end_s,label\n{rows}8,9,sit\n")
    found = survey(tmp_path)
    fall, sit = found.actions
    assert (found.clips, found.segments) == (1, 6)
    assert (fall.clips, fall.segments, sit.clips, sit.segments) == (1, 5, 0, 1)
    assert fall.groups == {"camera 2026-11-28": 1, "monday.mp4": 5}
    assert fall.days == {"2026-11-28": 1, "unknown": 5}
    assert found.missing[:2] == (
        "fall has 1 clip and 5 segments: ten more of other days or places help most",
        "sit has 1 segment: ten more of other days or places help most",
    )
    (problem,) = found.problems
    assert problem.startswith(f"left out {tmp_path / 'tuesday.mp4'}: it lies in no action")
    lines = list(describe(tmp_path))
    assert lines[0] == f"1 clips and 6 segments of 2 actions in {tmp_path}"
    assert "1 clips,    5 segments,   2 groups" in lines[1]
    assert problem in lines


def test_marks_that_cannot_be_read_hide_no_clip(tmp_path: Path) -> None:
    put(tmp_path, "fall/a.mp4", b"1")
    (tmp_path / "monday.mp4").write_bytes(b"2")
    (tmp_path / "monday.csv").write_text("when,what\n1,fall\n")
    found = survey(tmp_path)
    assert (found.clips, found.segments) == (1, 0)
    (problem,) = found.problems
    assert problem.startswith("segments of long videos are not counted: ")
    assert "monday.csv" in problem
    (tmp_path / "fall" / "a.mp4").unlink()
    with pytest.raises(ConfigError, match=r"monday\.csv"):
        list(describe(tmp_path))


def test_a_folder_that_is_not_there_yet_has_no_clips(tmp_path: Path) -> None:
    found = survey(tmp_path / "later")
    assert (found.clips, found.actions) == (0, ())
    assert found.missing == (
        "there is no action 'nothing': add clips in which no other action happens",
    )


def test_a_clip_moves_with_its_row(tmp_path: Path) -> None:
    put(tmp_path, "fall/a.mp4", b"1")
    put(tmp_path, "sit/a.mp4", b"2")
    assert move_clip(tmp_path, "fall/a.mp4", "sit") == "sit/a-2.mp4"
    assert (tmp_path / "sit" / "a-2.mp4").read_bytes() == b"1"
    assert (tmp_path / "sit" / "a.mp4").read_bytes() == b"2"
    assert not (tmp_path / "fall").exists()
    rows = read_collected(tmp_path)
    assert set(rows) == {"sit/a-2.mp4", "sit/a.mp4"}
    row = rows["sit/a-2.mp4"]
    assert (row.label, row.stream, row.start) == ("sit", "door", EVENING)


def test_a_clip_is_dropped_with_its_row(tmp_path: Path) -> None:
    put(tmp_path, "fall/a.mp4", b"1")
    put(tmp_path, "fall/b.mp4", b"2")
    drop_clip(tmp_path, "fall/a.mp4")
    assert list(read_collected(tmp_path)) == ["fall/b.mp4"]
    assert [clip.name for clip in (tmp_path / "fall").iterdir()] == ["b.mp4"]


@pytest.mark.parametrize("name", ["fall/none.mp4", "../secret.mp4", "fall/../../secret.mp4", ""])
def test_only_clips_can_be_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "clips"
    put(folder, "fall/a.mp4", b"1")
    (tmp_path / "secret.mp4").write_bytes(b"1")
    with pytest.raises(KeyError):
        drop_clip(folder, name)
    with pytest.raises(KeyError):
        move_clip(folder, name, "sit")
    assert (tmp_path / "secret.mp4").exists()


@pytest.mark.parametrize("label", ["../up", "a/b", "a\nb", ""])
def test_a_clip_moves_into_an_action_only(tmp_path: Path, label: str) -> None:
    put(tmp_path, "fall/a.mp4", b"1")
    with pytest.raises(ConfigError, match="expected a name of one line"):
        move_clip(tmp_path, "fall/a.mp4", label)
    assert list(read_collected(tmp_path)) == ["fall/a.mp4"]


def test_all_that_was_collected_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    put(folder, "fall/a.mp4", b"1")
    put(folder, "sit/a.mp4", b"2")
    (folder / "sit" / "own.mp4").write_bytes(b"3")
    assert remove_collected(folder) == (2, 1)
    assert [path.name for path in folder.rglob("*")] == ["sit", "own.mp4"]
    with pytest.raises(ConfigError, match="collected into"):
        remove_collected(folder)


@pytest.mark.parametrize(
    "name",
    ["fall//etc/a.mp4", "fall/\0.mp4", f"fall/{'x' * 300}.mp4", f"{'x' * 300}/a.mp4", "fall"],
)
def test_names_that_no_file_can_have_are_of_no_clip(tmp_path: Path, name: str) -> None:
    put(tmp_path, "fall/a.mp4", b"1")
    with pytest.raises(KeyError):
        find_clip(tmp_path, name)


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "clips", tmp_path / "outside"
    put(folder, "fall/a.mp4", b"1")
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(b"2")
    (folder / "fall" / "link.mp4").symlink_to(outside / "secret.mp4")
    (folder / "sit").symlink_to(outside)
    for name in ("fall/link.mp4", "sit/secret.mp4"):
        for use in (find_clip, drop_clip, lambda *where: move_clip(*where, "walk")):
            with pytest.raises(KeyError):
                use(folder, name)
    assert (outside / "secret.mp4").read_bytes() == b"2"


def test_a_clip_whose_row_cannot_be_changed_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "fall/a.mp4", b"1")

    def full(folder: Path, renamed: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(collection, "change_rows", full)
    with pytest.raises(OSError, match="No space left"):
        move_clip(tmp_path, "fall/a.mp4", "sit")
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["clips.csv", "fall", "a.mp4"]
    assert list(read_collected(tmp_path)) == ["fall/a.mp4"]


def test_a_folder_that_goes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "fall/a.mp4", b"1")
    monkeypatch.setattr(collection, "change_rows", lambda *_: (tmp_path / "fall").rmdir())
    drop_clip(tmp_path, "fall/a.mp4")
    assert not (tmp_path / "fall").exists()


def test_a_label_too_long_for_a_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "fall/a.mp4", b"1")
    with pytest.raises(ConfigError, match="too long for a folder; shorten it"):
        move_clip(tmp_path, "fall/a.mp4", "跌" * 90)
