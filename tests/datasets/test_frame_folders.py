"""Which pictures make a clip, in which order, and whether they are whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ecolite_stream.datasets.frame_folders import frame_files, is_whole, read_picture
from ecolite_stream.errors import SourceError
from ecolite_stream.types import Image


def picture() -> Image:
    return np.asarray(np.random.default_rng(0).integers(0, 255, (96, 128, 3)), np.uint8)


def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, picture())[1].tobytes()


@pytest.mark.parametrize(
    "names",
    [
        [f"frame{number}.jpg" for number in range(1, 121)],
        [f"img_{number:05d}.jpg" for number in (1, 2, 99_998, 99_999, 100_000, 100_001)],
        ["a1_2.PNG", "a1_10.jpeg", "a2_1.jpg", "b1_1.jpg"],
        ["1.jpg", "02.jpg", "3.jpg"],
        ["frame.jpg", "frame1.jpg"],
    ],
)
def test_frames_in_the_order_of_their_numbers(tmp_path: Path, names: list[str]) -> None:
    for name in [*reversed(names), "notes.txt", ".frame0.jpg"]:
        (tmp_path / name).touch()
    assert [path.name for path in frame_files(tmp_path)] == names


def test_frames_of_a_prefix(tmp_path: Path) -> None:
    for name in ("img_10.jpg", "img_9.jpg", "flow_x_1.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in frame_files(tmp_path, "img_")] == ["img_9.jpg", "img_10.jpg"]
    with pytest.raises(SourceError, match="no frame whose name begins with 'rgb'; see rgb_prefix"):
        frame_files(tmp_path, "rgb")
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        frame_files(tmp_path / "none")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_that_is_cut_anywhere_is_not_whole(tmp_path: Path, suffix: str) -> None:
    data = encoded(suffix)
    assert is_whole(data) and is_whole(data + b"\0\0trailing")
    lengths = range(len(data) // 50, len(data), len(data) // 20)
    for cut in [*(data[:length] for length in lengths), data[:-1], data[:-2]]:
        assert not is_whole(cut)
        assert not is_whole(cut + bytes(len(data) - len(cut)))  # its space was reserved
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    assert read_picture(path).shape == (96, 128, 3)
    path.write_bytes(data[: len(data) // 3])
    with pytest.raises(SourceError, match="is cut off or damaged; extract"):
        read_picture(path)


def test_the_end_of_a_thumbnail_is_not_the_end_of_its_picture() -> None:
    data, thumbnail = encoded(".jpg"), cv2.imencode(".jpg", picture()[:16, :16])[1].tobytes()
    part = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = data[:2] + part + data[2:]
    assert is_whole(whole)
    assert not is_whole(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n<html>404</html>", "no picture but a web page"),
        (b"anything", "no picture can be decoded"),
    ],
)
def test_what_is_no_picture(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(SourceError, match=message):
        read_picture(tmp_path / "a.jpg")
    with pytest.raises(SourceError, match="No such file"):
        read_picture(tmp_path / "b.jpg")
