"""The one loop that demuxes and decodes: files, cameras, streams and patterns all use it."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from ecolite_stream.config.choices import SOFTWARE
from ecolite_stream.errors import SourceError
from ecolite_stream.sources.base import Source
from ecolite_stream.sources.damage import Damage
from ecolite_stream.sources.failures import NO_SUCH_FORMAT, Problems, source_error
from ecolite_stream.sources.grey_levels import GreyLevels
from ecolite_stream.sources.hardware import DecodedBy, acceleration
from ecolite_stream.sources.picture import MOST_PIXELS, SQUARE, LazyImage
from ecolite_stream.sources.timing import Ascending, LiveTimes, RecordedTimes, StreamTimes
from ecolite_stream.sources.video_stream import pick_video_stream
from ecolite_stream.types import Frame

_log = logging.getLogger(__name__)

_FALLBACK_RATE = Fraction(25)
# More threads decode no faster than anybody recognizes, hold more pictures, and lose more of them
# where the end of a file is damaged.
_MAX_THREADS = 4
_POLL_S = 0.005
_NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS
_TRANSPORT_STREAMS = frozenset({"mpegts", "hls"})


@dataclass(frozen=True)
class Input:
    """A location for FFmpeg, with its name and errors for messages.

    Attributes:
        location: a path, a device, a URL or a filter; it may hold credentials: never print it.
        name: name for messages.
        problems: explanations of errors.
        format: FFmpeg's name of the format; None detects it.
        options: FFmpeg's options of the format and the protocol.
        open_timeout_s: how long opening may take, in seconds; None for ever.
        read_timeout_s: how long to wait for data, in seconds; None for ever.
        end_errors: numbers of errors of reading that only say that this is the end.
        decode: device that decodes the video, one of `DECODERS`.
        no_frame_advice: what may be wrong where no frame can be decoded, and what to do.
    """

    location: str = field(repr=False)
    name: str
    problems: Problems = field(repr=False)
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    open_timeout_s: float | None = None
    read_timeout_s: float | None = None
    end_errors: tuple[int, ...] = ()
    decode: str = SOFTWARE
    no_frame_advice: str = "it is damaged or empty, try it in a video player"


@dataclass(frozen=True)
class StatedVideo:
    """What a container says of its video before anything is read.

    Attributes:
        codec: FFmpeg's name of it.
        width: pixels a row.
        height: rows.
        fps: frames a second; None where it does not say.
        has_times: whether it has timestamps of its own.
        pixel_aspect: width of a pixel by its height.
    """

    codec: str
    width: int
    height: int
    fps: float | None
    has_times: bool
    pixel_aspect: float = 1.0


def open_container(what: Input) -> InputContainer:
    """Open what FFmpeg can open.

    Raises:
        SourceError: it cannot be opened.
    """
    start_s = time.monotonic()
    try:
        # As "options" they would also be given to decoders, which crashed PyAV 17 where streams
        # are not known from the beginning.
        container: InputContainer = av.open(
            what.location,
            mode="r",
            format=what.format,
            container_options=dict(what.options),
            timeout=(what.open_timeout_s, what.read_timeout_s),
            metadata_errors="replace",
            hwaccel=acceleration(what.decode),
        )
    except (FFmpegError, OSError) as error:
        late = what.open_timeout_s and time.monotonic() - start_s >= what.open_timeout_s
        # RTSP calls a timeout "invalid data".
        cause = TimeoutError(errno.ETIMEDOUT, "") if late else error
        # "from None": FFmpeg's error repeats the URL with its password.
        raise source_error(what.name, cause, what.problems) from None
    except ValueError as error:  # PyAV does not know the format, or a zero byte in a URL
        cause = OSError(NO_SUCH_FORMAT if what.format else errno.EINVAL, str(error))
        raise source_error(what.name, cause, what.problems) from None
    return container


class ContainerSource(Source):
    """Frames of the video in an opened container."""

    def __init__(
        self,
        container: InputContainer,
        what: Input,
        *,
        live: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        container: opened; the source closes it.
        what: what was opened.
        live: times are those of `LiveTimes`, delay is kept low, a broken read is an error and
            the end is worth a warning; otherwise times are those of `RecordedTimes`, and a
            broken read is where the file ends.
        clock: seconds, monotonic.

        Raises:
            SourceError: the container has no video that can be decoded.
        """
        self.name = what.name
        self.live = live
        self.end_is_worth_a_warning = live
        self.on_packet: Callable[[Packet[VideoStream]], object] = lambda packet: None
        self._container = container
        self._what = what
        self._clock = clock
        self._closing = threading.Event()
        self._busy = threading.Lock()
        try:
            self._stream = _video_stream(container, what.name)
            _check_size(self._stream, what.name)
        except SourceError:
            container.close()
            raise
        _configure_decoder(self._stream, live)
        self._damage = Damage(what.name, container, self._stream, _rate(self._stream), live=live)
        timing = _live_times if live else _recorded_times
        self._times: StreamTimes = timing(self._stream, what.name)
        self._ascending = Ascending()
        self._grey_levels = GreyLevels(what.name)
        self._decoded_by = DecodedBy(what.name, self._stream, acceleration(what.decode) is not None)
        # The last packet of a file may be torn. In a live stream bytes got lost: what is left looks
        # better than nothing, and what follows refers to it. Transport streams, alone or as pieces
        # of HLS, also mark whole packets.
        self._skip_torn = not live and container.format.name not in _TRANSPORT_STREAMS
        self._frames = self._read()

    @property
    def stated(self) -> StatedVideo:
        """What it says of itself; a stream that begins between keyframes has no size so far."""
        stream, rate = self._stream, self._stream.average_rate or self._stream.guessed_rate
        return StatedVideo(
            stream.codec_context.name,
            stream.width,
            stream.height,
            float(rate) if rate else None,
            has_times=not stream.container.format.flags & _NO_TIMESTAMPS,
            pixel_aspect=float(_pixel_aspect(stream)),
        )

    @property
    def packets_skipped(self) -> int:
        """Number of packets that could not be decoded."""
        return self._damage.packets_skipped

    def __next__(self) -> Frame:
        try:
            with self._busy:
                if not self._closing.is_set():
                    return next(self._frames)
        except BaseException:  # the end, an error or an interrupt: nothing more will come
            self.close()
            raise
        finally:
            if self._closing.is_set():
                self._release()
        raise StopIteration

    def close(self) -> None:
        """Release the file, device or connection; from any thread, without waiting."""
        self._closing.set()
        self._release()

    def _release(self) -> None:
        # Closing a container while another thread reads from it crashes. Whoever comes last, the
        # reader or the one who closes, gets the lock.
        if self._busy.acquire(blocking=False):
            try:
                self._frames.close()
                self._container.close()
            finally:
                self._busy.release()

    def _read(self) -> Generator[Frame, None, None]:
        index, time_s, decode_s = 0, 0.0, 0.0
        for packet in self._whole_packets():
            began_s = time.perf_counter()
            pictures = self._decode(packet)
            decode_s += time.perf_counter() - began_s
            for picture in pictures:
                arrived_s = self._clock()
                time_s = self._ascending.checked(self._times.time_s(picture, arrived_s))
                self._damage.decoded(time_s, flushed=packet.size == 0)
                levels = self._grey_levels.of(picture, time_s)
                from_device = self._decoded_by.is_device(picture)
                image = LazyImage(picture, _pixel_aspect(self._stream), levels, from_device)
                yield Frame(self.name, index, time_s, image, arrived_s, decode_s, image.luma)
                index, decode_s = index + 1, 0.0
        if index == 0 and not self._closing.is_set():
            raise SourceError(
                f"{self.name}: no frame can be decoded ({self._stream.codec_context.name} video); "
                f"{self._what.no_frame_advice}"
            )
        self._damage.ended()
        if self.live and self.end_is_worth_a_warning and not self._closing.is_set():
            _log.warning(
                "%s: the stream ended after %.1f s; if it should go on, see why its sender stopped",
                self.name,
                time_s,
            )

    def _decode(self, packet: Packet[VideoStream]) -> list[av.VideoFrame]:
        try:
            return packet.decode()
        except FFmpegError:
            self._damage.skipped()
            return []

    def _whole_packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets without a torn one at the end; one that others follow is only marked so."""
        torn: Packet[VideoStream] | None = None
        for packet in self._packets():
            if torn is not None and packet.size:
                yield torn
            elif torn is not None:
                self._damage.skipped()
            torn = packet if packet.is_corrupt and self._skip_torn else None
            if torn is None:
                yield packet
        if torn is not None:
            self._damage.skipped()

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets of the video, and an empty one at the end that empties the decoder.

        All streams are read, for the end of the longest of them tells whether a file is whole.
        """
        heard_s = self._clock()
        while True:
            try:
                for packet in self._container.demux():
                    heard_s = self._clock()
                    self._damage.read(packet)
                    if packet.stream is self._stream:
                        video = cast("Packet[VideoStream]", packet)
                        self.on_packet(video)
                        yield video
                return
            except IndexError:  # PyAV, at the end, where streams have come up in the middle
                return
            except av.error.BlockingIOError as error:
                # Some devices do not wait for the next picture themselves.
                if self._clock() - heard_s > (self._what.read_timeout_s or float("inf")):
                    raise self._explained(error) from None
                if self._closing.wait(_POLL_S):
                    return
            except FFmpegError as error:
                if self.live and error.errno not in self._what.end_errors:
                    raise self._explained(error) from None
                self._damage.broke()
                flush = Packet()
                flush.stream = self._stream
                yield cast("Packet[VideoStream]", flush)
                return

    def _explained(self, error: Exception) -> SourceError:
        return source_error(self.name, error, self._what.problems)


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    stream = pick_video_stream(container)
    if stream is None:
        holds = "sound but no video" if container.streams.audio else "no video"
        raise SourceError(f"{name}: holds {holds}; choose a source with pictures")
    if not stream.codec_context:
        raise SourceError(f"{name}: no decoder for its video; convert it to H.264 with ffmpeg")
    return stream


