"""Streams as videos with their labels: every frame, at its time, with what was known then."""

from __future__ import annotations

import dataclasses
import itertools
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.media.overlay import draw
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import opened
from ecolite_stream.sinks.video import CAPACITY, HELD, VideoSink
from ecolite_stream.sources import FileSource
from ecolite_stream.types import Box, Event, Frame, Image, Prediction
from tests.conftest import ROOT
from tests.fakes import ListSink
from tests.films import CONFIG, SPEC, ActionEngine, numbers, pictures
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(60)

FPS = 25
SIZE = (160, 120)
A = Prediction("s", 0, 0.0, "a", 0.5, (("a", 0.5),), 1.0)
B = Prediction("s", 0, 1.0, "b", 1.0, (("b", 1.0),), 1.0)
EVENT = Event("s@1.000", "s", "b", 1.0, None, 1.0, 1.0, "start")


def grey() -> Image:
    return np.full((*reversed(SIZE), 3), 200, np.uint8)


def frames(first: int, last: int, stream: str = "s") -> list[Frame]:
    return [Frame(stream, number, number / FPS, grey()) for number in range(first, last)]


def bar_px(image: Image) -> int:
    """How long the green bar is."""
    rows = image[-30:].astype(int)
    return int(((rows[..., 1] - rows[..., 2]) > 60).sum(axis=1).max())


def has_event(image: Image) -> bool:
    """Whether there is a red dot at the top."""
    top = image[:20].astype(int)
    return bool((top[..., 2] - top[..., 1]).max() > 60)


def test_what_is_drawn() -> None:
    before = grey()
    before.flags.writeable = False
    plain = draw(before, 1.0, None, None)
    half = draw(before, 1.0, A, None)
    full = draw(before, 2.5, B, EVENT)
    assert [bar_px(image) for image in (plain, half, full)] == [0, 80, 160]
    assert [has_event(image) for image in (plain, half, full)] == [False, False, True]
    assert (half[40:80] == 200).all()
    assert not np.array_equal(draw(before, 1.0, dataclasses.replace(A, label="x"), None), half)
    assert not np.array_equal(draw(before, 2.6, B, EVENT), full)


@pytest.mark.parametrize("size", [(16, 8), (33, 65), (1920, 1080)])
def test_any_size_and_any_letters(size: tuple[int, int]) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    event = dataclasses.replace(EVENT, label="h\u00fcpfen")
    drawn = draw(image, 1.0, dataclasses.replace(A, label="\u6b69\u304f", score=1.0000001), event)
    assert drawn.shape == image.shape


def test_a_run_as_a_whole(tmp_path: Path) -> None:
    """At full speed: every frame, and each with the label of its time."""
    source, path = tmp_path / "film.mp4", tmp_path / "out.mp4"
    write_numbered_video(source, 200, (320, 240))
    Pipeline(
        [opened(FileSource(source, name="s"))],
        lambda: ActionEngine(range(75, 126)),
        SPEC,
        [ListSink(), VideoSink(path, ["s"])],
        CONFIG,
    ).run()
    shown = pictures(path)
    np.testing.assert_allclose([t for t, _ in shown], np.arange(200) / FPS, atol=1e-3)
    assert {image.shape for _, image in shown} == {(240, 320, 3)}
    events = [number for number, (_, image) in enumerate(shown) if has_event(image)]
    assert events == list(range(events[0], events[-1] + 1))
    assert 75 + 12 <= events[0] <= 75 + 38  # told once it has lasted, at a prediction
    assert 126 - 1 <= events[-1] <= 126 + 13


def test_times_of_a_variable_rate(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.5, 0.52, 2.0, 2.04]
    source, path = tmp_path / "film.mp4", tmp_path / "out.mp4"
    write_numbered_video(source, len(times), times_s=times)
    with VideoSink(path, ["s"]) as sink:
        for frame in FileSource(source, name="s"):
            sink.show(frame, False)
    np.testing.assert_allclose([t for t, _ in pictures(path)], times, atol=1e-3)


