"""Watch a source for a few seconds and measure what it sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from ecolite_stream.errors import SourceError
from ecolite_stream.sources.container import ContainerSource, StatedVideo
from ecolite_stream.types import Frame

LIMIT_S = 9.5
"""Opening and watching together: with the start of the program that is ten seconds."""
RECORDING_S = 2.0
"""A recording is read as fast as it decodes, and that soon tells."""
_END_S = 0.3  # what a thread in the middle of a read gets to end
_JUMP_S = 1.0
_BURST_S = 1.0  # what was buffered while the source was opened comes at once
_CLOCK_OVER_S = 2.0  # a shorter time tells nothing of a clock
_PIECES_S = 1.0  # what comes in pieces, as HLS does, neither


@dataclass(frozen=True)
class Seen:
    """A packet of the video.

    Attributes:
        arrived_s: seconds of a monotonic clock.
        stamp_s: its time of decoding by its sender's clock, in seconds; None where it has none.
        is_keyframe: whether decoding can begin with it.
        is_reordered: whether it is shown at another place than it is sent.
    """

    arrived_s: float
    stamp_s: float | None
    is_keyframe: bool
    is_reordered: bool = False


@dataclass(frozen=True)
class Measured:
    """The stated and the measured properties of a source.

    Attributes:
        source: its name, without credentials.
        live: whether it comes at its own pace.
        codec, width, height: of its video; pixels.
        fps_stated: frames a second it says; None where it does not.
        fps: frames a second that came; None where too few did.
        frames: pictures that were decoded.
        damaged: packets that could not be.
        first_picture_s: seconds from opening to the first picture.
        watched_s: seconds of the stream that were measured.
        keyframe_s: longest time between two keyframes, in seconds; None where fewer than two came.
        is_reordered: whether it has frames that wait for later ones (B-frames).
        has_times: whether it has timestamps.
        jumps: steps of its timestamps that go back, or forward by more than a second.
        clock_rate: seconds its timestamps advance per second of this machine; None if unknown, as
            for recordings and segmented streams.
        longest_silence_s: longest time between two packets, in seconds.
        decode_cores: processor seconds that a second of the stream costs to read and to decode.
        broke: the error that ended it, if one did.
        skipped_at_start: packets that could not be decoded before the first picture.
        pixel_aspect: width of a pixel by its height.
        darkest, brightest: the 1st and 99th percentile of the last picture's values, 0 to 255.
    """

    source: str
    live: bool
    codec: str
    width: int
    height: int
    fps_stated: float | None
    fps: float | None
    frames: int
    damaged: int
    first_picture_s: float
    watched_s: float
    keyframe_s: float | None
    is_reordered: bool
    has_times: bool
    jumps: int
    clock_rate: float | None
    longest_silence_s: float
    decode_cores: float | None
    broke: str | None = None
    skipped_at_start: int = 0
    pixel_aspect: float = 1.0
    darkest: float = 0.0
    brightest: float = 255.0


class Probe:
    """Opens and reads a source in a thread of its own, for a read may never return.

    Args:
        name: as people are shown it.
        open_source: opens it; called in another thread.
        clock: seconds, monotonic.
        cpu_clock: seconds that this process has computed.
    """

    def __init__(
        self,
        name: str,
        open_source: Callable[[], ContainerSource],
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._name = name
        self._open_source = open_source
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._source: ContainerSource | None = None
        self._stated: StatedVideo | None = None
        self._seen: list[Seen] = []
        self._frames = 0
        self._first_picture_s = 0.0
        self._times_s = (0.0, 0.0)
        self._last: Frame | None = None
        self._skipped_at_start = 0
        self._cpu_s = 0.0
        self._error: Exception | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"probe {name}", daemon=True)

    def measure(self, limit_s: float = LIMIT_S) -> Measured:
        """Watch it for so many seconds at most, opening included.

        Raises:
            SourceError: it cannot be opened, or shows no picture in that time.
        """
        self._thread.start()
        self._thread.join(limit_s)
        self._closing.set()
        if self._source is not None:
            self._source.close()
        self._thread.join(_END_S)
        error, stated = self._error, self._stated
        if error is not None and (not self._frames or not isinstance(error, SourceError)):
            raise error
        if stated is None:
            raise SourceError(
                f"{self._name}: it does not open in {limit_s:g} s; check that it is running"
            )
        if not self._frames:
            raise SourceError(
                f"{self._name}: it opens, but no picture comes in {limit_s:g} s; "
                "check that it is sending, and set it to a keyframe every 2 s"
            )
        return self._measured(stated, None if error is None else str(error))

    def _run(self) -> None:
        start_s = self._clock()
        try:
            source = self._source = self._open_source()
            with source:
                source.on_packet = self._see
                self._stated = source.stated
                cpu_start_s, opened_s = self._cpu_clock(), self._clock()
                for frame in source:
                    now_s = self._clock()
                    if not self._frames:
                        self._first_picture_s = now_s - start_s
                        self._times_s = (frame.time_s, frame.time_s)
                        self._skipped_at_start = source.packets_skipped
                        self._stated = source.stated  # now with the size of its pictures
                    self._frames, self._last = self._frames + 1, frame
                    self._times_s = self._times_s[0], frame.time_s
                    self._cpu_s = self._cpu_clock() - cpu_start_s
                    if self._closing.is_set():
                        break
                    if not source.live and now_s - opened_s > RECORDING_S:
                        break
        except Exception as error:  # raised or reported in `measure`
            self._error = error

    def _see(self, packet: Packet[VideoStream]) -> None:
        if packet.size == 0:
            return
        stamp = packet.pts if packet.dts is None else packet.dts
        base = packet.time_base
        self._seen.append(
            Seen(
                self._clock(),
                None if stamp is None or base is None else float(stamp * base),
                bool(packet.is_keyframe),
                None not in (packet.pts, packet.dts) and packet.pts != packet.dts,
            )
        )

    def _measured(self, stated: StatedVideo, broke: str | None) -> Measured:
        source, seen = self._source, list(self._seen)
        live = source is not None and source.live
        timed, times_s = times_of(seen, stated.has_times, forward=live)
        if live:
            watched_s, count = max(times_s) - min(times_s), len(timed)
        else:  # it is read as fast as it decodes: its own times alone count
            watched_s, count = self._times_s[1] - self._times_s[0], self._frames
        skipped = 0 if source is None else source.packets_skipped
        darkest, brightest = self._values()
        return Measured(
            source=self._name,
            live=live,
            codec=stated.codec,
            width=stated.width,
            height=stated.height,
            fps_stated=stated.fps,
            fps=(count - 1) / watched_s if watched_s > 0 else None,
            frames=self._frames,
            damaged=skipped - self._skipped_at_start,
            first_picture_s=self._first_picture_s,
            watched_s=watched_s,
            keyframe_s=keyframe_s(timed, times_s) if live or stated.has_times else None,
            is_reordered=any(packet.is_reordered for packet in seen),
            has_times=stated.has_times and len(stamped(seen)) > len(seen) / 2,
            jumps=jumps(seen, forward=live) if stated.has_times else 0,
            clock_rate=clock_rate(seen) if live and stated.has_times else None,
            longest_silence_s=longest_silence_s(seen) if live else 0.0,
            decode_cores=self._cpu_s / watched_s if watched_s > 0 else None,
            broke=broke,
            skipped_at_start=self._skipped_at_start,
            pixel_aspect=stated.pixel_aspect,
            darkest=darkest,
            brightest=brightest,
        )

    def _values(self) -> tuple[float, float]:
        """The last picture's 1st and 99th percentile; raises where it cannot be converted."""
        assert self._last is not None  # checked where pictures are counted
        low, high = np.percentile(self._last.image[::4, ::4], (1, 99))
        return float(low), float(high)


