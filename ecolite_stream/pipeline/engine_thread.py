"""One engine for all streams: it encodes and classifies their due samples in batches."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from ecolite_stream.engines.base import Engine
from ecolite_stream.pipeline.sample_queue import SampleQueue
from ecolite_stream.recognition.step import BatchStep
from ecolite_stream.types import EngineBatch, Sent


class EngineThread:
    """The only thread that opens, calls and closes the engine.

    Each batch holds one step of every stream that has one, so that no stream starves. All frames
    go through the encoder at once, each feature into its stream's memory, and all clips through
    the head at once. Under overload batches take longer and every stream predicts less often.

    Args:
        open_engine: makes a warm engine.
        batch_step: turns each batch into predictions and events.
        queue: supplies samples.
        publish: receives each batch, its predictions and its events; it must not wait.
        has_room: whether sinks have room for outputs of recordings; else their samples wait.

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
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread; it sets `engine_is_open`, or `done` after an error."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            engine = self._open_engine()
            try:
                self.engine_is_open.set()
                for number in itertools.count():
                    steps = self._queue.pop_steps(self._recordings_wait)
                    quiet, anchors = self._queue.pop_notes()
                    if not (steps or quiet) and self._queue.at_end:
                        break
                    samples = tuple(sample for step in steps.values() for sample in step)
                    ended = tuple(stream for stream, step in steps.items() if not step)
                    current = EngineBatch(number, samples, ended, quiet, anchors)
                    self._publish(current)
                    for output in self._batch_step.run_batch(engine, current):
                        self._publish(output)
            finally:
                for event in self._batch_step.finish():
                    self._publish(event)
                engine.close()
        except BaseException as error:  # raised again in the main thread
            self.error = error
        finally:
            self._queue.close()
            self.done.set()

    def _recordings_wait(self) -> bool:
        """Called at each search for a step, at least once a second: the heartbeat."""
        self.turns += 1
        return not self._has_room()
