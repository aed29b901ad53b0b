"""Bounded queues of samples between the reading threads and the engine thread."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ecolite_stream.pipeline.wall_clock import WallClock
from ecolite_stream.types import Sample, StreamAnchor

# A safety net: every change wakes the waiting threads.
_WAIT_S = 1.0
_LEAD_S = 0.05  # a stream that is ahead of its anchor by more gets another


@dataclass(eq=False)
class StreamQueue:
    """The queue of one stream, for all its views.

    Attributes:
        capacity: most frames, each with a sample for every view in which it is due.
        keeps_newest: whether a full queue drops its oldest frame (live) or waits (recording).
        on_drop: called with the cause for each dropped sample.
        silence_s: seconds without a sample after which a live stream is quiet.
        samples: oldest first; of each view of a live stream at most one predicts.
        ended: whether the stream has ended.
        end_delivered: whether the end was popped.
        newest_s: stream time of the newest sample, in seconds; None before the first.
        put_s: its arrival on the monotonic clock; None once its silence was reported.
        anchor: the newest; None before the first sample.
        zero_s: stream time 0 by that, on the monotonic clock; -inf if it is not known.
    """

    capacity: int
    keeps_newest: bool
    on_drop: Callable[[str], object]
    silence_s: float = math.inf
    samples: deque[Sample] = field(default_factory=deque)
    ended: bool = False
    end_delivered: bool = False
    newest_s: float | None = None
    put_s: float | None = None
    anchor: StreamAnchor | None = None
    zero_s: float = -math.inf

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another frame."""
        return len({sample.frame for sample in self.samples}) >= self.capacity

    def put(self, *samples: Sample) -> None:
        """Add the samples of the newest frame of a live stream.

        Only the newest prediction of a view matters. An older queued sample only feeds the memory,
        if there is room for it.
        """
        predicting = {sample.view for sample in samples if sample.predicts}
        self.samples = deque(
            waiting.only_remembered() if waiting.view in predicting else waiting
            for waiting in self.samples
        )
        newest = list(samples)
        while self.is_full:
            oldest = self.samples[0].frame
            dropped = [sample for sample in self.samples if sample.frame == oldest]
            left = [sample for sample in self.samples if sample.frame != oldest]
            waiting = left + newest
            for sample in dropped:
                if not _hand_on(sample, waiting):
                    later = left or newest  # before samples of a view that took its name
                    later.insert(0, dataclasses.replace(sample, frame=later[0].frame))
                    waiting = left + newest
                else:
                    self.on_drop("engine busy")
            self.samples, newest = deque(waiting[: len(left)]), waiting[len(left) :]
        self.samples.extend(newest)

    def is_ready(self) -> bool:
        """Whether a step can be popped.

        Steps of a recording do not depend on thread speed, so that a run can be repeated.
        """
        if self.ended:
            return not self.end_delivered
        if self.keeps_newest:
            return bool(self.samples)
        return self.is_full or any(sample.predicts for sample in self.samples)

    def pop_step(self) -> list[Sample]:
        """Remove the samples up to the first frame that predicts.

        Returns:
            All samples if none predicts; an empty list at the end.
        """
        self.end_delivered = self.ended and not self.samples
        popped: list[Sample] = []
        last_frame: int | None = None
        while self.samples and last_frame in (None, self.samples[0].frame):
            sample = self.samples.popleft()
            popped.append(sample)
            if sample.predicts:
                last_frame = sample.frame
        return popped


def _hand_on(dropped: Sample, waiting: list[Sample]) -> bool:
    """Merge a dropped sample into the next one of its view; False if it ends the view."""
    if dropped.ends_view:
        return False
    for place, sample in enumerate(waiting):
        if sample.view == dropped.view:
            waiting[place] = sample.after(dropped)
            return True
    return True  # the view has no later sample, so nothing to predict


