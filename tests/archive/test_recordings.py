"""Which recordings paths mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ecolite_stream.archive.recordings import find_recordings
from ecolite_stream.errors import ConfigError


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_folders_files_globs_and_lists(tmp_path: Path) -> None:
    a, b, c, _ = touch(tmp_path, "in/a.mp4", "in/deep/b.MKV", "c.dat", "in/notes.md")
    touch(tmp_path, "in/.hidden.mp4")
    folder = str(tmp_path / "in")
    assert find_recordings([folder]) == [a, b]
    assert find_recordings([str(c)]) == [c]  # named, so whatever its name
    assert find_recordings([f"{tmp_path}/in/*.mp4", folder]) == [a, b]  # each once
    assert find_recordings([f"{tmp_path}/i*"]) == [a, b]
    (tmp_path / "all.txt").write_bytes(b"\xef\xbb\xbfin\r\n\r\n  c.dat  \n")
    assert find_recordings([str(tmp_path / "all.txt")]) == [a, b, c]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    (odd,) = touch(tmp_path, "take [1].mp4")
    touch(tmp_path, "take 1.mp4")
    assert find_recordings([str(odd)]) == [odd]


@pytest.mark.skipif(os.name == "nt", reason="names are UTF-16")
def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    (tmp_path / "l.txt").write_bytes(b"caf\xe9.mp4\n")
    assert find_recordings([str(tmp_path / "l.txt")]) == [path]
    assert find_recordings([str(tmp_path)]) == [path]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("empty", "no recordings in .*empty; expected files such as "),
        ("none.mp4", "none.mp4: no such file; name a recording, folder or list"),
        ("*.mov", "nothing matches; check the pattern"),
        ("list.txt", "list.txt:2: .*gone.mp4: no such file"),
        ("nul.txt", "nul.txt is no text"),
        ("nothing.txt", "no recordings in"),
    ],
)
def test_what_names_nothing(tmp_path: Path, path: str, message: str) -> None:
    touch(tmp_path, "a.mp4", "empty/readme.md")
    (tmp_path / "list.txt").write_text("a.mp4\ngone.mp4\n")
    (tmp_path / "nul.txt").write_bytes(b"a\0b")
    (tmp_path / "nothing.txt").write_text("\n\n")
    with pytest.raises(ConfigError, match=message):
        find_recordings([str(tmp_path / path)])