def stamped(seen: Sequence[Seen]) -> list[Seen]:
    """The packets that have a timestamp; the first of an RTSP stream often have none."""
    return [packet for packet in seen if packet.stamp_s is not None]


def times_of(
    seen: Sequence[Seen], has_times: bool, *, forward: bool = True
) -> tuple[Sequence[Seen], list[float]]:
    """Packets, and when each is due, in seconds.

    By their timestamps, where most have one and they run, or else by their arrival: then without
    those that were buffered while the source was opened, if there are enough others.
    """
    timed = stamped(seen)
    if has_times and len(timed) > len(seen) / 2 and not jumps(timed, forward=forward):
        return timed, [packet.stamp_s for packet in timed if packet.stamp_s is not None]
    steady = _after_burst(seen)
    timed = steady if len(steady) > 1 else list(seen)
    return timed, [packet.arrived_s for packet in timed]


def _after_burst(seen: Sequence[Seen]) -> list[Seen]:
    return [packet for packet in seen if packet.arrived_s >= seen[0].arrived_s + _BURST_S]


def keyframe_s(seen: Sequence[Seen], times_s: Sequence[float]) -> float | None:
    """Longest time between two keyframes, in seconds; None where fewer than two came."""
    keys_s = [t for packet, t in zip(seen, times_s, strict=True) if packet.is_keyframe]
    return max((after - before for before, after in pairwise(keys_s)), default=None)


def jumps(seen: Sequence[Seen], *, forward: bool = True) -> int:
    """Steps of the timestamps that go back, or forward by far more than usual.

    Args:
        seen: the packets.
        forward: count the latter too; in a recording they are pauses.
    """
    stamps_s = [packet.stamp_s for packet in seen if packet.stamp_s is not None]
    steps_s = [after - before for before, after in pairwise(stamps_s)]
    if not steps_s:
        return 0
    longest_s = max(_JUMP_S, 3 * median(steps_s))
    return sum(step_s < 0 or (forward and step_s > longest_s) for step_s in steps_s)


def clock_rate(seen: Sequence[Seen]) -> float | None:
    """Seconds that the timestamps advance in a second of the clock they arrive by.

    None where that cannot be told: too short a time, timestamps that jump or are missing, or
    packets that come in pieces.
    """
    steady = _after_burst(seen)
    if len(steady) < 2 or jumps(steady) or longest_silence_s(steady) > _PIECES_S:
        return None
    first, last = steady[0], steady[-1]
    if first.stamp_s is None or last.stamp_s is None:
        return None
    passed_s = last.arrived_s - first.arrived_s
    return (last.stamp_s - first.stamp_s) / passed_s if passed_s >= _CLOCK_OVER_S else None


def longest_silence_s(seen: Sequence[Seen]) -> float:
    """Longest time between the arrivals of two packets, in seconds."""
    return max((b.arrived_s - a.arrived_s for a, b in pairwise(seen)), default=0.0)
