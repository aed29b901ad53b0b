"""The thread that opens and reads one stream and queues its due frames."""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ecolite_stream.config.schema import ReconnectConfig, StreamConfig
from ecolite_stream.engines.cores import usable_cores
from ecolite_stream.errors import EcoliteError, SourceError
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.sample_queue import SampleQueue, StreamQueue
from ecolite_stream.recognition.models import Model
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.sources import Source
from ecolite_stream.sources.reconnect import Reconnecting
from ecolite_stream.types import Frame, Sample

_log = logging.getLogger(__name__)

_SAMPLING = threading.Semaphore(max(1, len(usable_cores()) // 2))
"""Readers of this process that sample a frame at once.

Sampling is many short calls of OpenCV, each of which gives up Python's lock and takes it again.
Without a limit the readers wait for that lock in turns, and the engine with all of them.
"""
_MOST_UNUSABLE = 25
"""Unusable due pictures in a row at which the source counts as broken."""


@dataclass(frozen=True)
class StreamInput:
    """A stream to watch.

    Attributes:
        name: distinct, without credentials.
        open: opens the source; it may take long and raise a SourceError.
        reconnect: how to reopen a lost source; None never reopens it.
        settings: of this stream; None takes those of the run.
        configured: `settings` without the views that were drawn on the page.
        source: as configured, credentials included.
        on_sampled: called with each due frame and whether its source is live, in the reading
            thread: it must not wait.
    """

    name: str
    open: Callable[[], Source]
    reconnect: ReconnectConfig | None = None
    settings: StreamConfig | None = None
    configured: StreamConfig | None = None
    source: str = field(default="", repr=False)
    on_sampled: Callable[[Frame, bool], object] = lambda frame, live: None


def opened(source: Source) -> StreamInput:
    """A stream of an open source."""
    return StreamInput(source.name, lambda: source)


def raise_source_errors(broken: Sequence[tuple[str, SourceError]], count: int) -> None:
    """Raise a SourceError for the streams that failed, by name, of `count` streams."""
    if count == 1 and broken:
        raise broken[0][1]
    if broken:
        names = ", ".join(name for name, _ in broken)
        raise SourceError(
            f"{len(broken)} of {count} sources failed before their end: "
            f"{names}; see the errors above"
        )


class Reader:
    """Reads one stream to its end.

    A recording waits for the engine and loses no frame. A live source is read at its own speed;
    its oldest due frames are dropped when the engine is too slow.

    Args:
        stream: the stream to open.
        sampler: selects due frames.
        queue: receives samples.
        metrics: counters.
        show: called with each frame, due or not, and whether its source is live.
        on_error: called with the stream's name and the error that ended it.
        silence_s: seconds without a frame after which events of a live stream end.
        model: number and model that the sampler's samples are for.
        on_end: called with the stream's name at the end of the thread.
    """

    def __init__(
        self,
        stream: StreamInput,
        sampler: StreamSampler,
        queue: SampleQueue,
        metrics: Metrics,
        show: Callable[[Frame, bool], object],
        on_error: Callable[[str, BaseException], None],
        silence_s: float,
        model: tuple[int, Model],
        on_end: Callable[[str], object] = lambda name: None,
    ) -> None:
        self._on_end = on_end
        self._silence_s = silence_s
        self._removed = False
        self.name = stream.name
        self.frames_dropped = 0
        self._stream = stream
        self._sampler = sampler
        self._queue = queue
        self._metrics = metrics
        self._show = show
        self._on_error = on_error
        self._source: Source | None = None
        self._stopping = threading.Event()
        self._state = ""
        self._has_usable = False
        self._unusable = 0
        self._unusable_in_a_row = 0
        self._camera_moves = False
        self._model = model
        self._next_model: tuple[int, Model] | None = None
        self._new_settings: StreamConfig | None = None
        self._has_ended = False
        self._changing = threading.Lock()  # of the four above, and of `_removed`
        # A daemon: a blocked camera read must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=f"read {self.name}", daemon=True)

    def start(self) -> None:
        """Start the thread, which opens and reads the source."""
        self._thread.start()

    def stop(self) -> None:
        """Request the end; never wait."""
        self._stopping.set()
        if self._source is not None:
            self._source.close()

    def change_views(self, settings: StreamConfig) -> None:
        """Take views and mask of other settings from the next frame on; never wait."""
        with self._changing:
            self._new_settings = settings

    def change_model(self, number: int, model: Model) -> None:
        """Make samples for another model from the next frame on; never wait."""
        with self._changing:
            self._next_model = (number, model)

    @property
    def models(self) -> set[int]:
        """Numbers of the models that later samples may be for."""
        with self._changing:
            if self._has_ended or self._removed:  # it may be blocked in a read for ever
                return set()
            coming = set() if self._next_model is None else {self._next_model[0]}
            return {self._model[0], *coming}

    @property
    def is_removed(self) -> bool:
        """Whether the stream was removed from the run."""
        return self._removed

    @property
    def has_ended(self) -> bool:
        """Whether the thread has ended or never began: no more samples come."""
        return self._has_ended or self._thread.ident is None

    def remove(self) -> None:
        """Stop and report nothing more of the stream; never wait."""
        self._report("ended")
        with self._changing:
            self._removed = True
            has_ended = self._has_ended
        self.stop()
        if not has_ended:
            self._queue.end(self.name)

    def join(self, timeout_s: float) -> None:
        """Wait for the thread, and log what was dropped: a read may block for ever."""
        if self._thread.ident is not None:  # it was started
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.warning("%s: still blocked in a read; left behind", self.name)
        if not self._removed:
            self._log_dropped()

    def _log_dropped(self) -> None:
        if self.frames_dropped:
            _log.warning(
                "%s: %d due frames were dropped to keep up", self.name, self.frames_dropped
            )

    def _open(self) -> Source:
        stream, metrics = self._stream, self._metrics
        if stream.reconnect is None:
            return stream.open()
        return Reconnecting(
            self.name,
            stream.open,
            stream.reconnect,
            on_state=self._report,
            on_reconnect=metrics.reconnects.labels(self.name).inc,
        )

    def _report(self, state: str) -> None:
        if self._removed:  # a new reader may have the name by now
            return
        self._metrics.state(self.name, state)
        if state != self._state:
            self._state = state
            _log.info("%s: %s", self.name, state)

    def _run(self) -> None:
        end = "ended"
        self._report("connecting")
        try:
            with self._open() as self._source:
                if not self._stopping.is_set():
                    self._read(self._source)
        except BaseException as error:
            end = "failed"
            if not self._stopping.is_set():
                self._on_error(self.name, self._of_this_stream(error))
        finally:
            with self._changing:
                self._has_ended = True
                removed = self._removed
            if removed:
                self._log_dropped()
            else:
                self._report(end)
                self._queue.end(self.name)
            self._on_end(self.name)

    def _read(self, source: Source) -> None:
        with self._changing:
            if self._removed:
                return
            self._queue.open(self.name, self._stream_queue(source.live))
        self._report("live")
        frames_read = self._metrics.frames_read.labels(self.name)
        frames_due = self._metrics.frames_due.labels(self.name)
        decode = self._metrics.stages["decode"]
        for frame in source:
            frames_read.inc()
            if frame.decode_s is not None:
                decode.observe(frame.decode_s)
            self._show(frame, source.live)
            self._adopt_model()
            samples = self._usable(source, functools.partial(self._sample, frame))
            if not samples:
                continue
            frames_due.inc()
            self._stream.on_sampled(frame, source.live)
            if self._stopping.is_set() or not self._queue.put(*samples):
                return
        last = self._usable(source, self._last_samples)
        if self._unusable and not self._has_usable:
            raise SourceError(f"{self.name}: no picture is usable; convert it to H.264")
        if last and not self._stopping.is_set():
            self._queue.put(*last)

    def _usable(self, source: Source, sample: Callable[[], list[Sample]]) -> list[Sample]:
        """The samples; none if no frame is due or the picture is unusable.

        Raises:
            SourceError: like `_skip`.
        """
        try:
            made = sample()
        except Exception as error:  # from FFmpeg, OpenCV, NumPy or memory: skip the picture
            self._skip(source, error)
            return []
        if made:
            self._has_usable, self._unusable_in_a_row = True, 0
        return made

    def _skip(self, source: Source, error: Exception) -> None:
        """Count an unusable picture; too many in a row mean a broken source.

        Raises:
            SourceError: the source is broken and not reopened.
        """
        self._unusable += 1
        self._unusable_in_a_row += 1
        self._metrics.frames_due.labels(self.name).inc()
        self._metrics.dropped(self.name, "unusable")
        why = str(error) or type(error).__name__
        if self._unusable == 1:
            _log.warning(
                "%s: skipped an unusable picture: %s; later ones are only counted", self.name, why
            )
            _log.debug("%s: unusable picture", self.name, exc_info=error)
        if self._unusable_in_a_row >= _MOST_UNUSABLE:
            self._unusable_in_a_row = 0
            broken = SourceError(
                f"{self.name}: {_MOST_UNUSABLE} pictures in a row are unusable: {why}"
            )
            if not isinstance(source, Reconnecting):
                raise broken from error
            source.lose(broken)

    def _of_this_stream(self, error: BaseException) -> BaseException:
        """The error as a SourceError, so that an unexpected one ends only this stream."""
        if isinstance(error, EcoliteError) or not isinstance(error, Exception):
            return error
        _log.error("%s: unexpected error; report it", self.name, exc_info=error)
        return SourceError(f"{self.name}: {type(error).__name__}: {error}; report it")

    def _sample(self, frame: Frame) -> list[Sample]:
        """A sample of the frame for each view in which it is due."""
        clock = self._metrics.clock
        ended: list[Sample] = []
        with self._changing:
            settings, self._new_settings = self._new_settings, None
        if settings is not None:
            ended = self._sampler.change_views(settings, frame)
        with _SAMPLING:
            began_s = clock()
            samples = ended + self._sampler.sample(frame)
        self._notice_the_camera()
        if not samples:
            return []
        ready_s = clock()
        self._metrics.stages["preprocess"].observe(ready_s - began_s)
        return [
            dataclasses.replace(sample, ready_s=ready_s, model=self._model[0]) for sample in samples
        ]

    def _notice_the_camera(self) -> None:
        """Report when the camera begins to move or comes to rest."""
        moves = self._sampler.camera_moves
        if moves:
            self._metrics.frames_not_followed.labels(self.name).inc()
        if moves == self._camera_moves:
            return
        self._camera_moves = moves
        if moves:
            _log.info("%s: the camera moves; views that follow show the middle square", self.name)
        else:
            _log.info("%s: the camera is at rest; views follow again", self.name)

    def _last_samples(self) -> list[Sample]:
        return [
            dataclasses.replace(sample, model=self._model[0]) for sample in self._sampler.finish()
        ]

    def _adopt_model(self) -> None:
        """Change to the next model, if there is one: all samples for the last one are queued."""
        with self._changing:
            if self._next_model is None:
                return
            before, self._model = self._model[1], self._next_model
            self._next_model = None
        model = self._model[1]
        self._sampler.change_bundle(model.spec, model.has_features_of(before))
        self._queue.resize(self.name, self._capacity())

    def _stream_queue(self, live: bool) -> StreamQueue:
        """A queue with room for the samples between two predictions and one more."""
        return StreamQueue(self._capacity(), live, self._dropped, self._silence_s)

    def _capacity(self) -> int:
        return self._sampler.samples_per_prediction + 1

    def _dropped(self, cause: str) -> None:
        self.frames_dropped += 1
        self._metrics.dropped(self.name, cause)