def _pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of a pixel by its height; what the container says goes before the video itself."""
    return stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or SQUARE


def _rate(stream: VideoStream) -> Fraction:
    """Frames per second."""
    return stream.average_rate or stream.guessed_rate or _FALLBACK_RATE


def _live_times(stream: VideoStream, name: str) -> LiveTimes:
    # Without timestamps in the format, as for JPEGs from web cameras, FFmpeg makes them up at 25
    # frames per second.
    made_up = stream.container.format.flags & _NO_TIMESTAMPS
    return LiveTimes(name, None if made_up else stream.time_base)


def _recorded_times(stream: VideoStream, name: str) -> RecordedTimes:
    rate = _rate(stream)
    # AVI stores the order of decoding only.
    use_dts = stream.container.format.name == "avi"
    return RecordedTimes(name, stream.time_base or 1 / rate, rate, use_dts=use_dts)


def _check_size(stream: VideoStream, name: str) -> None:
    """Refuse pictures that take too much memory, before any is decoded."""
    if stream.width * stream.height > MOST_PIXELS:
        raise SourceError(
            f"{name}: pictures of {stream.width}x{stream.height} pixels, expected at most "
            f"{MOST_PIXELS / 1e6:.0f} million (8K); set the camera to a smaller picture"
        )


def _configure_decoder(stream: VideoStream, live: bool) -> None:
    # Pictures that become larger in the middle are damaged ones for the decoder.
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    if live:  # frame threads would hold back a frame each
        stream.thread_type = "SLICE"
        stream.codec_context.flags |= Flags.low_delay
    else:
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = _MAX_THREADS