def test_frames_wait_for_the_prediction_after_them(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoSink(path, ["s"]) as sink:
        for frame in frames(0, HELD):
            sink.show(frame, False)
        sink.send(A)
        sink.send(B)
        sink.send(EVENT)
    shown = [image for _, image in pictures(path)]
    assert len(shown) == HELD
    assert [bar_px(shown[number]) for number in (0, 24, 25, HELD - 1)] == pytest.approx(
        [80, 80, 160, 160], abs=4
    )
    assert [has_event(shown[number]) for number in (24, 25)] == [False, True]


def test_without_any_prediction_a_recording_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoSink(path, ["s"]) as sink:
        for frame in frames(0, 4 * CAPACITY):
            sink.show(frame, False)
    assert len(pictures(path)) == 4 * CAPACITY


def test_a_live_stream_is_not_held_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, go = tmp_path / "out.mp4", threading.Event()

    def slow() -> Image:
        go.wait(20)
        return grey()

    with VideoSink(path, ["s"]) as sink:
        for number in range(2 * CAPACITY):
            sink.show(Frame("s", number, number / FPS, slow), True)
        go.set()
    count = len(pictures(path))
    assert CAPACITY <= count <= CAPACITY + 1
    assert f"{path}: {2 * CAPACITY - count} frames are missing" in caplog.text


def test_large_pictures_that_wait_are_bounded_by_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoded pictures and arrays, live ones and recordings."""
    film = write_numbered_video(tmp_path / "film.mp4", 40, SIZE, codec="libx264")
    decoded = list(FileSource(str(film)))
    pixels, padded = SIZE[0] * SIZE[1], decoded[1].num_bytes
    assert pixels * 1.5 <= padded < pixels * 3
    decoded[0].image  # noqa: B018
    assert decoded[0].num_bytes == pixels * 3
    monkeypatch.setattr("ecolite_stream.sinks.video.MAX_BYTES", pixels * 3 + 8 * padded)
    sink = VideoSink(tmp_path / "live.mp4", ["s"])  # its thread does not run
    shown = [sink.show(Frame("s", n, n / FPS, f.pixels), True) for n, f in enumerate(decoded)]
    assert shown == [True] * 9 + [False] * 31
    with VideoSink(tmp_path / "out.mp4", ["s"]) as sink:
        for frame in decoded:
            sink.show(Frame("s", frame.index, frame.time_s, frame.pixels), False)
    assert len(pictures(tmp_path / "out.mp4")) == 40


def test_time_that_begins_again_and_another_size(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    big = np.full((240, 320, 3), 200, np.uint8)
    with VideoSink(path, ["s"]) as sink:
        for frame in frames(100, 110):
            sink.show(frame, True)
        sink.send(dataclasses.replace(B, time_s=4.4))
        for number in range(10):
            sink.show(Frame("s", number, number / FPS, big), True)
        sink.send(dataclasses.replace(A, time_s=0.2))
    shown = pictures(path)
    np.testing.assert_allclose([t for t, _ in shown], np.arange(20) / FPS, atol=1e-3)
    assert {image.shape for _, image in shown} == {(120, 160, 3)}
    assert bar_px(shown[-1][1]) == pytest.approx(80, abs=4)


def test_odd_sizes_are_made_even(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoSink(path, ["s"]) as sink:
        sink.show(Frame("s", 0, 0.0, np.zeros((61, 81, 3), np.uint8)), True)
    assert pictures(path)[0][1].shape == (60, 80, 3)


def test_several_streams_and_runs_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "videos"
    for _ in range(2):
        with VideoSink(folder, ["a/b", "c"]) as sink:
            for stream in ("a/b", "c"):
                sink.show(Frame(stream, 0, 0.0, grey()), True)
    assert sorted(path.name for path in folder.iterdir()) == [
        "a%2Fb-2.mp4",
        "a%2Fb.mp4",
        "c-2.mp4",
        "c.mp4",
    ]


def test_two_runs_at_once_have_files_of_their_own(tmp_path: Path) -> None:
    with VideoSink(tmp_path, ["s"]) as one, VideoSink(tmp_path, ["s"]) as other:
        for sink in (one, other):
            assert isinstance(sink, VideoSink)
            sink.show(Frame("s", 0, 0.0, grey()), True)
    assert [len(pictures(path)) for path in sorted(tmp_path.iterdir())] == [1, 1]


def test_a_file_that_another_run_makes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "film.mp4"
    with VideoSink(path, ["s"]) as sink:
        path.symlink_to(target)
        assert isinstance(sink, VideoSink)
        sink.show(Frame("s", 0, 0.0, grey()), True)
    assert not target.exists()
    assert sink._videos["s"].failure == f"{path}: another run made it; choose another file"
    with pytest.raises(ConfigError, match="exists already"):  # a link to nothing
        VideoSink(path, ["s"])


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "film.mp4", 3, codec="libx264")
    with pytest.raises(ConfigError, match=r"film\.mp4 exists already; choose another"):
        VideoSink(path, ["s"])
    with pytest.raises(ConfigError, match="expected a folder for several streams"):
        VideoSink(tmp_path / "new.mp4", ["s", "t"])
    with pytest.raises(ConfigError, match="cannot be written to"):
        VideoSink(path / "folder", ["s"])
    path.with_suffix(".txt").touch()
    with pytest.raises(ConfigError, match=r"film\.txt is a file; name a new \.mp4 file"):
        VideoSink(path.with_suffix(".txt"), ["s"])
    assert numbers(path) == [0, 1, 2]


def test_one_that_cannot_be_written_is_an_error_once(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with VideoSink(folder, ["s"]) as sink:
        folder.rmdir()
        for frame in frames(0, HELD + 2):
            sink.show(frame, True)
        assert isinstance(sink, VideoSink)
        while not sink._videos["s"].failure:
            time.sleep(0.01)
        with pytest.raises(OSError, match=r"cannot be written: No such file.* ends there"):
            sink.send(A)
        sink.send(A)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_it_plays_however_the_run_ends(tmp_path: Path, kind: signal.Signals) -> None:
    """Interrupted it has all that was shown; killed, all but the last seconds."""
    path = tmp_path / "out.mp4"
    program = f"""
import itertools, sys
from pathlib import Path
from ecolite_stream.sinks.video import VideoSink
from ecolite_stream.types import Frame
from tests.videos import numbered_image
import signal
signal.signal(signal.SIGTERM, signal.default_int_handler)
with VideoSink(Path({str(path)!r}), ["s"]) as sink:
    for number in itertools.count():
        sink.show(Frame("s", number, number / 25, numbered_image(number % 1000)), False)
        if number == 400:
            print("go", flush=True)
            sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        time.sleep(1)  # what is left in the queue waits for a prediction
        process.send_signal(kind)
        process.wait(20)
    times = [time_s for time_s, _ in pictures(path)]
    assert len(times) == 401 if kind == signal.SIGTERM else 250 <= len(times) <= 401
    np.testing.assert_allclose(times, np.arange(len(times)) / FPS, atol=1e-3)


def test_in_a_hurry_it_leaves_out_what_takes_too_long(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, now_s = tmp_path / "out.mp4", itertools.count(step=0.1)
    with VideoSink(path, ["s"]) as sink, pytest.MonkeyPatch.context() as patch:
        assert isinstance(sink, VideoSink)
        for frame in frames(0, HELD):
            sink.show(frame, False)
        patch.setattr(time, "monotonic", lambda: next(now_s))
        sink.hurry()
        sink.close()
    count = len(pictures(path))
    assert 0 < count < 10
    assert f"{HELD - count} frames are missing" in caplog.text


def test_damaged_pictures_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def damaged() -> Image:
        raise SourceError("a picture cannot be turned into BGR")

    path = tmp_path / "out.mp4"
    with VideoSink(path, ["s"]) as sink:
        for frame in frames(0, 10):
            broken = dataclasses.replace(frame, pixels=damaged)
            sink.show(broken if frame.index % 2 else frame, False)
    np.testing.assert_allclose([t for t, _ in pictures(path)], np.arange(5) * 2 / FPS, atol=1e-3)
    assert "5 frames are missing" in caplog.text


def test_a_bug_in_drawing_does_not_hold_a_recording_up(tmp_path: Path) -> None:
    def broken() -> Image:
        raise ZeroDivisionError

    with VideoSink(tmp_path / "out.mp4", ["s"]) as sink:
        for frame in frames(0, 3 * CAPACITY):
            sink.show(dataclasses.replace(frame, pixels=broken), False)
        with pytest.raises(OSError, match="ZeroDivisionError; the video ends there"):
            sink.send(A)


def green_px(image: Image, box: Box) -> int:
    """Count the green pixels on the left edge of a box."""
    width, height = SIZE
    rows = slice(round(box.y * height) + 30, round((box.y + box.height) * height) - 2)
    edge = image[rows, max(0, round(box.x * width) - 1) : round(box.x * width) + 2].astype(int)
    return int(((edge[..., 1] - edge[..., 2]) > 40).any(axis=1).sum())


def test_each_view_has_its_box_and_its_own_event(tmp_path: Path) -> None:
    left, right = Box(0.05, 0.1, 0.3, 0.6), Box(0.6, 0.1, 0.3, 0.6)
    door = dataclasses.replace(A, view="door", box=left)
    gate = dataclasses.replace(B, view="gate", box=right, time_s=0.0)
    path = tmp_path / "out.mp4"
    with VideoSink(path, ["s"]) as sink:
        sink.send(door)
        sink.send(gate)
        sink.send(dataclasses.replace(EVENT, view="gate"))
        sink.send(dataclasses.replace(EVENT, view="door", kind="end"))
        for frame in frames(0, 2):
            sink.show(frame, False)
        sink.send(dataclasses.replace(gate, time_s=10.0))
        sink.show(Frame("s", 251, 10.04, grey()), False)
    (_, first), _, (_, last) = pictures(path)
    assert green_px(first, left) > 30 and green_px(first, right) > 30
    assert bar_px(first) == SIZE[0]  # the surest
    assert has_event(first)  # the end of the door's event does not end the gate's
    assert green_px(last, left) == 0 and green_px(last, right) > 30  # the door is gone
