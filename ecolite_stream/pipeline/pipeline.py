"""Connects streams, the engine and sinks; the only module that knows every stage.

    source -> Reader: due frames -> SampleQueue -> EngineThread: batches -> SinkWorker -> sink
    one thread per stream           one queue each   one thread              one thread each

The queue of a recording waits and loses nothing; that of a live source keeps the newest samples and
counts dropped ones. A full worker makes recordings wait; of a live stream it keeps the newest
prediction and all events that fit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence

import cv2

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.views import several_view_names
from ecolite_stream.engines.base import Engine
from ecolite_stream.engines.own_thread import OwnThreadEngine
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.engine_thread import EngineThread
from ecolite_stream.pipeline.models_in_use import ModelsInUse, check_change
from ecolite_stream.pipeline.reader import Reader, StreamInput, raise_source_errors
from ecolite_stream.pipeline.run_sinks import RunSinks
from ecolite_stream.pipeline.sample_queue import SampleQueue
from ecolite_stream.pipeline.stream_table import StreamTable
from ecolite_stream.pipeline.wall_clock import WallClock
from ecolite_stream.recognition.events import silence_s
from ecolite_stream.recognition.models import Model
from ecolite_stream.recognition.recognizer import check_fits
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.recognition.step import BatchStep
from ecolite_stream.sinks import Sink
from ecolite_stream.types import EngineBatch, Sent

logger = logging.getLogger(__name__)

_POLL_S = 0.2
_REMOVE_S = 5.0
_PAUSED = ""  # stands for paused streams in the queue: no stream has this name
_STAYS = "\0"  # stands for streams that may be added to a run without any, likewise
SHUTDOWN_S = 1.2
"""Seconds in which all threads together must end after a stop."""


class Pipeline:
    """Watches streams until all of them have ended.

    The engine is opened first, then the sources, each in its own thread. OpenCV gets one thread.

    Args:
        streams: their names must differ. The pipeline opens and closes them.
        open_engine: makes a warm engine; called in the thread that uses it.
        model: the bundle with its digest, which events carry; or its description alone.
        sinks: receive predictions, events and frames, each in its own thread, which enters and
            closes the sink. An error of the first sink ends the run; those of others are logged
            and counted.
        config: memory policy, period and smoothing.
        metrics: counters of the run.
        clock: time of day for live streams.
        admit: called in the engine's thread with each output; returns those that go to the sinks.
        stays: go on without streams until `stop`.

    Raises:
        ConfigError: the configuration contradicts the bundle.
    """

    def __init__(
        self,
        streams: Sequence[StreamInput],
        open_engine: Callable[[], Engine],
        model: Model | ModelSpec,
        sinks: Sequence[Sink],
        config: StreamConfig | None = None,
        metrics: Metrics | None = None,
        clock: WallClock | None = None,
        admit: Callable[[Sent], Iterable[Sent]] = lambda output: (output,),
        stays: bool = False,
    ) -> None:
        config = config or StreamConfig()
        model = model if isinstance(model, Model) else Model(model)
        check_fits(config, model.spec)
        self._metrics = metrics or Metrics()
        self._sinks = RunSinks(sinks, self._metrics)
        self._config = config
        self._models = ModelsInUse(model)
        self._queue = SampleQueue(clock)
        self._admit = admit
        if stays:
            self._queue.expect(_STAYS)
        self._swapping = threading.Lock()  # one change of the bundle at a time
        self._lock = threading.Lock()  # of the two below, and of changes of the models in use
        self._streams = StreamTable(config)
        self._leaving: set[str] = set()  # removed streams that have not ended yet
        self._running = False
        for stream in streams:
            self._prepare(stream)
        self._engine_thread = EngineThread(
            open_engine,
            BatchStep(self._models.by_number, self._streams.settings, self._metrics),
            self._queue,
            self._publish,
            lambda: self._sinks.have_room,
            self._drop_unused,
            self._forget_ended,
        )
        self._stopping = threading.Event()
        self._broken: dict[str, SourceError] = {}
        self._fatal: BaseException | None = None

    def run(self) -> None:
        """Send predictions to the sinks until every stream has ended.

        Raises:
            SourceError: a source failed; the others were read to their ends.
            EngineError: the engine failed; all streams were stopped.
            Exception: an error of the first sink.
        """
        cv2.setNumThreads(1)  # of the process: for small pictures its threads mostly wait
        self._sinks.start(self._streams.most_per_batch(), self._queue.wake)
        try:
            self._engine_thread.start()
            if self._waits_for(self._engine_thread.engine_is_open):
                with self._lock:
                    self._running = True
                    for reader in self._streams.readers.values():
                        reader.start()
                self._waits_for(self._engine_thread.done)
            if self._engine_thread.done.is_set():
                self._sinks.end()
            while not self._ends() and not self._sinks.join(_POLL_S):
                pass
        finally:
            self.stop()
            self._join()
        self._raise_what_failed()

    def stop(self) -> None:
        """End all streams now, from any thread. Pending predictions are still delivered."""
        self._stopping.set()
        self._queue.close()
        for reader in self._all_readers():
            reader.stop()
        self._sinks.hurry()

    def add(self, stream: StreamInput) -> None:
        """Watch one more stream; call it from any thread, before or during the run.

        Raises:
            ConfigError: the name is taken, or the settings contradict the bundle.
        """
        with self._lock:
            self._streams.check_free(stream.name)
            is_again = stream.name in self._streams.readers
        if is_again and not self._queue.wait_for_end(stream.name, _REMOVE_S):
            raise ConfigError(f"stream {stream.name!r} is still being removed; try again")
        with self._lock:
            self._streams.check_free(stream.name)  # another thread may have added it meanwhile
            self._forget(stream.name)
            reader = self._prepare(stream)
            views = several_view_names((stream.settings or self._config).views)
            self._sinks.add_stream(stream.name, views, self._streams.most_per_batch())
            if self._running:
                reader.start()

    def remove(self, name: str) -> None:
        """Stop watching a stream and end its events; call it from any thread. It never waits long.

        Once its last event was sent, nothing of it is kept, its metrics included.

        Raises:
            ConfigError: there is no such stream.
        """
        with self._lock:
            if self._streams.paused.pop(name, None) is None:
                self._streams.stop(name)
            self._models.forget(name)
            self._leaving.add(name)
            self._forget_if_ended(name)

    def pause(self, name: str) -> None:
        """Close the source of a stream until `resume` and end its events.

        Raises:
            ConfigError: there is no such stream, or it is paused already.
        """
        with self._lock:
            if name in self._streams.paused:
                raise ConfigError(f"stream {name!r} is paused already")
            self._streams.paused[name] = self._streams.stop(name)
            self._queue.expect(_PAUSED)  # the run goes on even with all streams paused
            self._metrics.state(name, "paused")

    def resume(self, name: str) -> None:
        """Reopen the source of a paused stream.

        Raises:
            ConfigError: the stream is not paused.
        """
        with self._lock:
            stream = self._streams.paused.pop(name, None)
        if stream is None:
            raise ConfigError(f"stream {name!r} is not paused")
        try:
            self.add(stream)
        except BaseException:  # it is not lost: it stays paused
            with self._lock:
                self._streams.paused[name] = stream
            raise
        with self._lock:
            if not self._streams.paused:
                self._queue.forget(_PAUSED)

    def change_views(self, stream: StreamInput) -> None:
        """Give a stream other views and another mask at once; its source stays open.

        Args:
            stream: as returned by `stream_input`, with settings that differ in these alone.

        Raises:
            ConfigError: there is no such stream, or the settings contradict the bundle.
        """
        settings = stream.settings or self._config
        with self._lock:
            spec = self._models.of(stream.name)[1].spec
            check_fits(settings, spec)
            most_views = StreamSampler(spec, settings).most_views
            self._streams.change(stream, most_views)
            if stream.name in self._streams.paused:
                return
            reader = self._streams.reader(stream.name)
            views = several_view_names(settings.views)
            self._sinks.change_views(stream.name, views, self._streams.most_per_batch())
            reader.change_views(settings)

    def stream_input(self, name: str) -> StreamInput:
        """A watched or paused stream as it was added or last changed.

        Raises:
            ConfigError: there is no such stream.
        """
        with self._lock:
            return self._streams.input_of(name)

    def set_bundle(
        self, model: Model, open_engine: Callable[[], Engine], streams: Sequence[str] | None = None
    ) -> None:
        """Change the bundle of streams while they run; call it from any thread.

        The engine is opened while the run goes on. Then each stream makes samples for the new
        bundle from its next frame on. Samples that wait go through the old engine: no frame is
        lost. A view keeps its memory if the features are the same. Events without a label end.

        Args:
            model: the new bundle.
            open_engine: makes a warm, checked engine; an error leaves the run as it is.
            streams: names; None changes all streams, and those that are added later.

        Raises:
            EcoliteError: the engine cannot be opened, or a stream cannot change.
        """
        with self._swapping:
            with self._lock:
                self._check_model(model, streams)
            engine = OwnThreadEngine(open_engine)
            try:
                with self._lock:
                    self._check_model(model, streams)  # some may have come meanwhile
                    self._change_model(model, engine, streams)
            except BaseException:
                engine.close()
                raise

    @property
    def bundles(self) -> dict[str, str]:
        """Digest of the bundle of each stream by name."""
        with self._lock:
            return {name: self._models.of(name)[1].digest for name in self._streams.states()}

    @property
    def streams(self) -> dict[str, str]:
        """State of each stream by name: `watched` or `paused`."""
        with self._lock:
            return self._streams.states()

    def _check_model(self, model: Model, names: Sequence[str] | None) -> None:
        settings = {name: self._streams.settings(name) for name in self._streams.states()}
        check_change(model, names, settings, self._sinks.sinks)

    def _change_model(self, model: Model, engine: Engine, names: Sequence[str] | None) -> None:
        number = self._models.add(model, names)
        if not self._engine_thread.add_engine(number, engine):
            raise ConfigError("the run is ending; start it with the new bundle")
        for name, state in self._streams.states().items():
            if state == "watched" and (names is None or name in names):
                self._streams.readers[name].change_model(number, model)

    def _drop_unused(self, numbers: Collection[int]) -> Collection[int]:
        """Forget unneeded models; return their numbers. Readers queue samples, then change."""
        with self._lock:
            coming = {number for r in self._streams.readers.values() for number in r.models}
            return self._models.drop_unused(numbers, coming | self._queue.models())

    def _prepare(self, stream: StreamInput) -> Reader:
        settings = stream.settings or self._config
        number, model = self._models.of(stream.name)
        check_fits(settings, model.spec)
        sampler = StreamSampler(model.spec, settings)
        reader = Reader(
            stream,
            sampler,
            self._queue,
            self._metrics,
            self._sinks.frames.show,
            self._reader_failed,
            silence_s(settings),
            (number, model),
            lambda name: self._forget_ended([name]),
        )
        self._metrics.add_stream(stream.name)
        self._streams.watch(stream, reader, sampler.most_views)
        self._queue.expect(stream.name)
        return reader

    def _forget_ended(self, names: Sequence[str]) -> None:
        """Called where a stream ends: in the thread of its reader, and in that of the engine."""
        with self._lock:
            for name in names:
                self._forget_if_ended(name)

    def _forget_if_ended(self, name: str) -> None:
        reader = self._streams.readers.get(name)
        if reader is None or (reader.has_ended and self._queue.wait_for_end(name, 0)):
            self._forget(name)

    def _forget(self, name: str) -> None:
        """Drop everything that is kept of a removed stream."""
        if name not in self._leaving:
            return
        self._leaving.discard(name)
        self._streams.forget(name)
        self._broken.pop(name, None)
        self._metrics.remove_stream(name)
        self._sinks.remove_stream(name)

    def _all_readers(self) -> list[Reader]:
        with self._lock:
            return list(self._streams.readers.values())

    def heartbeat(self) -> int | None:
        """A number that changes each second while the engine works; None before it is open."""
        return self._engine_thread.turns if self._engine_thread.engine_is_open.is_set() else None

    def _ends(self) -> bool:
        return self._stopping.is_set() or self._sinks.have_failed

    def _waits_for(self, event: threading.Event) -> bool:
        """Wait for an event; return whether it was set before the end of the run."""
        while not event.wait(_POLL_S):
            if self._ends() or self._engine_thread.done.is_set():
                return event.is_set()
        return True

    def _publish(self, output: Sent) -> None:
        live = not isinstance(output, EngineBatch) and self._queue.is_live(output.stream)
        for admitted in self._admit(output):
            self._sinks.send(admitted, live)

    def _reader_failed(self, name: str, error: BaseException) -> None:
        if not isinstance(error, SourceError):
            self._fatal = self._fatal or error
            self._stopping.set()
            return
        self._broken[name] = error
        if len(self._streams.readers) > 1:  # the others may go on for days: log it now
            logger.error("%s", error)

    def _join(self) -> None:
        """Wait for all threads, `SHUTDOWN_S` in total."""
        deadline_s = time.monotonic() + SHUTDOWN_S

        def left_s() -> float:
            return max(0.0, deadline_s - time.monotonic())

        self._engine_thread.join(left_s() * 2 / 3)  # it ends open events
        self._sinks.stop(left_s)
        for reader in self._all_readers():
            reader.join(left_s())

    def _raise_what_failed(self) -> None:
        for error in (self._fatal, self._engine_thread.error, self._sinks.first_error):
            if error is not None:
                raise error
        raise_source_errors(list(self._broken.items()), len(self._streams.readers))
