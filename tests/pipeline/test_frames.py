"""Sinks that are shown the frames."""

from __future__ import annotations

import logging
from collections.abc import Container

import cv2
import numpy as np
import pytest

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.sinks import FrameSink
from ecolite_stream.types import Frame
from tests.fakes import ListSink, ListSource, OutputSink, frames
from tests.pipeline.runs import pipeline
from tests.views.scenes import room

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


@pytest.mark.parametrize(("view", "is_said"), [("follow", True), ("center", False)])
def test_it_is_said_while_a_camera_that_turns_cannot_be_followed(
    view: str, is_said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It turns from 2 to 5 s and from 7 s on, and is lit anew at 6 s."""
    wide, metrics, counts = room(1600, 240, 5), Metrics(), list[float]()

    def picture(time_s: float) -> Frame:
        turned_s = min(max(time_s - 2, 0), 3) + max(time_s - 7, 0)
        left = round(60 * turned_s)
        grey = wide[:, left : left + 320] * (0.6 if time_s > 6 else 1.0)
        image = cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2BGR)
        name = "ecolite_frames_not_followed_total"
        counts.append(metrics.registry.get_sample_value(name, {"stream": "s"}) or 0)
        return Frame("s", round(25 * time_s), time_s, image)

    film = (picture(number / 25) for number in range(225))
    config = StreamConfig(views=(view,))
    with caplog.at_level(logging.INFO):
        pipeline([ListSource("s", film)], [ListSink()], config=config, metrics=metrics).run()
    said = [record.getMessage() for record in caplog.records if "camera" in record.getMessage()]
    if is_said:
        assert ["moves" in words for words in said] == [True, False, True]
        assert counts[75] == 0 < counts[88] < counts[124]  # from 3 s on, at the latest from 3.5 s
        assert counts[138] == counts[199] < counts[224]
    else:
        assert not said and not any(counts)
