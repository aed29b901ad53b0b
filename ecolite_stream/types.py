"""The values that flow through a stream: frames in, samples, predictions and events out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, BGR."""

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of one stream.

    Attributes:
        stream: the name of the stream the frame belongs to.
        index: 0-based number of the frame in its stream; frames that were dropped leave a hole.
        time_s: stream time in seconds, 0 at the first frame, more with every frame: a file's
            timestamps, or a live source's anchored to a monotonic clock; never the wall clock.
        pixels: the picture, (H, W, 3) uint8 BGR, or a function that makes it. Decoders hand over
            a function, so that frames nobody samples are never converted to BGR.
        arrived_s: when the picture came out of its decoder or device, in seconds on the source's
            monotonic clock (`time.monotonic`); None for frames that no source made.
        decode_s: seconds the decoder took since the frame before; None where no decoder was.
    """

    stream: str
    index: int
    time_s: float
    pixels: Image | Callable[[], Image] = field(repr=False)
    arrived_s: float | None = None
    decode_s: float | None = None

    @property
    def image(self) -> Image:
        """The picture, (H, W, 3) uint8 BGR."""
        return self.pixels() if callable(self.pixels) else self.pixels

    @property
    def num_bytes(self) -> int:
        """Memory that the picture takes, in bytes; 0 where what makes it does not say."""
        return int(getattr(self.pixels, "nbytes", 0))


@dataclass(frozen=True, eq=False)
class Sample:
    """A frame that is due, ready for the encoder.

    Attributes:
        stream: name of the stream.
        frame: index of the frame.
        time_s: stream time of the frame, in seconds.
        arrived_s: when it came, on the monotonic clock; None where nobody noted it.
        image: (3, S, S) float32.
        predicts: whether a prediction is due with it.
        reset_state: whether what came before it is to be forgotten.
        ready_s: when it began to wait for the engine, on the clock of who counts; None where
            nobody does.
    """

    stream: str
    frame: int
    time_s: float
    arrived_s: float | None
    image: FloatArray = field(repr=False)
    predicts: bool
    reset_state: bool = False
    ready_s: float | None = None

    def after(self, dropped: Sample) -> Sample:
        """This one, with what a dropped older one was to bring about."""
        return dataclasses.replace(
            self,
            predicts=self.predicts or dropped.predicts,
            reset_state=self.reset_state or dropped.reset_state,
        )

    def only_remembered(self) -> Sample:
        """This one, where a newer one makes the prediction."""
        return dataclasses.replace(self, predicts=False)


@dataclass(frozen=True, eq=False)
class EngineBatch:
    """What the engine is given at once, of all streams; whoever has all rounds can do them again.

    Attributes:
        number: 0, 1, 2, ...
        samples: in the order in which they are encoded.
        ended: streams that have come to their end.
    """

    number: int
    samples: tuple[Sample, ...]
    ended: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """What the network makes of the memory of one stream at one moment.

    Attributes:
        stream: the name of the stream.
        frame: index of the newest frame behind the prediction.
        time_s: stream time of that frame, in seconds.
        label: the most probable action.
        score: its probability, 0 to 1.
        top: the best (label, score) pairs, best first.
        memory_fill: share of the memory's segments that had been seen, 0 to 1.
        latency_ms: time from the frame's arrival to this prediction's sink; None where nobody
            measured it.
        arrived_s: when the frame arrived, in seconds of the monotonic clock, if that is known.
    """

    stream: str
    frame: int
    time_s: float
    label: str
    score: float
    top: tuple[tuple[str, float], ...]
    memory_fill: float
    latency_ms: float | None = None
    arrived_s: float | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """The prediction as JSON Lines carry it."""
        return {
            "stream": self.stream,
            "frame": self.frame,
            "time_s": round(self.time_s, 3),
            "label": self.label,
            "score": round(self.score, 4),
            "top": [[label, round(score, 4)] for label, score in self.top],
            "memory_fill": round(self.memory_fill, 3),
            "latency_ms": None if self.latency_ms is None else round(self.latency_ms, 2),
        }


EventKind = Literal["start", "update", "end"]


@dataclass(frozen=True)
class Event:
    """An action in one stream, from its start to its end; told when it starts and when it ends.

    Attributes:
        id: the same in all that is told of one event, and of no other event of the run.
        stream: the name of the stream.
        label: the action.
        start_s: stream time of the prediction that it began with, in seconds.
        end_s: stream time at which it ended, in seconds; None while it lasts.
        peak_score: its best score so far, 0 to 1.
        mean_score: the mean of its scores so far, 0 to 1.
        kind: `start`, `update` (it still lasts) or `end`.
    """

    id: str
    stream: str
    label: str
    start_s: float
    end_s: float | None
    peak_score: float
    mean_score: float
    kind: EventKind

    def as_dict(self) -> dict[str, Any]:
        """The event as JSON Lines carry it."""
        return {
            "event": self.id,
            "kind": self.kind,
            "stream": self.stream,
            "label": self.label,
            "start_s": round(self.start_s, 3),
            "end_s": None if self.end_s is None else round(self.end_s, 3),
            "peak_score": round(self.peak_score, 4),
            "mean_score": round(self.mean_score, 4),
        }


Output = Prediction | Event
"""What a stream leads to."""

Sent = Output | EngineBatch
"""What sinks take: what streams lead to, and, where it is recorded, what that was made from."""
