"""The values that flow through a stream: frames in, samples, predictions and events out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, BGR."""

FloatArray = npt.NDArray[np.float32]

Luma = npt.NDArray[np.uint8]
"""(h, w) uint8, brightness alone."""

ViewKey = tuple[str, str]
"""(stream, view): what memory, events, metrics and the page keep apart. The view of a stream with
one view is the empty string."""


@dataclass(frozen=True)
class Box:
    """A rectangle in a picture, in shares of its width and height.

    Attributes:
        x: left edge, 0 to 1.
        y: upper edge, 0 to 1.
        width: above 0, to 1.
        height: above 0, to 1.
    """

    x: float
    y: float
    width: float
    height: float

    def as_list(self) -> list[float]:
        """[x, y, width, height], rounded as JSON Lines carry it."""
        return [round(value, 4) for value in (self.x, self.y, self.width, self.height)]


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
        luma: makes the brightness of the picture, (h, w) uint8 from 0 to 255, upright as `image`
            is, its long side at most so many pixels, without converting colours; None where the
            source has no such plane.
    """

    stream: str
    index: int
    time_s: float
    pixels: Image | Callable[[], Image] = field(repr=False)
    arrived_s: float | None = None
    decode_s: float | None = None
    luma: Callable[[int], Luma] | None = field(default=None, repr=False)

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
    """A frame that is due in one view of its stream, ready for the encoder.

    Attributes:
        stream: name of the stream.
        frame: index of the frame.
        time_s: stream time of the frame, in seconds.
        arrived_s: when it came, on the monotonic clock; None where nobody noted it.
        image: (3, S, S) float32; None where the view's newest feature stands in for it.
        predicts: whether a prediction is due with it.
        reset_state: whether what came before it is to be forgotten.
        ready_s: when it began to wait for the engine, on the clock of who counts; None where
            nobody does.
        view: name of the view; empty where the stream has one.
        box: where the view looked; None for the middle or the whole of the picture.
        still_s: seconds of stream time for which nothing has moved in the view.
        ends_view: nothing more comes of this view; its events end. It has no image.
    """

    stream: str
    frame: int
    time_s: float
    arrived_s: float | None
    image: FloatArray | None = field(repr=False)
    predicts: bool
    reset_state: bool = False
    ready_s: float | None = None
    view: str = ""
    box: Box | None = None
    still_s: float = 0.0
    ends_view: bool = False

    @property
    def key(self) -> ViewKey:
        """(stream, view)."""
        return self.stream, self.view

    def after(self, dropped: Sample) -> Sample:
        """This one, with what a dropped older one was to bring about."""
        return dataclasses.replace(
            self,
            image=dropped.image if self.image is None else self.image,
            predicts=self.predicts or dropped.predicts,
            reset_state=self.reset_state or dropped.reset_state,
        )

    def only_remembered(self) -> Sample:
        """This one, where a newer one makes the prediction."""
        return dataclasses.replace(self, predicts=False)


@dataclass(frozen=True)
class StreamAnchor:
    """Where the time of a stream lies in the time of day, noted once; it is recorded.

    Attributes:
        stream: name of the stream.
        zero_unix_ms: time of day at stream time 0, in milliseconds since 1970. Of a recording it is
            only used in ids.
        live: whether the times of day of the stream mean something.
        seed: random, 32 hexadecimal digits; no other anchor has it. Ids of events come from it.
    """

    stream: str
    zero_unix_ms: int
    live: bool
    seed: str

    def __post_init__(self) -> None:
        if not 0 <= self.zero_unix_ms < 2**47:
            raise ValueError(f"zero_unix_ms is {self.zero_unix_ms}; expected 0 to below 2**47")
        if len(self.seed) != 32 or set(self.seed) - set("0123456789abcdef"):
            raise ValueError(f"seed is {self.seed!r}; expected 32 hexadecimal digits")

    def unix_ms(self, time_s: float) -> int:
        """The time of day at a stream time, in milliseconds since 1970."""
        return self.zero_unix_ms + round(time_s * 1000)

    def at(self, time_s: float) -> str | None:
        """The same as ISO 8601 in UTC, such as 2026-11-28T20:37:11.250Z; None of a recording."""
        return iso_utc(self.unix_ms(time_s)) if self.live else None


def iso_utc(unix_ms: int) -> str:
    """Milliseconds since 1970 as ISO 8601: 2026-11-28T20:37:11.250Z."""
    moment = _EPOCH + timedelta(milliseconds=unix_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix_ms_of(iso: str) -> int:
    """The inverse of `iso_utc`.

    Raises:
        ValueError: it is no such time, or has no time zone.
    """
    moment = datetime.fromisoformat(iso)
    if moment.tzinfo is None:
        raise ValueError(f"{iso!r} has no time zone; expected UTC, such as 2026-11-28T20:37:11Z")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class EngineBatch:
    """What the engine is given at once, of all streams; whoever has all rounds can do them again.

    Attributes:
        number: 0, 1, 2, ...
        samples: in the order in which they are encoded.
        ended: streams that have come to their end.
        quiet: live streams without a frame for so long that what lasted there has ended.
        anchors: of the streams that began since the batch before.
    """

    number: int
    samples: tuple[Sample, ...]
    ended: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    anchors: tuple[StreamAnchor, ...] = ()


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
        view: name of the view; empty where the stream has one.
        box: where the view looked at that moment; None for the middle or the whole picture.
        known: whether it looks like what the bundle was trained on; None where the bundle has
            no bound, or the memory is less than half full.
        at: time of day of the frame, UTC, ISO 8601; None for recordings.
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
    view: str = ""
    box: Box | None = None
    known: bool | None = None
    at: str | None = None

    @property
    def key(self) -> ViewKey:
        """(stream, view)."""
        return self.stream, self.view

    def as_dict(self) -> dict[str, Any]:
        """The prediction as JSON Lines carry it, without optional keys that are None."""
        optional: dict[str, Any] = {
            "view": self.view or None,
            "box": self.box and self.box.as_list(),
            "known": self.known,
            "at": self.at,
        }
        return {
            "stream": self.stream,
            "frame": self.frame,
            "time_s": round(self.time_s, 3),
            "label": self.label,
            "score": round(self.score, 4),
            "top": [[label, round(score, 4)] for label, score in self.top],
            "memory_fill": round(self.memory_fill, 3),
            "latency_ms": None if self.latency_ms is None else round(self.latency_ms, 2),
            **{key: value for key, value in optional.items() if value is not None},
        }


EventKind = Literal["start", "update", "end"]


@dataclass(frozen=True)
class Event:
    """An action in one stream, from its start to its end; told when it starts and when it ends.

    Attributes:
        id: the same in all messages about one event. Of a pipeline's events a UUID that no other
            event of any run has, and that sorts by the time of the start; else STREAM@START.
        stream: the name of the stream.
        label: the action.
        start_s: stream time of the prediction that it began with, in seconds.
        end_s: stream time at which it ended, in seconds; None while it lasts.
        peak_score: its best score so far, 0 to 1.
        mean_score: the mean of its scores so far, 0 to 1.
        kind: `start`, `update` (it still lasts) or `end`.
        view: name of the view; empty where the stream has one.
        box: where the view looked when the event began.
        started_at: time of day of its start, UTC, ISO 8601; None for recordings.
        ended_at: time of day of its end, likewise; None while it lasts.
        lost: it ended because its live stream fell silent.
    """

    id: str
    stream: str
    label: str
    start_s: float
    end_s: float | None
    peak_score: float
    mean_score: float
    kind: EventKind
    view: str = ""
    box: Box | None = None
    started_at: str | None = None
    ended_at: str | None = None
    lost: bool = False

    @property
    def key(self) -> ViewKey:
        """(stream, view)."""
        return self.stream, self.view

    def as_dict(self) -> dict[str, Any]:
        """The event as JSON Lines carry it, without optional keys that are None."""
        optional: dict[str, Any] = {
            "view": self.view or None,
            "box": self.box and self.box.as_list(),
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "lost": self.lost or None,
        }
        return {
            "event": self.id,
            "kind": self.kind,
            "stream": self.stream,
            "label": self.label,
            "start_s": round(self.start_s, 3),
            "end_s": None if self.end_s is None else round(self.end_s, 3),
            "peak_score": round(self.peak_score, 4),
            "mean_score": round(self.mean_score, 4),
            **{key: value for key, value in optional.items() if value is not None},
        }


Output = Prediction | Event
"""What a stream leads to."""

Sent = Output | EngineBatch
"""What sinks take: what streams lead to, and, where it is recorded, what that was made from."""
