from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from ecolite_stream.errors import SourceError
from ecolite_stream.sources import FileSource
from tests.videos import packet_places, read_number, write_numbered_video

NUM_FRAMES = 250
NAME = "film"


def cut(path: Path, share: float) -> int:
    """Keep the first part of a file; how many frames are in it completely."""
    size = int(path.stat().st_size * share)
    whole = sum(start + length <= size for start, length in packet_places(path))
    path.write_bytes(path.read_bytes()[:size])
    return whole


def spoil(path: Path, *numbers: int) -> None:
    """Overwrite the contents of some packets."""
    data = bytearray(path.read_bytes())
    places = packet_places(path)
    for number in numbers:
        start, length = places[number]
        data[start + 8 : start + length] = b"\xa5" * (length - 8)
    path.write_bytes(data)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("share", [0.5, 0.61803])
@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".avi", "mpeg4", {}),
        (".avi", "mjpeg", {}),
        (".mkv", "libx264", {}),
        (".mp4", "libx264", {"movflags": "faststart"}),
        (".mp4", "mjpeg", {"movflags": "faststart"}),
    ],
)
def test_a_file_cut_off_gives_all_frames_up_to_there(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    suffix: str,
    codec: str,
    options: dict[str, str],
    share: float,
) -> None:
    path = write_numbered_video(tmp_path / f"film{suffix}", NUM_FRAMES, codec=codec, **options)
    whole = cut(path, share)
    with FileSource(path, name=NAME) as source:
        numbers = [read_number(frame.image) for frame in source]
    assert 0 < whole < NUM_FRAMES
    assert numbers == list(range(whole))
    (record,) = caplog.records
    assert record.getMessage() == (
        f"film ended at {whole / 25:.1f} s of 10.0 s: the file seems cut off"
    )


@pytest.mark.timeout(60)
def test_with_frames_out_of_order_the_last_few_may_have_holes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_numbered_video(
        tmp_path / "film.mp4", NUM_FRAMES, codec="libx264", bf=3, movflags="faststart"
    )
    whole = cut(path, 0.5)
    with FileSource(path, name=NAME) as source:
        numbers = [read_number(frame.image) for frame in source]
    assert len(numbers) == whole
    assert numbers[:-4] == list(range(whole - 4))
    assert numbers == sorted(set(numbers))
    assert len(caplog.records) == 1


@pytest.mark.timeout(60)
def test_a_transport_stream_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_numbered_video(tmp_path / "film.ts", NUM_FRAMES, codec="libx264")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 376 * 188 + 100])
    with FileSource(path, name=NAME) as source:
        frames = list(source)
    numbers = [read_number(frame.image) for frame in frames[:-1]]  # the last one is torn
    assert numbers == list(range(len(numbers)))
    assert NUM_FRAMES * 0.4 < len(numbers) < NUM_FRAMES * 0.6
    (record,) = caplog.records
    assert record.getMessage().startswith("film ended at ")
    assert "cut off" in record.getMessage()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("listed", ["cam.m3u8", "cam.ffconcat"])
def test_pieces_muxed_on_their_own_lose_no_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, listed: str
) -> None:
    """Each piece begins its counters and timestamps anew, which marks whole packets as damaged."""
    for n in range(4):
        write_numbered_video(
            tmp_path / f"s{n}.ts", 25, codec="libx264", bf=2, g=25, first=25 * n, format="mpegts"
        )
    pieces = "".join(f"#EXT-X-DISCONTINUITY\n#EXTINF:1.0,\ns{n}.ts\n" for n in range(4))
    (tmp_path / "cam.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n{pieces}#EXT-X-ENDLIST\n"
    )
    (tmp_path / "cam.ffconcat").write_text(
        "ffconcat version 1.0\n" + "".join(f"file s{n}.ts\n" for n in range(4))
    )
    with FileSource(tmp_path / listed, name=NAME) as source:
        numbers = [read_number(frame.image) for frame in source]
    assert numbers == list(range(100))
    assert source.packets_skipped == 0
    assert "damaged" not in caplog.text
    assert "cut off" not in caplog.text


@pytest.mark.timeout(60)
@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
def test_damaged_packets_are_skipped_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    path = write_numbered_video(tmp_path / f"film{suffix}", 100, codec="mjpeg")
    spoil(path, 20, 21, 60)
    with FileSource(path, name=NAME) as source:
        frames = list(source)
    expected = [number for number in range(100) if number not in (20, 21, 60)]
    assert [read_number(frame.image) for frame in frames] == expected
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in expected])
    assert [frame.index for frame in frames] == list(range(97))
    assert source.packets_skipped == 3
    (record,) = caplog.records
    assert record.getMessage().startswith("film: skipped damaged video at 0.8 s")


@pytest.mark.timeout(60)
def test_decoding_goes_on_at_the_next_key_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_numbered_video(tmp_path / "film.mp4", 100, codec="libx264", g=10, sc_threshold=0)
    spoil(path, 34)
    with FileSource(path, name=NAME) as source:
        frames = list(source)
    assert frames[-1].time_s == pytest.approx(3.96)
    good = [f for f in frames if f.time_s < 34 / 25 - 0.01 or f.time_s > 40 / 25 - 0.01]
    assert [read_number(frame.image) for frame in good] == [*range(34), *range(40, 100)]
    assert len(caplog.records) == 1


def test_streams_that_come_up_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_numbered_video(tmp_path / "film.ts", 30, codec="libx264")
    opener = av.open
    monkeypatch.setattr("av.open", lambda *args, **kwargs: Surprised(opener(*args, **kwargs)))
    with FileSource(path, name=NAME) as source:
        assert [read_number(frame.image) for frame in source] == list(range(30))
    assert not caplog.records


class Surprised:
    """A container that ends as PyAV's do when they have met streams they do not know."""

    def __init__(self, inner: av.container.InputContainer) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def demux(self) -> Iterator[object]:
        yield from self._inner.demux()
        raise IndexError("list index out of range")


def test_nothing_decodable_is_an_error(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "film.avi", 20, codec="mjpeg")
    spoil(path, *range(20))
    with (
        pytest.raises(SourceError, match="no frame can be decoded"),
        FileSource(path, name=NAME) as source,
    ):
        list(source)


def test_ffmpeg_stays_silent(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "film.avi", 50)
    spoil(path, 3, 20, 21)
    cut(path, 0.8)
    program = (
        "import sys; from ecolite_stream.sources import open_source\n"
        "print(len([frame.image for frame in open_source(sys.argv[1])]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert int(done.stdout) > 0
    # Python itself prints warnings where logging is not configured.
    said = [line for line in done.stderr.splitlines() if not line.startswith(str(path))]
    assert said == []
