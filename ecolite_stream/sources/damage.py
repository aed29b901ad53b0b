"""Detect damaged video and warn once."""

from __future__ import annotations

import logging
from fractions import Fraction

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

_log = logging.getLogger(__name__)

_AV_TIME_BASE = 1_000_000
# Containers round, and streams do not all end at the same moment.
_TOLERANCE_S = 0.5
_TS_PACKET_SIZES = (188, 192, 204)


class Damage:
    """Counts packets that cannot be decoded and detects files that are cut off."""

    def __init__(
        self,
        name: str,
        container: InputContainer,
        stream: VideoStream,
        rate: Fraction,
        *,
        live: bool,
    ) -> None:
        """Args:
        name: the source, for the warnings.
        container: asked how long the recording says it is.
        stream: the video in it.
        rate: its frames per second.
        live: warn of a damaged packet at once; a file waits to see whether it was the last.
        """
        self.packets_skipped = 0
        self._name = name
        self._live = live
        self._period_s = float(1 / rate)
        self._length_s = None if live else _length_s(container, stream, rate)
        self._torn = not live and _is_torn_transport_stream(container)
        self._reached_s = 0.0
        self._shown_s = 0.0
        self._longest_gap_s = 0.0
        self._skipped_since_decoded = 0
        self._decoded = False
        self._warned = False

    def read(self, packet: Packet[Stream]) -> None:
        """Note how far the recording has been read.

        A length counts from 0 in some containers, from the first timestamp in others: taking the
        timestamp as it is never makes a whole file seem cut off.
        """
        if self._live:  # it has no end to miss
            return
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is not None and packet.time_base:
            ticks, base = stamp + (packet.duration or 0), packet.time_base
            # The nearest float, as of a Fraction, which takes ten times as long for each packet.
            self._reached_s = max(self._reached_s, ticks * base.numerator / base.denominator)

    def decoded(self, time_s: float, *, flushed: bool) -> None:
        """Note that a frame was decoded.

        Args:
            time_s: its stream time.
            flushed: whether the decoder only gave what it still held when the end had come.
        """
        if self._skipped_since_decoded and not flushed:
            if self._decoded:
                self._warn_of_skips()
            else:
                self._report_start()
            self._skipped_since_decoded = 0
        self._decoded = True
        self._longest_gap_s = max(self._longest_gap_s, time_s - self._shown_s)
        self._shown_s = time_s

    def skipped(self) -> None:
        """Note a piece that could not be decoded."""
        self.packets_skipped += 1
        self._skipped_since_decoded += 1
        if self._live and self._decoded:
            self._warn_of_skips()

    def broke(self) -> None:
        """Note that the recording cannot be read any further."""
        self._torn = True

    def ended(self) -> None:
        """Warn if the recording ended too early."""
        if self._live:
            return
        end_s = self._shown_s + self._period_s
        reached_s = max(self._reached_s, end_s)
        tolerance_s = _TOLERANCE_S + self._longest_gap_s  # the last frame may stay as long
        short = self._length_s is not None and reached_s < self._length_s - tolerance_s
        if short or self._torn or self._skipped_since_decoded:
            of = f" of {self._length_s:.1f} s" if self._length_s and short else ""
            _log.warning("%s ended at %.1f s%s: the file seems cut off", self._name, end_s, of)

    def _report_start(self) -> None:
        _log.info(
            "%s: %d packets before the first picture cannot be decoded: the stream starts between "
            "keyframes or is damaged",
            self._name,
            self._skipped_since_decoded,
        )

    def _warn_of_skips(self) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s: skipped damaged video at %.1f s; later damage is only counted",
                self._name,
                self._shown_s,
            )


def _length_s(container: InputContainer, stream: VideoStream, rate: Fraction) -> float | None:
    """What the header says, in seconds; FFmpeg corrects an AVI's duration by the file's size."""
    if container.format.name == "avi" and stream.frames:
        return float(stream.frames / rate)
    return container.duration / _AV_TIME_BASE if container.duration else None


def _is_torn_transport_stream(container: InputContainer) -> bool:
    """A transport stream has no header that says its length, but consists of equal pieces."""
    return (
        container.format.name == "mpegts"
        and container.size > 0
        and all(container.size % size for size in _TS_PACKET_SIZES)
    )
