"""Videos to frames: all of them, in order, once, and what is damaged named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import cv2
import pytest

from ecolite_stream.app.entry import run
from tests.videos import read_number, write_numbered_video
from trainer.data import extract_frames


def call(source: Path, target: Path, *more: str) -> int:
    words = ["--video_src_path", str(source), "--image_save_path", str(target), *more]
    with pytest.raises(SystemExit) as ended:
        run(extract_frames.main, words)
    return int(ended.value.code or 0)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for label in ("jump", "walk"):
        (tmp_path / "videos" / label).mkdir(parents=True)
        write_numbered_video(tmp_path / "videos" / label / "a.avi", 12, (320, 240))
    return tmp_path / "videos"


def test_every_frame_in_order(videos: Path, tmp_path: Path) -> None:
    assert call(videos, tmp_path / "out", "--short-side", "120") == 0
    assert sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").glob("*/*")
    ) == [
        "jump/a",
        "walk/a",
    ]
    files = sorted((tmp_path / "out/walk/a").iterdir())
    assert [file.name for file in files] == [f"img_{n:05d}.jpg" for n in range(1, 13)]
    images = [cv2.imread(str(file)) for file in files]
    assert images[0].shape == (120, 160, 3)
    assert [read_number(image) for image in images] == list(range(12))


def test_goes_on_where_it_was_interrupted(videos: Path, tmp_path: Path) -> None:
    done = tmp_path / "out" / "jump" / "a"
    half = tmp_path / "out" / "walk" / ".a.part"
    for folder in (done, half):
        folder.mkdir(parents=True)
        (folder / "mine.jpg").write_bytes(b"dear")
    assert call(videos, tmp_path / "out") == 0
    assert [path.name for path in done.iterdir()] == ["mine.jpg"]
    assert not half.exists() and len(list((tmp_path / "out/walk/a").iterdir())) == 12


def test_damaged_videos_are_named_and_the_rest_is_done(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (videos / "jump" / "bad.mp4").write_bytes(b"no video")
    cut = write_numbered_video(videos / "walk" / "cut.avi", 100)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    assert call(videos, tmp_path / "out", "--quality", "50") == 1
    told = capsys.readouterr()
    assert "bad.mp4" in told.err and "cut.avi ended at" in told.err
    assert "2 videos are damaged" in told.err
    assert "2 of 4 videos" in told.out
    assert not (tmp_path / "out/jump/bad").exists() and not (tmp_path / "out/walk/cut").exists()
    assert not list((tmp_path / "out").glob("*/.*"))


def test_what_cannot_be_extracted(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert call(tmp_path / "empty", tmp_path / "out") == 2
    assert "holds no video" in capsys.readouterr().err
    write_numbered_video(videos / "jump" / "a.mp4", 3)
    assert call(videos, tmp_path / "out") == 2
    assert "differ only in their suffix" in capsys.readouterr().err


def test_a_full_disk_names_the_file(
    videos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write_bytes(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert call(videos, tmp_path / "out", "--workers", "1") == 1
    line = capsys.readouterr().err
    assert "img_00001.jpg cannot be written: No space left on device; free some space" in line
    assert not list((tmp_path / "out").glob("*/*"))
