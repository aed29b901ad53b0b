"""What a machine sees of a camera passes while its lease holds, and nothing afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from ecolite_stream.types import Event, LeaseMark, Prediction, Sent, ViewKey, iso_utc, unix_ms_of


class LeaseGate:
    """Marks events with the lease under which they are seen. Called by one thread.

    Once a lease has ended, outputs of its stream are dropped. Events that had begun end with the
    last prediction that passed, as events of a lost stream.

    Args:
        mark: the mark of a stream now; None where its lease does not hold.
    """

    def __init__(self, mark: Callable[[str], LeaseMark | None]) -> None:
        self._mark = mark
        self._open: dict[str, Event] = {}
        self._newest_s: dict[ViewKey, float] = {}

    def admit(self, output: Sent) -> Iterable[Sent]:
        """The outputs that go to the sinks in place of this one."""
        if not isinstance(output, Event | Prediction):
            return (output,)
        mark = self._mark(output.stream)
        if mark is None:
            return self._end(output.stream)
        if isinstance(output, Prediction):
            self._newest_s[output.key] = output.time_s
            return (output,)
        return self._admit_event(output, mark)

    def _admit_event(self, event: Event, mark: LeaseMark) -> Iterable[Event]:
        begun = self._open.pop(event.id, None)
        if begun is None and event.kind != "start":
            return ()  # its start was dropped, or it has been ended
        if begun is not None and begun.lease is not None and begun.lease.run != mark.run:
            return (self._ended(begun),)
        marked = dataclasses.replace(event, lease=mark)
        if event.kind != "end":
            self._open[event.id] = marked
        return (marked,)

    def _end(self, stream: str) -> list[Event]:
        begun = [event for event in self._open.values() if event.stream == stream]
        for event in begun:
            del self._open[event.id]
        ended = [self._ended(event) for event in begun]
        self._newest_s = {key: at for key, at in self._newest_s.items() if key[0] != stream}
        return ended

    def _ended(self, event: Event) -> Event:
        end_s = max(event.start_s, self._newest_s.get(event.key, event.start_s))
        ended_at = None
        if event.started_at is not None:
            passed_ms = round(1000 * (end_s - event.start_s))
            ended_at = iso_utc(unix_ms_of(event.started_at) + passed_ms)
        return dataclasses.replace(event, kind="end", end_s=end_s, ended_at=ended_at, lost=True)
