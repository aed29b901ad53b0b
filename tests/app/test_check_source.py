"""`ecolite-stream check`: what is measured of a source, and what is said about it."""

from __future__ import annotations

import dataclasses
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from ecolite_stream.app import cli
from ecolite_stream.app.check_source import advice, as_dict, as_lines
from ecolite_stream.app.entry import run
from ecolite_stream.errors import SourceError
from ecolite_stream.sources import UrlSource, open_source
from ecolite_stream.sources.container import ContainerSource
from ecolite_stream.sources.probe import (
    Measured,
    Probe,
    Seen,
    clock_rate,
    jumps,
    keyframe_s,
    times_of,
)
from tests.videos import packet_places, write_numbered_video

pytestmark = pytest.mark.timeout(60)

GOOD = Measured(
    source="rtsp://door/live",
    live=True,
    codec="h264",
    width=640,
    height=360,
    fps_stated=25.0,
    fps=24.9,
    frames=220,
    damaged=0,
    first_picture_s=0.4,
    watched_s=9.0,
    keyframe_s=2.0,
    is_reordered=False,
    has_times=True,
    jumps=0,
    clock_rate=1.001,
    longest_silence_s=0.1,
    decode_cores=0.03,
)


def test_a_good_source_has_nothing_to_change() -> None:
    assert list(advice(GOOD)) == []
    assert as_dict(GOOD)["change"] == []
    lines = list(as_lines(GOOD))
    assert lines[0] == "rtsp://door/live: usable, live"
    assert "  video      h264, 640x360, states 25 frames/s, sends 24.9" in lines
    assert "  clock      runs evenly, 1.001 s a second" in lines
    assert lines[-1] == "  change     nothing"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"keyframe_s": 10.0}, "a keyframe every 10 s: each reconnect takes as long"),
        ({"keyframe_s": None}, "no second keyframe in 9 s"),
        ({"fps": 12.0}, "the stream states 25 frames a second and sends 12"),
        ({"fps": 5.0, "fps_stated": 5.0}, "quick actions fall between"),
        ({"has_times": False, "clock_rate": None}, "no timestamps: arrival times are used"),
        ({"jumps": 2}, "timestamps jump (2 times)"),
        ({"clock_rate": 0.8}, "timestamps run at 0.80 of this machine's clock"),
        ({"longest_silence_s": 3.0}, "no data for 3.0 s"),
        ({"is_reordered": True}, "B-frames delay every picture"),
        ({"decode_cores": 0.8}, "decoding takes 80% of a core"),
        ({"damaged": 7}, "7 packets were damaged"),
        ({"broke": "gone"}, "the source failed: gone"),
        ({"darkest": 0.0, "brightest": 12.0}, "the picture is black"),
        ({"darkest": 240.0, "brightest": 255.0}, "the picture is white"),
        ({"darkest": 100.0, "brightest": 106.0}, "is flat: values from 100 to 106 of 255"),
    ],
)
def test_what_to_change(what: dict[str, object], words: str) -> None:
    (line,) = advice(dataclasses.replace(GOOD, **what))  # type: ignore[arg-type]
    assert words in line


@pytest.mark.parametrize(
    "what",
    [
        {"keyframe_s": 10.0},
        {"longest_silence_s": 9.0},
        {"is_reordered": True},
        {"decode_cores": 1.01},
        {"fps": 18.8},
    ],
)
def test_what_does_not_matter_in_a_recording(what: dict[str, object]) -> None:
    recording = dataclasses.replace(GOOD, live=False, clock_rate=None)
    assert list(advice(dataclasses.replace(recording, **what))) == []  # type: ignore[arg-type]


def test_pixels_that_are_not_square_are_shown() -> None:
    lines = list(as_lines(dataclasses.replace(GOOD, width=704, height=576, pixel_aspect=16 / 11)))
    assert "  picture    values from 0 to 255 of 255; its pixels are 16:11, so 1024x576" in lines


# Numbers out of packets


def packets(
    stamps_s: Sequence[float | None], arrived_s: Sequence[float], key_every: int = 50
) -> list[Seen]:
    return [
        Seen(arrived, stamp, number % key_every == 0)
        for number, (stamp, arrived) in enumerate(zip(stamps_s, arrived_s, strict=True))
    ]


def test_keyframes() -> None:
    times_s = [n / 25 for n in range(200)]
    assert keyframe_s(packets(times_s, times_s), times_s) == pytest.approx(2.0)
    assert keyframe_s(packets(times_s, times_s, key_every=999), times_s) is None


@pytest.mark.parametrize("rate", [1.0, 0.5, 1.25])
def test_the_clock_is_compared_after_what_was_buffered(rate: float) -> None:
    """Three seconds come at once, then in step."""
    arrived_s = [100 + max(n / 25 - 3, 0.001 * n) for n in range(250)]
    stamps_s = [max(n / 25 - 3, 0.0) * rate for n in range(250)]
    assert clock_rate(packets(stamps_s, arrived_s)) == pytest.approx(rate, rel=0.01)


