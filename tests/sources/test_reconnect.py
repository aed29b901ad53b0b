"""A live source goes on, with one index and one time, however often it is lost."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecolite_stream.app import build
from ecolite_stream.app.build import stream_inputs
from ecolite_stream.config.schema import ReconnectConfig, StreamConfig
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.sources import CameraSource, FileSource, Source, UrlSource, open_source
from ecolite_stream.sources.reconnect import Reconnecting
from ecolite_stream.types import Frame
from tests.fakes import ListSink, ListSource, NumberEngine, frame, read_in_thread, spec_of
from tests.videos import read_number, write_numbered_video

pytestmark = pytest.mark.timeout(30)

REFUSED = SourceError("cam: connection refused; check host and port")


class Clock:
    """Stands still but for waits, and while `runs` is set: then every look takes a second."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.waits_s: list[float] = []
        self.runs = threading.Event()

    def __call__(self) -> float:
        self.now_s += self.runs.is_set()
        return self.now_s

    def wait(self, seconds: float) -> bool:
        self.runs.clear()
        self.waits_s.append(seconds)
        self.now_s += seconds
        return False


def batch(numbers: range, arrived_s: float) -> list[Frame]:
    """Frames at 10 per second, whose own times and indices begin at 0."""
    return [
        dataclasses.replace(frame(n, i / 10, "cam"), index=i, arrived_s=arrived_s + i / 10)
        for i, n in enumerate(numbers)
    ]


def number(item: Frame) -> int:
    return int(item.image[0, 0, 0])


class Opener:
    """Opens one thing after another: sources, or errors, or calls that say which."""

    def __init__(self, *things: Source | Exception | Callable[[], Source]) -> None:
        self.opened = 0
        self._things = iter(things)

    def __call__(self) -> Source:
        self.opened += 1
        thing = next(self._things)
        if isinstance(thing, Exception):
            raise thing
        return thing() if callable(thing) else thing


def live(frames: list[Frame], **how: object) -> ListSource:
    return ListSource("cam", frames, live=True, **how)  # type: ignore[arg-type]


def reconnecting(
    opener: Callable[[], Source], clock: Clock, *, chance: float = 0.5, **how: object
) -> Reconnecting:
    states: list[str] = []
    config = how.pop("config", ReconnectConfig())
    source = Reconnecting(
        "cam",
        opener,
        config,  # type: ignore[arg-type]
        on_state=states.append,
        clock=clock,
        wait=clock.wait,
        chance=lambda: chance,
        **how,  # type: ignore[arg-type]
    )
    source.states = states  # type: ignore[attr-defined]
    return source


def take(source: Source, count: int) -> list[Frame]:
    return [next(source) for _ in range(count)]


def test_an_ended_source_goes_on_after_the_gap() -> None:
    clock, counted = Clock(), []
    first, second = live(batch(range(3), 100.0)), live(batch(range(50, 53), 107.0))
    opener = Opener(first, second)
    with reconnecting(opener, clock, on_reconnect=lambda: counted.append(1)) as source:
        assert source.live
        frames = take(source, 6)
    assert [number(f) for f in frames] == [0, 1, 2, 50, 51, 52]
    assert [f.index for f in frames] == list(range(6))
    assert [f.time_s for f in frames] == pytest.approx([0, 0.1, 0.2, 7.0, 7.1, 7.2])
    assert clock.waits_s == [1.0]
    assert len(counted) == 1
    assert first.closed
    assert second.closed
    states = source.states  # type: ignore[attr-defined]
    assert states == ["connecting", "live", "waiting", "connecting", "live"]


def test_times_never_go_back() -> None:
    """A source whose times were ahead of the clock is opened again at once."""
    ahead = [dataclasses.replace(f, arrived_s=100.0) for f in batch(range(3), 0)]
    again = [dataclasses.replace(f, arrived_s=100.0) for f in batch(range(3), 0)]
    with reconnecting(Opener(live(ahead), live(again)), Clock()) as source:
        times_s = [f.time_s for f in take(source, 6)]
    assert all(a < b for a, b in itertools.pairwise(times_s))


