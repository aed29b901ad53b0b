"""The values that flow through a stream: frames in, samples, predictions and events out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:  # importing NumPy would double the time of --help
    import numpy as np
    import numpy.typing as npt

Image: TypeAlias = "npt.NDArray[np.uint8]"
"""(H, W, 3) uint8, BGR."""

FloatArray: TypeAlias = "npt.NDArray[np.float32]"

Luma: TypeAlias = "npt.NDArray[np.uint8]"
"""(h, w) uint8, brightness alone."""

ViewKey = tuple[str, str]
"""(stream, view): the key of memory, events, metrics and page tiles. The view is empty in a stream
with one view."""


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
        index: 0-based number of the frame in its stream; dropped frames leave gaps.
        time_s: stream time in seconds, ascending from 0 at the first frame: a file's timestamps,
            or a live source's, anchored to a monotonic clock; never the time of day.
        pixels: the picture, (H, W, 3) uint8 BGR, or a function that makes it, so that frames that
            are not sampled are never converted to BGR.
        arrived_s: when the picture left its decoder or device, in seconds on the source's
            monotonic clock (`time.monotonic`); None for frames without a source.
        decode_s: seconds of decoding since the frame before; None without a decoder.
        luma: makes the brightness of the picture, (h, w) uint8, upright, its long side at most the
            given number of pixels, without converting colours; None if the source has none.
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
        """Memory of the picture in bytes; 0 if unknown."""
        return int(getattr(self.pixels, "nbytes", 0))


@dataclass(frozen=True, eq=False)
class Sample:
    """A frame that is due in one view of its stream, ready for the encoder.

    Attributes:
        stream: name of the stream.
        frame: index of the frame.
        time_s: stream time of the frame, in seconds.
        arrived_s: arrival of the frame on the monotonic clock; None if unknown.
        image: (3, S, S) float32; None repeats the view's newest feature.
        predicts: whether a prediction is due with it.
        reset_state: whether to reset the view's state first.
        ready_s: when it began to wait for the engine, on the clock of the metrics; None if unknown.
        view: name of the view; empty in a stream with one view.
        box: where the view looked; None for the middle or the whole picture.
        still_s: seconds of stream time for which nothing has moved in the view.
        ends_view: whether the view ends here, with its events. Such a sample has no image.
        model: number of the model that its image was made for; 0 is the model at the start.
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
    model: int = 0

    @property
    def key(self) -> ViewKey:
        """(stream, view)."""
        return self.stream, self.view

    def after(self, dropped: Sample) -> Sample:
        """This sample, with the effects of an older dropped one."""
        return dataclasses.replace(
            self,
            image=dropped.image if self.image is None else self.image,
            predicts=self.predicts or dropped.predicts,
            reset_state=self.reset_state or dropped.reset_state,
        )

    def only_remembered(self) -> Sample:
        """This sample without its prediction: a newer one makes it."""
        return dataclasses.replace(self, predicts=False)


@dataclass(frozen=True)
class StreamAnchor:
    """The time of day of a stream, read once at its start and recorded.

    A stream that gets ahead of it gets an earlier one, with the same seed.

    Attributes:
        stream: name of the stream.
        zero_unix_ms: time of day at stream time 0, in milliseconds since 1970. For a file it only
            serves ids.
        live: whether the stream has times of day.
        seed: random and unique, 32 hexadecimal digits; part of event ids.
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

    def earlier(self, by_s: float) -> StreamAnchor:
        """The anchor of a stream that is so far ahead of this one."""
        zero_unix_ms = max(0, self.zero_unix_ms - round(1000 * by_s))
        return StreamAnchor(self.stream, zero_unix_ms, self.live, self.seed)

    def unix_ms(self, time_s: float) -> int:
        """The time of day at a stream time, in milliseconds since 1970."""
        return self.zero_unix_ms + round(time_s * 1000)

    def at(self, time_s: float) -> str | None:
        """The same as ISO 8601 in UTC, such as 2026-11-28T20:37:11.250Z; None for a file."""
        return iso_utc(self.unix_ms(time_s)) if self.live else None


def iso_utc(unix_ms: int) -> str:
    """Milliseconds since 1970 as ISO 8601: 2026-11-28T20:37:11.250Z."""
    moment = _EPOCH + timedelta(milliseconds=unix_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix_ms_of(iso: str) -> int:
    """The inverse of `iso_utc`.

    Raises:
        ValueError: the text is not ISO 8601 or has no time zone.
    """
    moment = datetime.fromisoformat(iso)
    if moment.tzinfo is None:
        raise ValueError(f"{iso!r} has no time zone; expected UTC, such as 2026-11-28T20:37:11Z")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class EngineBatch:
    """One batch of samples for the engine, of all streams. All batches of a run replay it.

    Attributes:
        number: 0, 1, 2, ...
        samples: in encoding order.
        ended: streams that have ended.
        quiet: live streams without a frame for so long that their events end.
        anchors: of streams that began, or got an earlier anchor, since the batch before.
    """

    number: int
    samples: tuple[Sample, ...]
    ended: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    anchors: tuple[StreamAnchor, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """The labels and scores of a view at one time.

    Attributes:
        stream: the name of the stream.
        frame: index of the newest frame behind the prediction.
        time_s: stream time of that frame, in seconds.
        label: the most probable action.
        score: its probability, 0 to 1.
        top: the best (label, score) pairs, best first.
        memory_fill: share of the memory's segments that are real, 0 to 1.
        latency_ms: time from the frame's arrival to the sink; None if not measured.
        arrived_s: arrival of the frame in seconds of the monotonic clock; None if unknown.
        view: name of the view; empty in a stream with one view.
        box: where the view looked; None for the middle or the whole picture.
        known: whether the clip resembles the training data; None without a bound in the bundle,
            or with a memory less than half full.
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
class LeaseMark:
    """The lease under which a machine of a fleet saw an event.

    Attributes:
        machine: name of the machine.
        number: of the lease; the next lease of the same camera has a larger one.
        run: 32 hexadecimal digits; no other lease has them.
        seen_ms: when the machine last saw the event, on the database's clock, ms since 1970.
    """

    machine: str
    number: int
    run: str
    seen_ms: int


@dataclass(frozen=True)
class Event:
    """An action in a view, from its start to its end; reported at both.

    Attributes:
        id: the same in all messages about one event. A pipeline's ids are UUIDs, unique across
            runs, that sort by start time; others are STREAM@START.
        stream: the name of the stream.
        label: the action.
        start_s: stream time of the prediction that it began with, in seconds.
        end_s: stream time at which it ended, in seconds; None while it lasts.
        peak_score: its best score so far, 0 to 1.
        mean_score: the mean of its scores so far, 0 to 1.
        kind: `start`, `update` (it still lasts) or `end`.
        view: name of the view; empty in a stream with one view.
        box: where the view looked at the start.
        started_at: time of day of its start, UTC, ISO 8601; None for recordings.
        ended_at: time of day of its end, likewise; None while it lasts.
        lost: whether it ended because its live stream fell silent.
        bundle: digest of the bundle that it began with; empty if unknown. JSON Lines omit it.
        lease: the lease under which it was seen; None outside of a fleet.
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
    bundle: str = field(default="", compare=False)
    lease: LeaseMark | None = field(default=None, repr=False, compare=False)

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
            "machine": self.lease and self.lease.machine,
            "lease": self.lease and self.lease.number,
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
"""The outputs of a stream."""

Sent = Output | EngineBatch
"""What sinks receive: outputs and, for recordings, the batches behind them."""
