"""What counts as a clip, how lists name it, and where clips lie that are not found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ecolite_stream.datasets.labelled_clips import (
    ClipKind,
    clip_kind,
    clips_in,
    find_clips,
    listed_name,
    without_suffix,
)
from ecolite_stream.errors import ConfigError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_what_counts_as_a_clip(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a.AVI",
        "b.txt",
        ".c.avi",
        "frames/1.PNG",
        "empty/x.txt",
        "d.avi/x",
        "e.avi/1.jpg",
    )
    os.mkfifo(tmp_path / "f.avi")
    (tmp_path / "g.avi").symlink_to("nowhere")
    kinds = {path.name: clip_kind(path) for path in tmp_path.iterdir()}
    assert {name: kind for name, kind in kinds.items() if kind} == {
        "a.AVI": ClipKind.VIDEO,
        "frames": ClipKind.FRAMES,
        "e.avi": ClipKind.FRAMES,
        "g.avi": ClipKind.VIDEO,
    }


def test_names_in_latin_1_become_printable(tmp_path: Path) -> None:
    touch(tmp_path, os.fsdecode(b"gehen_f\xfc\xdfe/T\xfcr.avi"))
    [clip] = clips_in(tmp_path, ClipKind.VIDEO)
    assert (clip.label, clip.name) == (r"gehen_f\xfc\xdfe", r"gehen_f\xfc\xdfe/T\xfcr.avi")
    assert clip.path.is_file()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["train/walk/a.avi", "val/walk/b.avi"],
            "clips lie deeper, such as {}/train/walk/a.avi: name {}/train",
        ),
        (
            ["UCF-101/walk/a.avi"],
            "clips lie deeper, such as {}/UCF-101/walk/a.avi: name {}/UCF-101",
        ),
        (["a.avi", "b.avi"], "in the folder itself, such as a.avi: name the folder above it"),
        (["walk/a/1.jpg"], "holds folders of frames, such as {}/walk/a: name the videos"),
        (["walk/notes.txt", ".old/a.avi"], "put each clip into a folder named as its class"),
        (["1/2/3/4/5/6/a.avi"], "put each clip into a folder named as its class"),
    ],
)
def test_says_where_the_clips_lie(tmp_path: Path, names: list[str], message: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(ConfigError, match="has no <class>/<clip> with one of") as raised:
        find_clips([tmp_path])
    assert message.format(tmp_path, tmp_path) in str(raised.value)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("walk/walk (31).avi", "walk/walk (31).avi"),
        ("walk/walk (31).avi 1", "walk/walk (31).avi"),
        (" walk/a.MP4 120 3 ", "walk/a.MP4"),
        ("walk/clip 7", "walk/clip 7"),
        (r"walk\a b.avi 2", "walk/a b.avi"),
        (os.fsdecode(b"walk/T\xfcr.avi"), r"walk/T\xfcr.avi"),
    ],
)
def test_names_in_lists(line: str, name: str) -> None:
    assert listed_name(line) == name


def test_only_the_suffix_of_a_video_is_one() -> None:
    assert without_suffix("walk/a.avi") == "walk/a"
    assert without_suffix("walk/No.1") == "walk/No.1"
