"""Clips of events: what is in them, where they are, and how many there may be."""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from ecolite_stream.errors import ConfigError
from ecolite_stream.media.clip_names import clip_name
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import opened
from ecolite_stream.sinks.clip_store import DRAWN, MARK, ClipStore
from ecolite_stream.sinks.clips import ClipsConfig, ClipSink
from ecolite_stream.sinks.video import VIEW_KEPT_S
from ecolite_stream.sources import FileSource
from ecolite_stream.types import Box, Event, Frame, Prediction
from ecolite_stream.web.clips import ClipFolder
from tests.fakes import ListSink, ListSource, OutputSink
from tests.films import SPEC, ActionEngine, config_of, names, numbers, pictures
from tests.videos import numbered_image, write_numbered_video

pytestmark = pytest.mark.timeout(60)

FPS = 25


def frames(first: int, last: int, stream: str = "s") -> list[Frame]:
    return [
        Frame(stream, number, number / FPS, numbered_image(number)) for number in range(first, last)
    ]


def prediction(time_s: float, stream: str = "s") -> Prediction:
    return Prediction(stream, 0, time_s, "b", 0.9, (("b", 0.9),), 1.0)


def begin(start_s: float, stream: str = "s") -> Event:
    return Event(f"{stream}@{start_s:.3f}", stream, "b", start_s, None, 0.9, 0.9, "start")


def end(start_s: float, end_s: float, stream: str = "s") -> Event:
    return dataclasses.replace(begin(start_s, stream), end_s=end_s, kind="end")


def play(sink: ClipSink, shown: Sequence[Frame], *events: tuple[float, Event]) -> None:
    """Show frames, with a prediction every half second and events at their times."""
    waiting = list(events)
    for frame in shown:
        sink.show(frame, True)
        if frame.index % 12 == 0:
            sink.send(prediction(frame.time_s))
            while waiting and waiting[0][0] <= frame.time_s:
                sink.send(waiting.pop(0)[1])


def test_a_run_as_a_whole(tmp_path: Path) -> None:
    """At full speed too: the clip has all of its pictures, from the first to the last."""
    film = write_numbered_video(tmp_path / "film.mp4", 250)
    clips = tmp_path / "clips"
    events = OutputSink()
    Pipeline(
        [opened(FileSource(film, name="s"))],
        lambda: ActionEngine(range(75, 126)),
        SPEC,
        [ListSink(), events, ClipSink(config_of(clips))],
        config_of(clips),
    ).run()
    (name,) = names(clips)
    assert name in ClipFolder(clips).names()
    event = events.events("s")[0]
    assert name == clip_name(event.id) == f"{uuid.UUID(event.id)}.mp4"
    start_s = event.start_s
    shown = numbers(clips / name)
    first = round((start_s - 1) * FPS)
    assert shown[0] in range(first, first + 3)
    assert 150 <= shown[-1] <= 162  # a second after the end, at one of the predictions
    assert {b - a for a, b in pairwise(shown)} <= {2, 3}
    assert (clips / name).read_bytes().index(b"moov") < 100  # before the pictures
    with av.open(str(clips / name)) as container:
        assert container.metadata["title"] == "b"


def test_a_live_run(tmp_path: Path) -> None:
    """Twenty times as fast as a camera; whatever was dropped, pictures are at their own times."""
    film = write_numbered_video(tmp_path / "film.mp4", 200)
    shown = (frame for frame in FileSource(film, name="s") if not time.sleep(1 / FPS / 20))
    clips = tmp_path / "clips"
    Pipeline(
        [opened(ListSource("s", shown, live=True))],
        lambda: ActionEngine(range(75, 126)),
        SPEC,
        [ListSink(), ClipSink(config_of(clips))],
        config_of(clips),
    ).run()
    (name,) = names(clips)
    assert set(numbers(clips / name)) & set(range(90, 120))