def test_a_source_that_breaks_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    broken = live(batch(range(2), 100.0), error=SourceError("cam: the connection was reset; try"))
    with reconnecting(Opener(broken, live(batch(range(2), 104.0))), Clock()) as source:
        assert [f.index for f in take(source, 4)] == [0, 1, 2, 3]
    assert [r.getMessage() for r in caplog.records] == [
        "cam: lost (the connection was reset); trying again in 1 s",
        "cam: live again after 1 s",
    ]


def test_a_source_that_is_down_at_the_start_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The waits grow up to the longest, and the log does not."""
    clock = Clock()
    with reconnecting(Opener(*[REFUSED] * 20, live(batch(range(2), 9.0))), clock) as source:
        assert [f.time_s for f in take(source, 2)] == pytest.approx([0.0, 0.1])
    assert clock.waits_s == [1, 2, 4, 8, 16, 32, *[60] * 14]
    said = [r.getMessage() for r in caplog.records if "lost" in r.getMessage()]
    assert said == [
        f"cam: lost (connection refused); trying again in {wait} s" for wait in (1, 2, 8, 60, 60)
    ]


@pytest.mark.parametrize(("chance", "wait_s"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_waits_jitter(chance: float, wait_s: float) -> None:
    clock = Clock()
    opener = Opener(REFUSED, live(batch(range(1), 0)))
    with reconnecting(opener, clock, chance=chance) as source:
        next(source)
    assert clock.waits_s == pytest.approx([wait_s])


def test_a_source_that_flaps_is_tried_less_and_less_often() -> None:
    clock = Clock()
    opener = Opener(*[live(batch(range(1), 100.0 + i)) for i in range(5)])
    with reconnecting(opener, clock) as source:
        take(source, 5)
    assert clock.waits_s == [1, 2, 4, 8]


def test_a_source_that_lasted_is_opened_again_soon() -> None:
    clock, took = Clock(), threading.Event()

    def lasts() -> Source:
        def age() -> None:
            took.wait(20)
            clock.now_s += 100

        return live(batch(range(1), clock.now_s), at_end=age)

    with reconnecting(Opener(REFUSED, REFUSED, lasts, live(batch(range(1), 500.0))), clock) as s:
        next(s)
        took.set()
        next(s)
    assert clock.waits_s == [1, 2, 1]


def test_a_source_that_stalls_is_told_less_and_less_often(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Four stalls, all shorter than what counts as lost."""
    clock = Clock()
    items = batch(range(5), 100.0)

    def slowly() -> Iterator[Frame]:
        yield items[0]
        for item in items[1:]:
            clock.runs.set()
            assert stalled.wait(20)
            stalled.clear()
            clock.runs.clear()
            yield item

    stalled = threading.Event()
    states: list[str] = []

    def on_state(state: str) -> None:
        states.append(state)
        if state == "stalled":
            stalled.set()

    with Reconnecting(
        "cam",
        lambda: live(slowly()),  # type: ignore[arg-type]
        ReconnectConfig(silent_s=1e6),
        on_state=on_state,
        clock=clock,
    ) as source:
        take(source, 5)
    assert states == ["connecting", "live", *4 * ["stalled", "live"]]
    assert caplog.messages[0].startswith("cam: stalled, no frame for ")
    # Of the fourth, too, and not of the third.
    assert [line.split()[1] for line in caplog.messages] == 3 * ["stalled,", "live"]


