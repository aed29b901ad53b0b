"""Samples on their way from the threads that read streams to the one that has the engine."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ecolite_stream.types import Sample

# Nobody relies on it: every change wakes those who wait. It only bounds what a bug can do.
_WAIT_S = 1.0


@dataclass(eq=False)
class Slot:
    """What waits of one stream.

    Attributes:
        capacity: samples held at most.
        keeps_newest: a live source's drops the oldest when full, a recording's lets it wait.
        on_drop: called with the cause for each sample dropped.
        samples: oldest first; at most one of a live stream predicts.
        ended: nothing more will come.
        told: somebody took the end.
    """

    capacity: int
    keeps_newest: bool
    on_drop: Callable[[str], object]
    samples: deque[Sample] = field(default_factory=deque)
    ended: bool = False
    told: bool = False

    def put(self, sample: Sample) -> None:
        """Add the newest sample of a live stream.

        Only the newest prediction is of interest: an older one that still waits is not made, but
        its frame is remembered, if there is room for it.
        """
        if sample.predicts:
            self.samples = deque(waiting.only_remembered() for waiting in self.samples)
        while len(self.samples) >= self.capacity:
            dropped = self.samples.popleft()
            self.on_drop("engine busy")
            if not self.samples:
                sample = sample.after(dropped)
            else:
                self.samples[0] = self.samples[0].after(dropped)
        self.samples.append(sample)

    def is_ready(self) -> bool:
        """Whether there is a step to make.

        A recording's steps do not depend on who is faster, so that a run can be repeated.
        """
        if self.ended:
            return not self.told
        if self.keeps_newest:
            return bool(self.samples)
        return len(self.samples) >= self.capacity or any(s.predicts for s in self.samples)

    def take(self) -> list[Sample]:
        """Remove the samples up to the first that predicts; all if none does, none at the end."""
        self.told = self.ended and not self.samples
        taken: list[Sample] = []
        while self.samples and not (taken and taken[-1].predicts):
            taken.append(self.samples.popleft())
        return taken


class Inbox:
    """A slot for each stream, and one place to wait for all of them."""

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}
        self._expected = 0
        self._closed = False
        self._changed = threading.Condition()

    def expect(self, num_streams: int) -> None:
        """Say how many streams there will be, so that the end of all of them can be told."""
        self._expected = num_streams

    def open(self, stream: str, slot: Slot) -> None:
        """Let a stream in."""
        with self._changed:
            self._slots[stream] = slot

    def is_live(self, stream: str) -> bool:
        """Whether a stream keeps its newest; not before it was let in."""
        slot = self._slots.get(stream)
        return slot is not None and slot.keeps_newest

    def put(self, sample: Sample) -> bool:
        """Add a sample; a recording's waits for room.

        Returns:
            False if the inbox was closed: nobody will take it.
        """
        with self._changed:
            slot = self._slots[sample.stream]
            if slot.keeps_newest:
                slot.put(sample)
            else:
                while len(slot.samples) >= slot.capacity and not self._closed:
                    self._changed.wait(_WAIT_S)
                slot.samples.append(sample)
            self._changed.notify_all()
            return not self._closed

    def end(self, stream: str) -> None:
        """Nothing more comes of a stream; one that never began counts too."""
        with self._changed:
            slot = self._slots.setdefault(stream, Slot(1, True, lambda cause: None))
            slot.ended = True
            self._changed.notify_all()

    def take(self, recordings_wait: Callable[[], bool] = lambda: False) -> dict[str, list[Sample]]:
        """A step of every stream that has one, by its name; waits for the first.

        Once in a stream, after its last sample, the step is empty: that is its end.

        Args:
            recordings_wait: whether steps of recordings are to be left where they are, because
                nobody has room for what they lead to. Live streams do not wait.

        Returns:
            Nothing, once all streams have ended or the inbox was closed.
        """
        with self._changed:
            while not self._closed:
                waiting = recordings_wait()
                ready = {
                    name: slot.take()
                    for name, slot in self._slots.items()
                    if slot.is_ready() and (slot.keeps_newest or not waiting)
                }
                if ready:
                    self._changed.notify_all()
                    return ready
                if self._all_ended():
                    break
                self._changed.wait(_WAIT_S)
            return {}

    def wake(self) -> None:
        """Look again: something outside has changed."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End everything now; may come from any thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _all_ended(self) -> bool:
        return len(self._slots) >= self._expected and all(
            slot.ended and slot.told for slot in self._slots.values()
        )
