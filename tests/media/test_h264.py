"""Films on a disk that gets full, by a limit on the size of files."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from av.error import FFmpegError

from ecolite_stream.errors import ConfigError
from ecolite_stream.media import h264 as film
from ecolite_stream.media.h264 import INDEX_FIRST, PIECES, Mp4Writer, check_encoder
from ecolite_stream.sinks.clips import ClipSink
from ecolite_stream.types import Event, Frame, Image, Prediction
from tests.films import config_of, names, pictures

pytestmark = pytest.mark.timeout(60)


def noise(number: int) -> Image:
    return np.random.default_rng(number).integers(0, 256, (120, 160, 3), dtype=np.uint8)


@contextlib.contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("how", [INDEX_FIRST, PIECES])
def test_a_full_disk_is_an_error(tmp_path: Path, how: str) -> None:
    writer = Mp4Writer(tmp_path / "a.mp4", how)
    with (
        files_no_larger_than(2_000_000),
        pytest.raises(OSError, match=r"a\.mp4: cannot be written: File too large"),
    ):
        for number in range(300):
            writer.add(noise(number), number / 25)
        writer.close()
    with contextlib.suppress(OSError):
        writer.close()
    if how == PIECES:  # up to the last whole piece
        with av.open(str(tmp_path / "a.mp4")) as container, contextlib.suppress(FFmpegError):
            count = 0
            for _ in container.decode(video=0):
                count += 1
        assert count >= 50


def test_a_full_disk_leaves_no_half_clip(tmp_path: Path) -> None:
    sink = ClipSink(config_of(tmp_path))
    event = Event("s@1.000", "s", "b", 1.0, None, 0.9, 0.9, "start")
    with files_no_larger_than(100_000), pytest.raises(OSError, match="File too large"):
        for number in range(300):
            sink.show(Frame("s", number, number / 25, noise(number)), True)
            if number % 25 == 0:
                sink.send(Prediction("s", 0, number / 25, "b", 0.9, (("b", 0.9),), 1.0))
            if number == 50:
                sink.send(event)
    sink.close()
    assert names(tmp_path) == []


def test_a_film_without_a_picture_is_no_file(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "a.mp4", INDEX_FIRST)
    assert not writer.close()
    assert names(tmp_path) == []


def test_pictures_that_are_not_later_are_left_out(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "a.mp4", INDEX_FIRST, {"title": "h\u00fcpfen"})
    for time_s in (0.0, 0.0, 0.5, 0.4, 1.0):
        writer.add(noise(0), time_s)
    assert writer.close()
    assert [time_s for time_s, _ in pictures(tmp_path / "a.mp4")] == [0.0, 0.5, 1.0]


def test_an_ffmpeg_that_cannot_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_encoder("video")
    monkeypatch.setattr(film, "CODEC", "libnone")
    with pytest.raises(ConfigError, match="video needs FFmpeg's libnone"):
        check_encoder("video")