def test_boxes_of_the_view_of_the_event_are_drawn(tmp_path: Path) -> None:
    boxes = {"left": Box(0.1, 0.3, 0.3, 0.5), "right": Box(0.6, 0.3, 0.3, 0.5)}
    green_px = {}
    for drawn in (False, True):
        clips = tmp_path / str(drawn)
        sink = ClipSink(config_of(clips, boxes=drawn))
        for number in range(100):
            image = np.full((240, 320, 3), 128, np.uint8)
            sink.show(Frame("s", number, number / FPS, image), True)
            if number % 12 == 0:
                for view, box in boxes.items():
                    sink.send(replace(prediction(number / FPS), view=view, box=box))
        sink.send(replace(end(1.0, 2.0), view="right"))
        sink.close()
        (name,) = names(clips)
        middle = pictures(clips / name)[5][1].astype(int)
        is_green = middle[..., 1] - middle[..., [0, 2]].max(axis=2) > 30
        green_px[drawn] = [int(half[:190].sum()) for half in np.split(is_green, 2, axis=1)]
        with av.open(str(clips / name)) as container:
            assert container.metadata.get(DRAWN) == ("boxes" if drawn else None)
    assert green_px[False] == [0, 0]
    assert green_px[True][0] == 0
    assert green_px[True][1] > 300  # pixels of the lines around 96 x 120


def test_no_box_is_drawn_of_a_view_that_has_gone(tmp_path: Path) -> None:
    """The event's subject leaves at 1 s; another one stays."""
    sink = ClipSink(config_of(tmp_path, boxes=True, pre_s=3, post_s=4))
    for number in range(150):
        time_s = number / FPS
        sink.show(Frame("s", number, time_s, np.full((240, 320, 3), 128, np.uint8)), True)
        if number % 12 == 0:
            for view in ("subject-1", "subject-2") if time_s <= 1 else ("subject-2",):
                box = Box(0.1, 0.3, 0.3, 0.5)
                sink.send(replace(prediction(time_s), view=view, box=box))
        if number in (12, 36):
            event = begin(0.48) if number == 12 else end(0.48, 1.0)
            sink.send(replace(event, view="subject-1"))
    sink.close()
    (name,) = names(tmp_path)
    drawn_s = []
    for time_s, image in pictures(tmp_path / name):
        blue, green, red = np.moveaxis(image.astype(int), 2, 0)
        if (green - np.maximum(blue, red) > 30).sum() > 300:
            drawn_s.append(time_s)
    assert 1 <= max(drawn_s) <= 1 + VIEW_KEPT_S + 0.5


def test_it_is_there_as_soon_as_its_last_picture_is(tmp_path: Path) -> None:
    sink = ClipSink(config_of(tmp_path))
    play(sink, frames(0, 174), (3.0, begin(2.4)), (6.0, end(2.4, 6.0)))
    assert not ClipFolder(tmp_path).names()
    play(sink, frames(174, 190))
    assert ClipFolder(tmp_path).names() == {"s@2.400.mp4"}
    sink.close()
    assert names(tmp_path) == ["s@2.400.mp4"]


def test_one_that_lasts_is_cut_off(tmp_path: Path) -> None:
    sink = ClipSink(config_of(tmp_path, max_s=3.0))
    play(sink, frames(0, 300), (3.0, begin(2.4)), (11.0, end(2.4, 11.0)))
    sink.close()
    assert names(tmp_path) == ["s@2.400.mp4"]
    times = [time_s for time_s, _ in pictures(tmp_path / "s@2.400.mp4")]
    assert 2.8 <= times[-1] <= 3.0


def test_an_interrupted_one_is_whole(tmp_path: Path) -> None:
    sink = ClipSink(config_of(tmp_path))
    play(sink, frames(0, 100), (3.0, begin(2.4)))
    (part,) = names(tmp_path)
    assert part.endswith(".part")
    sink.close()
    assert names(tmp_path) == ["s@2.400.mp4"]
    assert numbers(tmp_path / "s@2.400.mp4")[-1] >= 96