class SampleQueue:
    """A queue for each stream, and one place to wait for all of them.

    Args:
        clock: source of the time of day.
    """

    def __init__(self, clock: WallClock | None = None) -> None:
        self._clock = clock or WallClock()
        self._anchors: list[StreamAnchor] = []
        self._quiet: list[str] = []
        self._queues: dict[str, StreamQueue] = {}
        self._expected: set[str] = set()
        self._closed = False
        self._changed = threading.Condition()

    def expect(self, stream: str) -> None:
        """Announce a stream: `at_end` is False until its end was popped."""
        with self._changed:
            self._expected.add(stream)

    def forget(self, stream: str) -> None:
        """Expect a stream no longer."""
        with self._changed:
            self._expected.discard(stream)
            self._changed.notify_all()

    def wait_for_end(self, stream: str, timeout_s: float) -> bool:
        """Wait until the end of a stream was popped and settled; False after the timeout."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not {stream} & (self._expected | self._queues.keys()) or self._closed,
                timeout_s,
            )

    def settle(self, streams: Iterable[str]) -> None:
        """Drop the queues of streams whose ends were popped and processed."""
        with self._changed:
            for stream in streams:
                self._queues.pop(stream, None)
            self._changed.notify_all()

    def open(self, stream: str, stream_queue: StreamQueue) -> None:
        """Add the queue of a stream."""
        with self._changed:
            self._queues[stream] = stream_queue

    def resize(self, stream: str, capacity: int) -> None:
        """Set the capacity of a queue, but never to less than it holds."""
        with self._changed:
            stream_queue = self._queues[stream]
            waiting = len({sample.frame for sample in stream_queue.samples})
            stream_queue.capacity = max(capacity, waiting)
            self._changed.notify_all()

    def models(self) -> set[int]:
        """Numbers of the models that queued samples are for."""
        with self._changed:
            queues = self._queues.values()
            return {sample.model for one in queues for sample in one.samples}

    def is_live(self, stream: str) -> bool:
        """Whether a stream is live; False before `open`."""
        stream_queue = self._queues.get(stream)
        return stream_queue is not None and stream_queue.keeps_newest

    def put(self, *samples: Sample) -> bool:
        """Add the samples of one frame; a recording waits for room.

        Returns:
            False if the queue was closed.

        Raises:
            KeyError: the queue is not open; that of a removed stream was dropped.
        """
        with self._changed:
            stream_queue = self._queues[samples[0].stream]
            self._note(samples[0], stream_queue)
            if stream_queue.keeps_newest:
                stream_queue.put(*samples)
            else:
                while stream_queue.is_full and not self._closed:
                    self._changed.wait(_WAIT_S)
                stream_queue.samples.extend(samples)
            self._changed.notify_all()
            return not self._closed

    def end(self, stream: str) -> None:
        """Mark the end of a stream, even of one that never began."""
        with self._changed:
            stream_queue = self._queues.setdefault(stream, StreamQueue(1, True, lambda cause: None))
            stream_queue.ended = True
            self._changed.notify_all()

    def pop_steps(
        self, recordings_wait: Callable[[], bool] = lambda: False
    ) -> dict[str, list[Sample]]:
        """Pop a step of every stream that has one, by name; wait for the first.

        An empty step, after the last sample, is the end of the stream.

        Args:
            recordings_wait: whether to leave the steps of recordings, because sinks have no room.
                Live streams do not wait.

        Returns:
            Empty if `pop_notes` has quiet streams, or if `at_end`.
        """
        with self._changed:
            while not self._closed:
                waiting = recordings_wait()
                ready = {
                    name: stream_queue.pop_step()
                    for name, stream_queue in self._queues.items()
                    if stream_queue.is_ready() and (stream_queue.keeps_newest or not waiting)
                }
                self._expected -= {name for name, step in ready.items() if not step}
                self._note_quiet()
                if ready or self._quiet:
                    self._changed.notify_all()
                    return ready
                if self._all_ended():
                    break
                self._changed.wait(_WAIT_S)
            return {}

    @property
    def at_end(self) -> bool:
        """Whether all streams have ended or the queue was closed."""
        with self._changed:
            return self._closed or self._all_ended()

    def pop_notes(self) -> tuple[tuple[str, ...], tuple[StreamAnchor, ...]]:
        """(newly quiet streams, new anchors) since the last call."""
        with self._changed:
            quiet, anchors = tuple(self._quiet), tuple(self._anchors)
            self._quiet, self._anchors = [], []
            return quiet, anchors

    def wake(self) -> None:
        """Wake `pop_steps` to check `recordings_wait` again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End all streams now, from any thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _note(self, sample: Sample, stream_queue: StreamQueue) -> None:
        """Note the arrival of a sample, and an anchor if its stream starts or restarts.

        A camera may send what it has in store in a burst. The first frame of that was seen before
        it arrived, and anchored later than it should be: the samples that follow would have times
        in the future. So the first that arrives before its time moves the anchor.
        """
        newest_s, anchor = stream_queue.newest_s, stream_queue.anchor
        arrived_s = sample.arrived_s
        zero_s = -math.inf if arrived_s is None else arrived_s - sample.time_s
        if anchor is None or newest_s is None or sample.time_s < newest_s:
            self._anchor(
                stream_queue, self._clock.anchor(sample, stream_queue.keeps_newest), zero_s
            )
        elif stream_queue.keeps_newest and -math.inf < zero_s < stream_queue.zero_s - _LEAD_S:
            self._anchor(stream_queue, anchor.earlier(stream_queue.zero_s - zero_s), zero_s)
        stream_queue.newest_s = sample.time_s
        stream_queue.put_s = self._clock.monotonic()

    def _anchor(self, stream_queue: StreamQueue, anchor: StreamAnchor, zero_s: float) -> None:
        stream_queue.anchor, stream_queue.zero_s = anchor, zero_s
        self._anchors.append(anchor)

    def _note_quiet(self) -> None:
        """Note live streams with an empty queue and no sample for `silence_s`."""
        now_s = self._clock.monotonic()
        for name, waiting in self._queues.items():
            if not waiting.keeps_newest or waiting.samples or waiting.put_s is None:
                continue
            if now_s - waiting.put_s > waiting.silence_s:
                waiting.put_s = None
                self._quiet.append(name)

    def _all_ended(self) -> bool:
        return not self._expected
