"""Sinks that are shown the frames."""

from __future__ import annotations

from collections.abc import Container

import pytest

from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.sinks import FrameSink
from ecolite_stream.types import Frame
from tests.fakes import ListSink, ListSource, OutputSink, frames
from tests.pipeline.runs import pipeline

pytestmark = pytest.mark.timeout(30)


class Watcher(OutputSink, FrameSink):
    """Notes what it is shown; has no room for odd frames, and fails at some."""

    def __init__(self, fails: Container[int] = ()) -> None:
        super().__init__()
        self.shown: list[tuple[int, bool]] = []
        self._fails = fails

    def show(self, frame: Frame, live: bool) -> bool:
        self.shown.append((frame.index, live))
        if frame.index in self._fails:
            raise ValueError("no such\ncolour")
        return frame.index % 2 == 0


@pytest.mark.parametrize("live", [False, True])
def test_sinks_see_every_frame_due_or_not(live: bool) -> None:
    watcher, metrics = Watcher(), Metrics()
    source = ListSource("s", frames(50, 25), live=live)
    pipeline([source], [ListSink(), watcher], metrics=metrics).run()
    assert watcher.shown == [(number, live) for number in range(50)]
    assert watcher.outputs
    labels = {"sink": "Watcher", "stream": "s"}
    name = "ecolite_sink_frames_dropped_total"
    assert metrics.registry.get_sample_value(name, labels) == 25


def test_a_sink_that_cannot_look_ends_no_stream(caplog: pytest.LogCaptureFixture) -> None:
    watcher, metrics, sink = Watcher(fails=range(10, 20)), Metrics(), ListSink()
    pipeline([ListSource("s", frames(50, 25))], [sink, watcher], metrics=metrics).run()
    assert len(watcher.shown) == 50
    assert sink.frames("s")[-1] >= 35
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "Watcher failed on a frame: no such colour; later failures are only counted",
        "Watcher: failed on 10 frames",
    ]
    labels = {"sink": "Watcher"}
    assert metrics.registry.get_sample_value("ecolite_sink_failures_total", labels) == 10