def test_what_comes_in_pieces_says_nothing_of_the_clock() -> None:
    arrived_s = [100.0 + 4 * (n // 100) + 0.001 * n for n in range(300)]
    assert clock_rate(packets([n / 25 for n in range(300)], arrived_s)) is None


def test_the_first_packets_may_have_no_timestamps() -> None:
    """RTSP's have none until its sender says what time it is."""
    arrived_s = [100 + max(n / 25 - 3, 0.001 * n) for n in range(250)]
    stamps_s = [n / 25 if n > 20 else None for n in range(250)]
    timed, times_s = times_of(packets(stamps_s, arrived_s), has_times=True)
    assert (len(timed) - 1) / (times_s[-1] - times_s[0]) == pytest.approx(25)
    timed, times_s = times_of(packets(stamps_s, arrived_s), has_times=False)
    assert (len(timed) - 1) / (times_s[-1] - times_s[0]) == pytest.approx(25)


def test_jumps() -> None:
    steady_s = [n / 25 for n in range(50)]
    assert jumps(packets(steady_s, steady_s)) == 0
    for shift_s in (-1.0, 30.0):
        jumped_s = [*steady_s, *(2 + shift_s + t for t in steady_s)]
        assert jumps(packets(jumped_s, [*range(100)])) == 1
    slideshow_s = [4.0 * n for n in range(9)]
    assert jumps(packets(slideshow_s, slideshow_s)) == 0


# Real sources


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("check") / "film.ts"
    return write_numbered_video(path, 300, codec="libx264", g=50, bf=0)


@contextmanager
def sender(content: bytes, seconds: float) -> Iterator[str]:
    """A server on loopback that takes so long to send so much, and then says nothing more."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def send() -> None:
            connection, _ = listener.accept()
            with connection:
                piece = len(content) // 200 + 1
                for start in range(0, len(content), piece):
                    connection.sendall(content[start : start + piece])
                    if ended.wait(seconds / 200):
                        return
                ended.wait(30)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        yield f"tcp://me:secret@127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        thread.join(10)


def probe(source: str, name: str = "it") -> Probe:
    return Probe(name, lambda: cast(ContainerSource, open_source(source, name=name)))


def test_a_live_stream(film: Path) -> None:
    with sender(film.read_bytes(), 5) as url:
        measured = probe(url).measure(8)
    assert measured.live
    assert (measured.codec, measured.width, measured.height) == ("h264", 160, 120)
    assert measured.fps == pytest.approx(25, rel=0.02)
    assert measured.keyframe_s == pytest.approx(2.0)
    assert measured.frames > 100
    assert measured.decode_cores is not None and measured.decode_cores > 0
    assert not measured.is_reordered


def test_a_silent_server_ends_in_time() -> None:
    """Opening blocks for ten seconds; whoever asks does not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(SourceError, match=r"it: it does not open in 0\.5 s"):
            probe(url).measure(0.5)


def test_a_recording(film: Path) -> None:
    measured = probe(str(film)).measure()
    assert not measured.live and measured.clock_rate is None
    assert measured.frames > 100
    assert list(advice(measured)) == []


def test_b_frames(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "b.mp4", 60, codec="libx264", bf=2)
    assert probe(str(path)).measure().is_reordered


def test_a_recording_is_not_judged_as_a_camera(tmp_path: Path) -> None:
    """A browser's: uneven, with a pause of 3 s. How fast it decodes says nothing of its frames."""
    times_s = [n / 20 + 3 * (n > 40) for n in range(120)]
    path = write_numbered_video(tmp_path / "rec.webm", 120, codec="libvpx", times_s=times_s)
    measured = probe(str(path)).measure()
    assert measured.fps == pytest.approx(119 / 8.95, rel=0.01)
    assert measured.decode_cores is not None and measured.decode_cores < 0.5
    assert measured.keyframe_s is not None and measured.keyframe_s > 0.3
    assert measured.jumps == 0
    assert list(advice(measured)) == []


def test_a_recording_that_begins_between_keyframes(tmp_path: Path) -> None:
    film = write_numbered_video(tmp_path / "film.ts", 300, codec="libx264", g=250, sc_threshold=0)
    content = film.read_bytes()
    (tmp_path / "cut.ts").write_bytes(content[: 188 * 3] + content[packet_places(film)[20][0] :])
    measured = probe(str(tmp_path / "cut.ts")).measure()
    assert (measured.width, measured.height) == (160, 120)
    assert measured.damaged == 0
    assert measured.skipped_at_start > 20
    (line,) = advice(measured)
    assert "starts between keyframes" in line
    assert "cable" not in line


@pytest.mark.parametrize(("value", "words"), [(16, "black"), (255, "white"), (120, "flat")])
def test_the_picture_is_looked_at(tmp_path: Path, value: int, words: str) -> None:
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), np.full((60, 80, 3), value, np.uint8))
    (line,) = advice(probe(str(path)).measure())
    assert f"the picture is {words}" in line


def test_a_programming_error_is_not_hidden() -> None:
    def breaks() -> UrlSource:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Probe("it", breaks).measure(5)


# The command


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    handlers = logging.root.handlers[:]

    def check(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            run(cli.stream, ["check", *args])
        return cast(int, ended.value.code), *capsys.readouterr()

    yield check
    logging.root.handlers[:] = handlers


def test_as_json(check: Callable[..., tuple[int, str, str]], film: Path) -> None:
    code, out, err = check("--source", str(film), "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert facts["usable"] and facts["source"] == str(film) and facts["change"] == []
    assert facts["keyframe_s"] == 2.0


def test_one_that_cannot_be_used_ends_with_3(check: Callable[..., tuple[int, str, str]]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{unused.getsockname()[1]}/live"
        code, out, err = check("--source", f"rtsp://me:secret@{where}?token=hush", "--json")
    shown = f"rtsp://{where}?token=***"
    assert code == 3
    assert err == f"error: {json.loads(out)['error']}\n"
    assert json.loads(out) == {
        "source": shown,
        "usable": False,
        "error": f"{shown}: connection refused; check host and port, and that it is running",
    }


def test_options_before_the_word_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(cli.stream, ["--source", "pattern", "check", "--source", "pattern"])
    assert ended.value.code == 2
    assert "put options after the subcommand: ecolite-stream check" in capsys.readouterr().err
