"""What is in a film that a sink wrote, and an engine that sees actions in numbered frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path

import av
import numpy as np

from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import Preprocessing
from ecolite_stream.sinks.clips import ClipsConfig
from ecolite_stream.types import FloatArray, Image
from tests.fakes import MEAN, DrawnNumberEngine
from tests.videos import read_number

HOW = Preprocessing(64, framing="whole", mean=MEAN)
SPEC = ModelSpec("eco_lite", 1.0, 4, (1, 1, 1), ("a", "b", "c"), 1.6, HOW)
EVENTS = EventConfig(ignore=("a",), min_fill=0)
CONFIG = RunConfig(smoothing=0, events=EVENTS)


def config_of(folder: Path, **clips: float | int) -> StreamConfig:
    """Events as above, and clips of them with a second before and after."""
    settings = {"pre_s": 1.0, "post_s": 1.0, **clips}
    return dataclasses.replace(CONFIG, clips=ClipsConfig(folder, **settings))  # type: ignore[arg-type]


class ActionEngine(DrawnNumberEngine):
    """Sees `b` where the newest frame's number is among these, and `a` elsewhere."""

    def __init__(self, numbers: Collection[int]) -> None:
        super().__init__(SPEC)
        self._wanted = numbers

    def encode(self, images: FloatArray) -> FloatArray:
        super().encode(images)
        return np.float32(self.numbers[-len(images) :]).reshape(-1, 1, 1, 1)

    def classify(self, features: FloatArray) -> FloatArray:
        newest = features.reshape(len(features), -1)[:, -1]
        return np.float32([[0, 9, 0] if int(n) in self._wanted else [9, 0, 0] for n in newest])


def pictures(path: Path) -> list[tuple[float, Image]]:
    """(time in seconds, picture) of each in a film; checks that browsers play it."""
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        return [(f.time, f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]


def numbers(path: Path, fps: float = 25.0) -> list[int]:
    """The numbers of `tests.videos` in a film; checks that each is shown at its own time."""
    shown = [(time_s, read_number(image)) for time_s, image in pictures(path)]
    first = shown[0][1]
    times = [time_s for time_s, _ in shown]
    np.testing.assert_allclose(times, [(number - first) / fps for _, number in shown], atol=1e-3)
    return [number for _, number in shown]


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())
