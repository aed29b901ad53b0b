"""Subjects that come and go for a day of stream time leave nothing behind."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.config.views import ViewConfig
from ecolite_stream.sinks import Sink
from ecolite_stream.types import Event, FloatArray, Frame, Output, Prediction
from tests.fakes import ListSource, NumberEngine, clip_logits
from tests.pipeline.runs import pipeline
from tests.views.scenes import WIDTH, room, with_person

pytestmark = pytest.mark.timeout(120)

DAY_S = 86_400
VISITS = 64
WALK_S = 4.0
SEEN_STEP_S, EMPTY_STEP_S = 0.08, 3.9
"""Between two frames: while somebody is there, and while nobody is (a gap would end all)."""


class Counts(Sink):
    """Counts events and the views of predictions, and keeps none of them."""

    takes = (Prediction, Event)

    def __init__(self) -> None:
        self.events = 0
        self.views = 0
        self._last = ""

    def send(self, prediction: Output) -> None:
        if isinstance(prediction, Event):
            self.events += 1
        elif prediction.view != self._last:
            self.views += 1
            self._last = prediction.view

    def close(self) -> None:
        pass


class ForgetfulEngine(NumberEngine):
    """Does not note what it computes."""

    def encode(self, images: FloatArray) -> FloatArray:
        return images[:, :1, :1, :1].copy()

    def classify(self, features: FloatArray) -> FloatArray:
        return clip_logits(features.reshape(len(features), -1))


def day(objects: list[int]) -> Iterator[Frame]:
    """Two people cross the room at each visit; counts Python's objects before each visit."""
    empty, index, time_s = room(), 0, 0.0
    for visit in range(VISITS):
        gc.collect()
        objects.append(len(gc.get_objects()))
        begin_s = time_s = visit * DAY_S / VISITS
        while time_s < (visit + 1) * DAY_S / VISITS - EMPTY_STEP_S:
            since_s, luma = time_s - begin_s, empty
            if since_s < WALK_S:
                for start in (20, WIDTH // 2):
                    luma = with_person(luma, start + 30 * since_s, time_s)
            small = cv2.resize(luma, (WIDTH // 2, luma.shape[0] // 2))
            image = np.repeat(small[:, :, None], 3, axis=2)
            yield Frame("s", index, time_s, image)
            index += 1
            time_s += SEEN_STEP_S if since_s < WALK_S + 3 else EMPTY_STEP_S


def test_memory_stays_flat_for_a_day() -> None:
    objects: list[int] = []
    counts = Counts()
    config = StreamConfig(
        views=(ViewConfig(subjects=2),),
        events=EventConfig(enter=0.01, leave=0.001, min_s=0.5),
    )
    run = pipeline([ListSource("s", day(objects))], [counts], ForgetfulEngine(), config=config)
    gc.collect()
    gc.freeze()  # what earlier tests have left is not counted again and again
    try:
        run.run()
    finally:
        gc.unfreeze()
    assert counts.views >= VISITS  # each visitor was somebody new, with labels of their own
    assert counts.events >= VISITS
    early, late = np.median(objects[8:16]), np.median(objects[-8:])
    assert late - early < VISITS / 2  # not even one object of every second visit is kept
