"""Videos of all kinds, damaged ones among them."""

from __future__ import annotations

import json
import logging
import re
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.model.bundle import Bundle
from ecolite_stream.types import FloatArray
from tests.app.runs import Command, use
from tests.fakes import DrawnNumberEngine
from tests.videos import packet_places, write_numbered_video

pytestmark = pytest.mark.timeout(60)


def silent(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16_000))


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("none.mp4", lambda path: None, "no such file"),
        ("text.avi", lambda path: path.write_text("hello\n" * 100), "holds no video"),
        ("empty.mp4", lambda path: path.touch(), "the file is empty (0 bytes)"),
        ("sound.wav", silent, "holds sound but no video"),
        ("folder", lambda path: path.mkdir(), "is a directory"),
    ],
)
def test_what_is_no_video_ends_with_3(
    ecolite: Command, tmp_path: Path, name: str, make: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / name
    make(path)
    result = ecolite("--source", path)
    assert result.exit_code == 3
    assert result.error.startswith(f"{path}: ")
    assert words in result.error


def test_a_video_cut_off_in_the_middle(ecolite: Command, tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "film.avi", 250)
    size = int(path.stat().st_size * 0.6)
    whole = sum(start + length <= size for start, length in packet_places(path))
    path.write_bytes(path.read_bytes()[:size])
    result = ecolite("--source", path, "--json")
    assert result.exit_code == 0
    assert 0 < whole - result.predictions[-1]["frame"] < 14
    (line,) = result.err.splitlines()
    assert re.fullmatch(
        rf"warning: {path} ended at \d\.\d s of 10\.0 s: the file seems cut off", line
    )


def test_a_resolution_that_changes(ecolite: Command, tmp_path: Path) -> None:
    path = tmp_path / "film.ts"
    with path.open("wb") as file:
        for index, size in enumerate([(160, 120), (96, 64)]):
            part = tmp_path / f"{index}.ts"
            write_numbered_video(part, 25, size, codec="libx264", first=25 * index)
            file.write(part.read_bytes())
    result = ecolite("--source", path, "--json")
    assert result.exit_code == 0
    assert [p["frame"] for p in result.predictions] == [10, 25, 35]
    assert "Traceback" not in result.err


def test_a_variable_frame_rate(ecolite: Command, tmp_path: Path) -> None:
    """Labels come by time, not by frames."""
    times_s = [*(i / 50 for i in range(100)), *(2 + i / 5 for i in range(10))]
    path = write_numbered_video(tmp_path / "film.mkv", len(times_s), times_s=times_s)
    result = ecolite("--source", path, "--json", "--every", 1)
    assert (result.exit_code, result.err) == (0, "")
    found = [p["time_s"] for p in result.predictions]
    assert found == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.11)


def phone(path: Path) -> Path:
    """A video whose display matrix asks for a quarter turn."""
    write_numbered_video(path, 30, (160, 96))
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    for offset, value in ((0, 0), (4, 1), (12, -1), (16, 0)):
        struct.pack_into(">i", data, matrix + offset, value << 16)
    path.write_bytes(data)
    return path


def test_a_rotated_phone_video(
    ecolite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network sees it upright: the number is read after turning it back."""

    class Turned(DrawnNumberEngine):
        def encode(self, images: FloatArray) -> FloatArray:
            return super().encode(np.rot90(images, axes=(2, 3)))  # counterclockwise

    engines: list[Turned] = []

    def make(bundle: Bundle) -> Turned:
        engines.append(Turned(bundle.spec))
        return engines[-1]

    use(monkeypatch, make)
    result = ecolite("--source", phone(tmp_path / "phone.mp4"), "--json")
    assert (result.exit_code, result.err) == (0, "")
    assert [p["frame"] for p in result.predictions] == [10, 25]
    assert {10, 25} <= set(engines[0].numbers)


@pytest.mark.parametrize(
    ("pixel_format", "size"), [("gray", (160, 120)), ("gray", (51, 37)), ("yuv444p", (161, 1))]
)
def test_grey_and_odd_sizes(
    ecolite: Command, tmp_path: Path, pixel_format: str, size: tuple[int, int]
) -> None:
    path = write_numbered_video(
        tmp_path / "film.mkv", 30, size, codec="ffv1", pixel_format=pixel_format
    )
    result = ecolite("--source", path, "--json")
    assert (result.exit_code, result.err) == (0, "")
    assert len(result.predictions) == 2


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_a_very_short_video_gets_one_label(
    ecolite: Command, tmp_path: Path, num_frames: int
) -> None:
    path = write_numbered_video(tmp_path / "film.mp4", num_frames, codec="libx264")
    result = ecolite("--source", path, "--json")
    assert (result.exit_code, result.err) == (0, "")
    (only,) = result.predictions
    assert only["frame"] == num_frames - 1


def test_a_name_that_is_no_text(ecolite: Command, film: Path, tmp_path: Path) -> None:
    """File names are bytes."""
    path = tmp_path / "caf\udce9 %s.mp4"
    film.rename(path)
    for args in ([], ["--json"]):
        result = ecolite("--source", path, "--source", path, *args)
        assert (result.exit_code, result.err) == (0, "")
        assert len(result.out.splitlines()) == 10


HOSTILE = "caf\udce9 %s\n\x1b[31merror: forged\x1b]0;title\x07.mp4"
SHOWN = r"caf\xe9 %s\n\x1b[31merror: forged\x1b]0;title\x07.mp4"


def test_a_name_reaches_no_terminal_and_forges_no_line(
    ecolite: Command, film: Path, tmp_path: Path
) -> None:
    path, copy = tmp_path / HOSTILE, tmp_path / "out"
    path.write_bytes(film.read_bytes())
    (tmp_path / f"cut{HOSTILE}").write_bytes(film.read_bytes()[:-2000])
    out = tmp_path / "all.jsonl"
    more = ["--json-file", out, "--video", copy, "--clips", copy, "--metrics", "0"]
    result = ecolite("--source", path, "--source", tmp_path / f"cut{HOSTILE}", "--verbose", *more)
    logging.getLogger("ecolite_stream").setLevel(logging.NOTSET)
    assert SHOWN in result.out and SHOWN in result.err
    for text in (result.out, result.err):
        assert "\x1b" not in text and "\x07" not in text and "\udce9" not in text
        assert not any(line.startswith("error: forged") for line in text.splitlines())
    streams = {json.loads(line)["stream"] for line in out.read_text().splitlines()}
    assert f"{tmp_path}/{SHOWN}" in streams
    assert any(SHOWN.replace("\\", "%5C")[:8] in video.name for video in copy.iterdir())
    for args in (["--check-config"], ["--engine", HOSTILE], ["--bundle", path]):
        said = ecolite("--source", path, *args)
        assert "\x1b" not in said.out + said.err and "\x07" not in said.out + said.err
    gone = ecolite("--source", tmp_path / f"none{HOSTILE}")
    assert gone.exit_code == 3
    assert gone.err.startswith("error: ") and len(gone.err.splitlines()) == 1
