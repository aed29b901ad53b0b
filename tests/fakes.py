"""Hand-written stand-ins for the parts of the runtime, and frames that carry their number."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import Preprocessing
from ecolite_stream.sinks import Sink
from ecolite_stream.sources import Source
from ecolite_stream.types import Event, FloatArray, Frame, Output, Prediction
from tests.videos import read_number

SIZE = 16
MEAN = (104.0, 117.0, 128.0)


def spec_of(num_segments: int = 4, clip_seconds: float = 1.6) -> ModelSpec:
    """The model that `NumberEngine` pretends to be."""
    how = Preprocessing(SIZE, framing="whole", mean=(0.0, 0.0, 0.0))
    return ModelSpec("eco_lite", 1.0, num_segments, (1, 1, 1), ("a", "b", "c"), clip_seconds, how)


def frame(index: int, time_s: float, stream: str = "s") -> Frame:
    """A frame that carries its number in its pixels: blue + 256 green."""
    image = np.full((SIZE, SIZE, 3), (index % 256, index // 256, 0), np.uint8)
    return Frame(stream, index, time_s, image)


def frames(num_frames: int, fps: float, stream: str = "s") -> list[Frame]:
    return [frame(i, i / fps, stream) for i in range(num_frames)]


class NumberEngine:
    """An engine whose feature is the number of the frame, so that clips can be read back.

    Attributes:
        encoded: how often each frame was encoded.
        clips: the frame numbers of each clip that was classified.
    """

    name = "numbers"

    def __init__(self) -> None:
        self.encoded: Counter[int] = Counter()
        self.clips: list[list[int]] = []

    def encode(self, images: FloatArray) -> FloatArray:
        numbers = images[:, 0, 0, 0] + 256 * images[:, 1, 0, 0]
        self.encoded.update(numbers.astype(int).tolist())
        return numbers.reshape(-1, 1, 1, 1)

    def classify(self, features: FloatArray) -> FloatArray:
        clips = features.reshape(len(features), -1)
        self.clips += clips.astype(int).tolist()
        return clip_logits(clips)

    def close(self) -> None:
        self.clips.append([])


def clip_logits(clips: FloatArray) -> FloatArray:
    """(B, N) frame numbers -> (B, 3): something that depends on each number and its place."""
    places = np.arange(1, clips.shape[1] + 1)
    angles = np.stack([clips @ places, clips @ places**2, clips.sum(axis=1)], axis=1)
    return np.sin(angles).astype(np.float32)


class DrawnNumberEngine:
    """Reads numbers of `tests.videos` from the pictures; `before` runs first (wait, or fail)."""

    name = "drawn"

    def __init__(self, spec: ModelSpec, before: Callable[[], object] = lambda: None) -> None:
        self.numbers: list[int] = []
        self._spec = spec
        self._before = before

    def encode(self, images: FloatArray) -> FloatArray:
        self._before()
        for image in images:
            pixels = image.transpose(1, 2, 0) / self._spec.preprocessing.scale + MEAN
            self.numbers.append(read_number(pixels.round().astype(np.uint8)))
        return np.zeros((len(images), *self._spec.feature_shape), np.float32)

    def classify(self, features: FloatArray) -> FloatArray:
        return np.zeros((len(features), len(self._spec.labels)), np.float32)

    def close(self) -> None:
        pass


class ListSource(Source):
    """Frames from a list, then an error if there is one."""

    def __init__(
        self,
        name: str,
        frames: Iterable[Frame],
        *,
        live: bool = False,
        error: Exception | None = None,
        at_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self.live = live
        self.closed = False
        self._frames: Iterator[Frame] = iter(frames)
        self._error = error
        self._at_end = at_end

    def __next__(self) -> Frame:
        for item in self._frames:
            return item
        self._at_end()
        raise StopIteration if self._error is None else self._error

    def close(self) -> None:
        self.closed = True


def read_in_thread(source: Source) -> tuple[threading.Thread, threading.Event]:
    """A thread that reads a source to its end, and what is set at the first frame."""
    began = threading.Event()

    def read() -> None:
        for _ in source:
            began.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread, began


class ListSink(Sink):
    """Keeps what it gets; `before` runs first."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.predictions: list[Prediction] = []
        self._before = before

    def send(self, prediction: Prediction) -> None:
        self._before()
        self.predictions.append(prediction)

    def close(self) -> None:
        pass

    def frames(self, stream: str) -> Sequence[int]:
        return [p.frame for p in self.predictions if p.stream == stream]


class OutputSink(Sink):
    """Keeps predictions and events, in their order."""

    takes = (Prediction, Event)

    def __init__(self) -> None:
        self.outputs: list[Output] = []

    def send(self, output: Output) -> None:
        self.outputs.append(output)

    def close(self) -> None:
        pass

    def events(self, stream: str) -> list[Event]:
        return [e for e in self.outputs if isinstance(e, Event) and e.stream == stream]
