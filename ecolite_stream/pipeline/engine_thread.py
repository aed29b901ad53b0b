"""One thread for all streams: it encodes and classifies their due samples in batches."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Collection, Sequence

from ecolite_stream.engines.base import Engine
from ecolite_stream.errors import one_line
from ecolite_stream.pipeline.sample_queue import SampleQueue
from ecolite_stream.recognition.step import BatchStep
from ecolite_stream.types import EngineBatch, Sent

_log = logging.getLogger(__name__)


class EngineThread:
    """The only thread that calls engines; it opens the first one.

    Each batch holds one step of every stream that has one, so that no stream starves. All frames
    go through the encoder at once, each feature into its stream's memory, and all clips through
    the head at once. Under overload batches take longer and every stream predicts less often.

    An engine that was added takes the samples for its model; one that no sample needs is closed.

    Args:
        open_engine: makes a warm engine, that of model 0.
        batch_step: turns each batch into predictions and events.
        queue: supplies samples.
        publish: receives each batch, its predictions and its events; it must not wait.
        has_room: whether sinks have room for outputs of recordings; else their samples wait.
        drop_unused: takes the numbers of all models with an engine and returns those that no
            later sample can be for; None keeps all.
        on_ended: called with the streams that ended in a batch, after the batch.

    Attributes:
        turns: grows at least once a second, unless a call of the engine takes longer.
    """

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        batch_step: BatchStep,
        queue: SampleQueue,
        publish: Callable[[Sent], None],
        has_room: Callable[[], bool],
        drop_unused: Callable[[Collection[int]], Collection[int]] = lambda models: (),
        on_ended: Callable[[Sequence[str]], object] = lambda streams: None,
    ) -> None:
        self.error: BaseException | None = None
        self.engine_is_open = threading.Event()
        self.done = threading.Event()
        self.turns = 0
        self._open_engine = open_engine
        self._batch_step = batch_step
        self._queue = queue
        self._publish = publish
        self._has_room = has_room
        self._drop_unused = drop_unused
        self._on_ended = on_ended
        self._engines: dict[int, Engine] = {}
        self._adding = threading.Lock()  # of the line below
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread; it sets `engine_is_open`, or `done` after an error."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end."""
        self._thread.join(timeout_s)

    def add_engine(self, model: int, engine: Engine) -> bool:
        """Use a warm engine for the samples of a model; False if the thread has ended."""
        with self._adding:
            if not self._ended:
                self._engines[model] = engine
            return not self._ended

    def _run(self) -> None:
        try:
            self.add_engine(0, self._open_engine())
            try:
                self.engine_is_open.set()
                for number in itertools.count():
                    if not self._run_batch(number):
                        break
                    self._close_unused()
            finally:
                for event in self._batch_step.finish():
                    self._publish(event)
        except BaseException as error:  # raised again in the main thread
            self.error = error
        finally:
            self._end()

    def _run_batch(self, number: int) -> bool:
        """Wait for a batch and run it; False at the end of all streams."""
        steps = self._queue.pop_steps(self._recordings_wait)
        quiet, anchors = self._queue.pop_notes()
        if not (steps or quiet) and self._queue.at_end:
            return False
        engines = self._engines
        # The reader of a stream that was removed may have put one more sample.
        samples = tuple(s for step in steps.values() for s in step if s.model in engines)
        ended = tuple(stream for stream, step in steps.items() if not step)
        current = EngineBatch(number, samples, ended, quiet, anchors)
        self._publish(current)
        for output in self._batch_step.run_batch(engines, current):
            self._publish(output)
        if ended:
            self._queue.settle(ended)
            self._on_ended(ended)
        return True

    def _close_unused(self) -> None:
        if len(self._engines) < 2:
            return
        for model in self._drop_unused(list(self._engines)):
            engine = self._engines.pop(model)
            try:
                engine.close()
            except Exception as error:  # the run does not need it any more
                _log.warning("engine %s cannot be closed: %s", engine.name, one_line(error))

    def _end(self) -> None:
        try:
            with self._adding:
                self._ended = True
            for engine in self._engines.values():
                engine.close()
        except BaseException as error:
            self.error = self.error or error
        finally:
            self._queue.close()
            self.done.set()

    def _recordings_wait(self) -> bool:
        """Called at each search for a step, at least once a second: the heartbeat."""
        self.turns += 1
        return not self._has_room()
