"""All clips are checked, once: what passed is remembered until it changes."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecolite_stream.datasets import checked_clips
from ecolite_stream.datasets.checked_clips import cache_folder, faults_of, require_whole
from ecolite_stream.errors import SourceError
from tests.videos import write_numbered_video


def frames(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        cv2.imwrite(str(folder / f"img_{number:05d}.jpg"), np.full((32, 48, 3), number, np.uint8))
    return folder


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the clips that were checked and not remembered."""
    checked: list[str] = []
    fault_of = checked_clips.fault_of

    def noting(clip: Path, prefix: str = "") -> str | None:
        checked.append(clip.name)
        return fault_of(clip, prefix)

    monkeypatch.setattr(checked_clips, "fault_of", noting)
    return checked


def test_every_fault_is_named(tmp_path: Path) -> None:
    good, cut, empty = (frames(tmp_path / name) for name in ("good", "cut", "empty"))
    for file in cut.iterdir():
        file.write_bytes(file.read_bytes()[:200])
    (empty / "img_00002.jpg").write_bytes(b"")
    video = write_numbered_video(tmp_path / "a.avi", 5)
    page = tmp_path / "b.avi"
    page.write_text("<html>404</html>")
    link = tmp_path / "c.avi"
    link.symlink_to("nowhere")
    clips = [good, cut, empty, video, page, link]
    counted: list[int] = []
    remembered = tmp_path / "cache" / "checked.json"
    faults = faults_of(clips, 3, remembered=remembered, on_clip=lambda: counted.append(1))
    assert len(counted) == len(clips)
    assert set(faults) == {cut, empty, page, link}
    assert "img_00001.jpg is cut off or damaged" in faults[cut]
    assert "(and 2 more of its 3 frames)" in faults[cut]
    assert "img_00002.jpg is empty" in faults[empty]
    assert "b.avi" in faults[page] and "c.avi: no such file" in faults[link]


def test_what_passed_is_remembered_until_it_changes(tmp_path: Path, checks: list[str]) -> None:
    clips = [frames(tmp_path / "frames"), write_numbered_video(tmp_path / "a.avi", 5)]
    bad = tmp_path / "bad.avi"
    bad.write_text("no video")
    cache = tmp_path / "checked.json"

    def check() -> list[str]:
        checks.clear()
        assert set(faults_of([*clips, bad], 2, remembered=cache)) == {bad}
        return sorted(checks)

    assert check() == ["a.avi", "bad.avi", "frames"]
    assert check() == ["bad.avi"]
    picture = clips[0] / "img_00002.jpg"
    os.utime(picture, ns=(0, 0))  # as large as before, and another
    assert check() == ["bad.avi", "frames"]
    (clips[0] / "img_00003.jpg").unlink()
    assert check() == ["bad.avi", "frames"]
    for damage in ("[1]", '{"a": 1}', "{", "[" * 100_000):
        cache.write_text(damage)
        assert check() == ["a.avi", "bad.avi", "frames"]
    cache.unlink()
    assert check() == ["a.avi", "bad.avi", "frames"]


def test_a_memory_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    clip = frames(tmp_path / "frames")
    assert faults_of([clip], 1, remembered=tmp_path / "file" / "checked.json") == {}
    assert "the clips are checked again next time" in caplog.text


def test_one_error_for_all_of_them(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.avi" for number in range(7)]
    for path in paths:
        path.touch()
    good = write_numbered_video(tmp_path / "good.avi", 3)
    with pytest.raises(
        SourceError, match=r"^7 of 8 clips .*0\.avi.*4\.avi.*; and 2 more$"
    ) as raised:
        require_whole([*paths, good, good], 2)
    assert "5.avi" not in str(raised.value)


def test_the_cache_is_where_people_keep_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECOLITE_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")
    monkeypatch.delenv("ECOLITE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/ecolite-stream")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "ecolite-stream"