def test_a_silent_source_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Its read never returns."""
    clock, released = Clock(), threading.Event()

    def silent() -> None:
        clock.runs.set()
        released.wait(20)

    stuck = live(batch(range(2), 100.0), at_end=silent)
    with reconnecting(Opener(stuck, live(batch(range(2), 120.0))), clock) as source:
        frames = take(source, 4)
    states = source.states  # type: ignore[attr-defined]
    assert [f.time_s for f in frames] == pytest.approx([0, 0.1, 20.0, 20.1])
    assert states == ["connecting", "live", "stalled", "waiting", "connecting", "live"]
    assert stuck.closed
    released.set()
    assert [line.split()[1] for line in caplog.messages] == ["stalled,", "lost", "live"]


def test_a_source_that_does_not_open_is_left_behind_and_closed() -> None:
    clock, released, closed = Clock(), threading.Event(), threading.Event()

    class Late(ListSource):
        def close(self) -> None:
            closed.set()

    def stuck() -> Source:
        clock.runs.set()
        released.wait(20)
        return Late("cam", [], live=True)

    with reconnecting(Opener(stuck, live(batch(range(1), 100.0))), clock) as source:
        assert number(next(source)) == 0
    released.set()
    assert closed.wait(10)


def test_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    clock, opener = Clock(), Opener(*[REFUSED] * 9)
    source = reconnecting(opener, clock, config=ReconnectConfig(limit=3))
    with pytest.raises(SourceError) as caught:
        next(source)
    assert caught.value is REFUSED
    assert opener.opened == 4
    assert list(source) == []


def test_what_can_never_work_is_not_tried_twice() -> None:
    opener = Opener(SourceError("cam: no", permanent=True))
    with pytest.raises(SourceError, match="cam: no"):
        _ = reconnecting(opener, Clock()).live
    assert opener.opened == 1


@pytest.mark.parametrize("error", [ZeroDivisionError("bug"), MemoryError(), OSError(5, "disk")])
def test_an_unexpected_error_is_a_loss_too(error: Exception) -> None:
    """It must neither end the stream for ever nor any other."""
    breaks = live(batch(range(2), 100.0), error=error)
    opener = Opener(error, breaks, live(batch(range(2, 4), 105.0)))
    with reconnecting(opener, Clock()) as source:
        assert [number(f) for f in take(source, 4)] == [0, 1, 2, 3]


def test_the_reader_can_call_a_source_lost() -> None:
    opener = Opener(live(batch(range(9), 100.0)), live(batch(range(20, 22), 105.0)))
    clock = Clock()
    with reconnecting(opener, clock) as source:
        take(source, 2)
        source.lose(SourceError("cam: unusable"))
        assert [number(f) for f in take(source, 2)] == [20, 21]
    assert clock.waits_s == [1.0]


@pytest.mark.parametrize("error", [None, SourceError("cam: cut off")])
def test_a_recording_is_read_once(error: Exception | None) -> None:
    """As files on web servers are, which nobody knows before they are open."""
    opener = Opener(ListSource("cam", batch(range(30), 0), error=error))
    source = reconnecting(opener, Clock())
    assert not source.live
    assert [number(f) for f in take(source, 30)] == list(range(30))
    with pytest.raises(StopIteration if error is None else SourceError):
        next(source)
    assert opener.opened == 1


def test_a_recording_may_be_slow() -> None:
    clock, go = Clock(), threading.Event()

    class Slow(ListSource):
        def __next__(self) -> Frame:
            clock.runs.set()
            go.wait(20)
            return super().__next__()

    opener = Opener(Slow("cam", batch(range(2), 0)))
    source = Reconnecting(
        "cam", opener, ReconnectConfig(silent_s=1e-9), clock=clock, wait=clock.wait
    )
    threading.Timer(0.3, go.set).start()
    assert [number(f) for f in source] == [0, 1]


@pytest.mark.parametrize("where", ["opening", "reading", "waiting"])
def test_it_can_be_closed_at_any_time(where: str) -> None:
    released, reached = threading.Event(), threading.Event()

    def stay() -> None:
        reached.set()
        released.wait(20)

    def stuck() -> Source:
        stay()
        return live([])

    things: dict[str, object] = {
        "opening": stuck,
        "reading": live(batch(range(1), 0), at_end=stay),
        "waiting": REFUSED,
    }
    source = Reconnecting(
        "cam",
        Opener(things[where]),  # type: ignore[arg-type]
        ReconnectConfig(first_wait_s=60),
        on_state=lambda state: reached.set() if state == "waiting" else None,
    )
    reader, _ = read_in_thread(source)
    assert reached.wait(10)
    source.close()
    reader.join(10)
    assert not reader.is_alive()
    released.set()


# Which errors are for good


@pytest.mark.parametrize(
    ("make", "permanent"),
    [
        (lambda: open_source(""), True),
        (lambda: open_source("gopher://host/a"), True),
        (lambda: open_source("rtsp://"), True),
        (lambda: open_source("rtsp:///live"), True),
        (lambda: open_source("rtsp://me:hush@/live"), True),
        (lambda: open_source("rtsp://me:hu/sh@host/live"), True),
        (lambda: open_source("http://host:99999/live"), True),
        (lambda: open_source("http://[::1/live"), True),
        (lambda: open_source("camera:first"), True),
        (lambda: open_source("none.mp4"), True),
        (lambda: UrlSource("host"), True),
        (lambda: FileSource("none/at/all.mp4"), True),
        (lambda: CameraSource(987), False),
        (lambda: open_source(f"tcp://127.0.0.1:{closed_port()}"), False),
    ],
)
def test_which_errors_are_permanent(make: Callable[[], Source], permanent: bool) -> None:
    with pytest.raises(SourceError) as caught:
        make()
    assert caught.value.permanent is permanent


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("spec", "again"),
    [
        ("camera", True),
        ("camera:1", True),
        ("/dev/video0", True),
        ("rtsp://host/a", True),
        ("http://host/a.mp4", True),
        ("pattern:seconds=1", False),
        ("film.mp4", False),
        ("cameras/film.mp4", False),
    ],
)
def test_which_sources_are_opened_again(spec: str, again: bool) -> None:
    config = ReconnectConfig()
    (stream,) = stream_inputs([spec], reconnect=config)
    assert stream.reconnect == (config if again else None)
    (stream,) = stream_inputs([spec], reconnect=ReconnectConfig(enabled=False))
    assert stream.reconnect is None


@pytest.mark.parametrize("again", [True, False])
def test_a_stream_that_may_take_longer(again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is configured reaches the source, whether it is opened again or not."""
    found = {}
    monkeypatch.setattr(build, "open_source", lambda spec, **how: found.update(how))
    config = ReconnectConfig(enabled=again, open_s=30, silent_s=20)
    (stream,) = stream_inputs(["rtsp://host/a"], reconnect=config)
    stream.open()
    assert (found["open_timeout_s"], found["read_timeout_s"]) == (30, 20)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"first_wait_s": 0}, "first_wait_s is 0"),
        ({"longest_wait_s": 0.5}, "longest_wait_s is 0.5; expected at least 1.0"),
        ({"factor": 0.5}, "factor is 0.5; expected at least 1"),
        ({"jitter": 2}, "jitter is 2; expected 0 to 1"),
        ({"limit": 0}, "limit is 0; expected at least 1"),
        ({"silent_s": 0}, "silent_s is 0"),
        ({"open_s": 0}, "open_s is 0"),
    ],
)
def test_what_cannot_be_configured(values: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ReconnectConfig(**values)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_waits_do_not_overflow() -> None:
    assert ReconnectConfig().wait_s(100_000) == 60


# In a pipeline


def test_the_pipeline_counts_and_goes_on() -> None:
    metrics, sink = Metrics(), ListSink()
    config = ReconnectConfig(first_wait_s=0.001, longest_wait_s=0.001, limit=2)
    opener = Opener(live(batch(range(20), 100.0)), live(batch(range(20), 120.0)), REFUSED, REFUSED)
    stream = StreamInput("cam", opener, config)
    with pytest.raises(SourceError):
        Pipeline([stream], NumberEngine, spec_of(), [sink], StreamConfig(), metrics).run()
    value = metrics.registry.get_sample_value
    assert value("ecolite_stream_reconnects_total", {"stream": "cam"}) == 1
    state = {"stream": "cam", "ecolite_stream_state": "failed"}
    assert value("ecolite_stream_state", state) == 1
    assert sink.predictions[-1].time_s > 20
    assert value("ecolite_frames_read_total", {"stream": "cam"}) == 40


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[str]:
    """Sends an MPEG transport stream of 30 frames to whoever connects, and hangs up."""
    content = write_numbered_video(tmp_path / "film.ts", 30, codec="libx264").read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(3):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(content)

        threading.Thread(target=serve, daemon=True).start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_hangs_up_and_comes_back(
    sender: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = ReconnectConfig(first_wait_s=0.01, longest_wait_s=0.01)
    (stream,) = stream_inputs([sender], reconnect=config)
    with (
        caplog.at_level(logging.WARNING),
        Reconnecting(stream.name, stream.open, config) as source,
    ):
        frames = take(source, 75)
    assert [read_number(f.image) for f in frames] == [*range(30), *range(30), *range(15)]
    assert [f.index for f in frames] == list(range(75))
    times_s = [f.time_s for f in frames]
    assert all(a < b for a, b in itertools.pairwise(times_s))
    assert all("the stream ended" not in record.getMessage() for record in caplog.records)
    assert f"{sender}: lost (its sender ended it); trying again in 0.0" in caplog.text


def flap(source: Source, clock: Clock, times: int) -> None:
    for _ in range(times):
        next(source)
        clock.now_s += 30


def test_a_camera_that_flaps_is_logged_ever_less(caplog: pytest.LogCaptureFixture) -> None:
    """Each connection works for longer than the wait, and is lost again."""
    clock = Clock()

    def connection() -> Source:
        return live(batch(range(1), clock.now_s))

    with reconnecting(Opener(*[connection] * 101), clock) as source:
        flap(source, clock, 100)
    lines = [r.getMessage() for r in caplog.records]
    assert sum("lost" in line for line in lines) == 7  # 1, 2, 4, 8, 16, 32, 64
    assert sum("live again" in line for line in lines) == 7
    assert lines[-2].startswith("cam: lost (its sender ended it), for the 64th time;")
    assert clock.waits_s == [1.0] * 99  # every loss begins a row of its own


def test_a_long_loss_is_logged_however_many_there_were(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()

    def connection() -> Source:
        return live(batch(range(1), clock.now_s))

    things = [*[connection] * 5, *[REFUSED] * 6, connection]
    with reconnecting(Opener(*things), clock) as source:
        flap(source, clock, 5)
        caplog.clear()
        take(source, 1)
    lines = [r.getMessage() for r in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith("cam: lost (connection refused), for the 5th time")
    assert lines[1].startswith("cam: live again after ")


def test_tries_that_never_end_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Opening blocks, as looking up a host or opening a device can; each try leaves a thread."""
    clock, ended = Clock(), threading.Event()

    def hangs() -> Source:
        clock.runs.set()
        ended.wait(20)
        raise REFUSED

    opener = Opener(*[hangs] * 3, live(batch(range(2), 900.0)))
    waits = iter(range(8))

    def wait(seconds: float) -> bool:
        clock.wait(seconds)
        if next(waits) == 6:  # four more tries than threads that may be left
            ended.set()
            for thread in threading.enumerate():
                if thread.name == "connection cam":
                    thread.join(10)
        return False

    source = Reconnecting("cam", opener, clock=clock, wait=wait, chance=lambda: 0.5)
    with source:
        assert number(next(source)) == 0
    assert opener.opened == 4
    assert "3 earlier tries still hang" in caplog.text