def test_streams_apart_and_events_that_overlap_with_what_comes_after(tmp_path: Path) -> None:
    sink = ClipSink(config_of(tmp_path))
    both = zip(frames(0, 200, "rtsp://a/b"), frames(1000, 1200, "b"), strict=True)
    events = [
        (3.0, begin(2.4, "rtsp://a/b")),
        (4.0, end(2.4, 4.0, "rtsp://a/b")),
        (5.0, begin(4.4, "rtsp://a/b")),
        (6.0, end(4.4, 6.0, "rtsp://a/b")),
    ]
    for one, other in both:
        play(sink, [other])
        play(sink, [one], *[e for e in events if one.index % 12 == 0 and e[0] <= one.time_s])
        events = [e for e in events if one.index % 12 or e[0] > one.time_s]
    sink.close()
    first, second = (tmp_path / clip_name(f"rtsp://a/b@{t}") for t in ("2.400", "4.400"))
    assert sorted(tmp_path.iterdir()) == [first, second]
    assert numbers(first)[-1] in range(123, 126)
    assert numbers(second)[0] in range(85, 88)


def test_the_clip_of_a_lost_camera_is_there_when_its_event_ends(tmp_path: Path) -> None:
    """No more pictures come: nothing is waited for."""
    sink = ClipSink(config_of(tmp_path))
    play(sink, frames(0, 100), (3.0, begin(2.4)))
    sink.send(dataclasses.replace(end(2.4, 3.8), lost=True))
    assert names(tmp_path) == ["s@2.400.mp4"]
    assert numbers(tmp_path / "s@2.400.mp4")[-1] >= 96
    sink.close()


def test_the_clip_of_a_removed_stream_is_there_after_its_last_event(tmp_path: Path) -> None:
    """The end of the event may come after the removal; the pictures go with the clip."""
    with ClipSink(config_of(tmp_path)) as sink:
        play(sink, frames(0, 75), (1.0, begin(1.0)))
        play(sink, frames(0, 75, "t"))
        sink.remove_stream("s")
        sink.send(prediction(3.0, "t"))
        assert sink._rings.keys() == {"s", "t"}  # its event has not ended yet
        sink.send(end(1.0, 2.9))
        assert names(tmp_path) == [clip_name(begin(1.0).id)]
        assert sink._rings.keys() == {"t"}
        sink.send(prediction(3.0))  # one that waited in the queue
        assert sink._rings.keys() == {"t"}


def test_a_stream_that_starts_again(tmp_path: Path) -> None:
    """Its time goes back: what lasted ends with what there was."""
    sink = ClipSink(config_of(tmp_path))
    play(sink, frames(0, 100), (3.0, begin(2.4)))
    play(sink, frames(0, 100), (0.0, end(2.4, 3.8)), (3.0, begin(2.0)), (3.5, end(2.0, 3.5)))
    sink.close()
    first = numbers(tmp_path / "s@2.400.mp4")
    assert first == sorted(first) and first[-1] <= 100
    assert numbers(tmp_path / "s@2.000.mp4")[0] in range(25, 28)


def test_the_memory_before_an_event_is_bounded(tmp_path: Path) -> None:
    """However long nothing is predicted."""
    sink = ClipSink(config_of(tmp_path))
    for number in range(3000):
        sink.show(Frame("s", number, number / FPS, numbered_image(number)), True)
    kept = sink._ring("s")._pictures
    assert len(kept) == sink._capacity <= 100
    assert kept[-1][0] > 119


def test_a_clip_that_cannot_be_written_is_an_error_once(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    sink = ClipSink(config_of(folder))
    folder.rmdir()
    play(sink, frames(0, 76))
    with pytest.raises(OSError, match="cannot be written: No such file"):
        sink.send(begin(2.4))
    sink.send(begin(2.4))  # the worker tries again
    folder.mkdir()
    play(sink, frames(76, 200), (4.0, end(2.4, 4.0)), (5.0, begin(4.4)))
    sink.close()
    assert names(folder) == ["s@4.400.mp4"]


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"clips: .*file is a file; choose another"):
        ClipSink(config_of(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"clips: .*folder cannot be written to"):
        ClipSink(config_of(tmp_path / "file" / "folder"))


@pytest.mark.parametrize(
    ("key", "value"), [("pre_s", -1), ("max_s", 0.5), ("max_bytes", 0), ("pictures_per_s", 0)]
)
def test_ranges(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{key} is {value}"):
        ClipsConfig(**{key: value})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="max_s is 5"):
        ClipsConfig(pre_s=6, max_s=5)


# The folder


def a_clip(folder: Path, name: str, age_s: float, mark: str = MARK) -> Path:
    path = write_numbered_video(folder / "film.mp4", 3).rename(folder / "unmarked.mp4")
    with (
        av.open(str(path)) as source,
        av.open(str(folder / name), "w", format="mp4", options={"movflags": "faststart"}) as out,
    ):
        out.metadata["comment"] = mark
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    path.unlink()
    os.utime(folder / name, (time.time() - age_s,) * 2)
    return folder / name


def test_the_oldest_clips_go_and_nothing_else(tmp_path: Path) -> None:
    names = ["s@400.000", "01a223ea-2b97-7dd0-98cb-eebeef58b95d", "s@200.000", "s@100.000"]
    ours = [a_clip(tmp_path, f"{name}.mp4", 400 - 100 * i) for i, name in enumerate(names)]
    others = [
        a_clip(tmp_path, "holiday.mp4", 900),
        a_clip(tmp_path, "other@1.000.mp4", 900, mark="somebody else's"),
        tmp_path / "not-a-film@1.000.mp4",
        tmp_path / "notes.txt",
    ]
    for path in others[2:]:
        path.write_bytes(b"x" * 10_000)
    os.utime(others[2], (0, 0))
    link = tmp_path / "link@1.000.mp4"
    link.symlink_to(others[0])
    size = ours[0].stat().st_size
    foreign = sum(path.stat().st_size for path in others[1:3])
    store = ClipStore(tmp_path, 3 * size + foreign + size // 2)
    part = store.new_part("s@50.000")
    part.write_bytes(ours[0].read_bytes())
    store.keep(part, "s@50.000")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {
        *(path.name for path in (*ours[2:], *others, link)),
        "s@50.000.mp4",
    }


def test_a_clip_that_is_read_only_is_kept_and_does_not_count(tmp_path: Path) -> None:
    kept, old = a_clip(tmp_path, "s@1.000.mp4", 200), a_clip(tmp_path, "s@2.000.mp4", 100)
    kept.chmod(0o444)
    store = ClipStore(tmp_path, 2 * old.stat().st_size)
    part = store.new_part("s@3.000")
    part.write_bytes(old.read_bytes())
    store.keep(part, "s@3.000")
    assert names(tmp_path) == ["s@1.000.mp4", "s@2.000.mp4", "s@3.000.mp4"]


def test_the_newest_clip_stays_whatever_its_size(tmp_path: Path) -> None:
    old = a_clip(tmp_path, "s@1.000.mp4", 100)  # as clips were named before events had UUIDs
    store = ClipStore(tmp_path, 1)
    part = store.new_part("s@2.000")
    part.write_bytes(old.read_bytes())
    store.keep(part, "s@2.000")
    assert names(tmp_path) == ["s@2.000.mp4"]


def test_what_a_killed_run_left_half_written_goes(tmp_path: Path) -> None:
    # Of versions before and after each run had names of its own.
    old = [tmp_path / ".s@1.000.mp4.part", ClipStore(tmp_path, 1).new_part("s@1.000")]
    new, other = ClipStore(tmp_path, 1).new_part("s@2.000"), tmp_path / ".download.part"
    for path in (*old, other):
        path.touch()
        os.utime(path, (0, 0))
    ClipStore(tmp_path, 1)
    assert set(tmp_path.iterdir()) == {new, other}


def test_two_runs_with_one_configuration_make_clips_that_play(tmp_path: Path) -> None:
    sinks = [ClipSink(config_of(tmp_path)) for _ in range(2)]
    for sink in sinks:
        play(sink, frames(0, 100), (3.0, begin(2.4)))
    assert len(names(tmp_path)) == 2
    sinks[0].close()
    assert numbers(tmp_path / "s@2.400.mp4")[-1] >= 96
    sinks[1].close()
    assert names(tmp_path) == ["s@2.400.mp4"]
    assert numbers(tmp_path / "s@2.400.mp4")[-1] >= 96


def test_a_clip_without_pictures_leaves_no_file(tmp_path: Path) -> None:
    sink = ClipSink(config_of(tmp_path))
    sink.send(begin(2.4))
    sink.close()
    assert names(tmp_path) == []
