"""The sink that stores events; a thread of its own writes them."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ecolite_stream.media.clip_names import clip_name
from ecolite_stream.media.jpeg import to_jpeg
from ecolite_stream.sinks.base import FrameSink, Sink
from ecolite_stream.sinks.kind import Fence
from ecolite_stream.store.config import StoreConfig
from ecolite_stream.store.database import Database, StoreError
from ecolite_stream.store.retention import Retention
from ecolite_stream.store.rows import Origin, close_interrupted, note_run, row_of, write
from ecolite_stream.types import Event, Frame, LeaseMark

_log = logging.getLogger(__name__)

_BATCH = 200
_PICTURES_BYTES = 8_000_000  # of pictures that wait
_LONGEST_WAIT_S = 30.0
_SEEN_EVERY_S = 30.0
_RETAIN_EVERY_S = 60.0
_LAST_S = 0.8  # for what waits, when a run is stopped
_LAST_CALM_S = 15.0  # when it ends by itself


class StoreSink(FrameSink):
    """Stores events, with a small picture of each.

    `send` only queues: of each event the newest state. A thread writes what waits, in batches, and
    tries again, for ever, while the database is slow, full, locked or away. Events for which the
    queue has no room raise, so that they are counted.

    Args:
        config: the store; its `url` must be set.
        streams: names of the streams. Events of theirs that a killed run left open are closed.
        bundle: digest of the model.
        clips: folder of this run's clips, if any.
        clock: time of day, in seconds since 1970.
        retain_every_s: seconds between two looks for what may go.
        fence: refuses events of leases that have ended; None outside of a fleet.

    Raises:
        StoreError: the store can never be used. One that is away is tried again by the thread.
    """

    takes = (Event,)
    retry_after_s: Sequence[float] = ()

    def __init__(
        self,
        config: StoreConfig,
        streams: Sequence[str],
        bundle: str,
        clips: Path | None = None,
        clock: Callable[[], float] = time.time,
        retain_every_s: float = _RETAIN_EVERY_S,
        fence: Fence | None = None,
    ) -> None:
        assert config.url is not None
        self._config = config
        self._streams = tuple(streams)
        self._origin = Origin(config.site_name, secrets.token_hex(16), bundle)
        self._clips = clips
        self._clock = clock
        self._retain_every_s = retain_every_s
        self._retention = Retention(config, clips)
        self._newest: dict[str, Frame] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._jpegs: dict[str, bytes] = {}
        self._fence = fence
        self._marks: dict[str, LeaseMark] = {}
        self._has_begun = self._complained = False
        self._ending = self._has_ended = False
        self._seen_s = self._retained_s = -float("inf")
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._database = Database(config.url, create=True)
        try:
            self._begin()
        except StoreError as error:
            if error.permanent:
                self._database.close()
                raise
            self._complain(error)
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def __enter__(self) -> Sink:
        self._thread.start()
        return self

    def show(self, frame: Frame, live: bool) -> bool:
        self._newest[frame.stream] = frame
        return True

    def remove_stream(self, name: str) -> None:
        self._newest.pop(name, None)

    def send(self, event: Event) -> None:
        """Queue an event.

        Raises:
            OSError: as many events wait as may.
            ValueError: its id is no UUID.
        """
        jpeg = self._picture(event)
        clip = None if self._clips is None else clip_name(event.id)
        row = row_of(event, self._origin, clip, len(jpeg or b""))
        if event.lease is not None:
            row["run"] = event.lease.run
        with self._changed:
            before = self._rows.get(event.id)
            if before is None and len(self._rows) >= self._config.queue:
                raise OSError(f"{self._database.shown}: {len(self._rows)} events wait already")
            if before is not None:
                row["size_bytes"] = max(row["size_bytes"], before["size_bytes"])
            self._rows[event.id] = row
            if event.lease is not None:
                self._marks[event.id] = event.lease
            if jpeg is not None:
                self._jpegs[event.id] = jpeg
            self._changed.notify_all()

    def hurry(self) -> None:
        """The run is being stopped: nothing is tried twice any more."""
        self._hurry.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Write what waits; what cannot be written at the first try is lost, and that is logged."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._has_ended or self._hurry.is_set(), _LAST_CALM_S
                )
            self._thread.join(_LAST_S)
        with self._changed:
            if self._rows:
                _log.warning("%s: %d events were lost", self._database.shown, len(self._rows))

    def _picture(self, event: Event) -> bytes | None:
        """A JPEG of what the stream shows now, for an event that begins."""
        frame = self._newest.get(event.stream)
        wanted = event.kind == "start" and self._config.picture_px > 0
        if frame is None or not wanted or sum(map(len, self._jpegs.values())) > _PICTURES_BYTES:
            return None
        return to_jpeg(frame.image, self._config.picture_px)

    def _run(self) -> None:
        wait_s = 0.0
        try:
            while self._waits(wait_s):
                try:
                    self._work()
                    wait_s = 0.0
                except StoreError as error:
                    self._complain(error)
                    wait_s = min(max(1.0, 2 * wait_s), _LONGEST_WAIT_S)
                    if self._ending:
                        return
        finally:
            self._database.close()
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def _waits(self, pause_s: float) -> bool:
        """Wait for something to do, at least that long after a failure; False at the end."""
        until_s = time.monotonic() + pause_s
        with self._changed:
            while not self._ending:
                now_s = time.monotonic()
                if now_s >= until_s and (self._rows or self._next_round_s() <= now_s):
                    break
                wake_s = until_s if now_s < until_s else self._next_round_s()
                self._changed.wait(max(0.01, min(wake_s - now_s, 1.0)))
            return bool(self._rows) or not self._ending

    def _next_round_s(self) -> float:
        return min(self._seen_s + _SEEN_EVERY_S, self._retained_s + self._retain_every_s)

    def _work(self) -> None:
        if not self._has_begun:
            self._begin()
        while self._rows:
            self._write_batch()
        if self._ending:
            return
        now_s = time.monotonic()
        if now_s >= self._seen_s + _SEEN_EVERY_S:
            with self._database.begin() as connection:
                note_run(connection, self._origin, self._now_ms())
            self._seen_s = now_s
        if now_s >= self._retained_s + self._retain_every_s:
            self._retention.run(self._database, self._now_ms(), self._may_go_on)
            self._retained_s = now_s

    def _begin(self) -> None:
        """Prepare the store, and close what runs before this one left open."""
        with self._database.begin() as connection:
            note_run(connection, self._origin, self._now_ms())
            count = close_interrupted(connection, self._origin, self._streams, self._now_ms())
        self._has_begun = True
        if count:
            _log.warning("%s: %d events closed as interrupted", self._database.shown, count)
        self._recovered()

    def _write_batch(self) -> None:
        with self._changed:
            rows = dict(list(self._rows.items())[:_BATCH])
            jpegs = {key: self._jpegs[key] for key in rows if key in self._jpegs}
        try:
            self._write(rows, jpegs)
        except StoreError as error:
            if not error.refuses_values:
                raise
            self._write_singly(rows, jpegs)
        with self._changed:
            for key, row in rows.items():
                self._jpegs.pop(key, None)
                if self._rows.get(key) is row:  # or a newer state came meanwhile
                    del self._rows[key]
                    self._marks.pop(key, None)
        self._recovered()

    def _write(self, rows: dict[str, dict[str, Any]], jpegs: dict[str, bytes]) -> None:
        refused: set[str] = set()
        with self._changed:
            marks = {key: self._marks[key] for key in rows if key in self._marks}
        with self._database.begin() as connection:
            if self._fence is not None:
                refused = self._fence.refused(connection, marks)
            admitted = [row for key, row in rows.items() if key not in refused]
            jpegs = {key: jpeg for key, jpeg in jpegs.items() if key not in refused}
            if admitted:
                write(connection, admitted, jpegs, self._now_ms())
        for key in sorted(refused):
            _log.warning("event %s is refused: its lease had ended before it was seen", key)

    def _write_singly(self, rows: dict[str, dict[str, Any]], jpegs: dict[str, bytes]) -> None:
        """One event that the database refuses holds up no other."""
        for key, row in rows.items():
            try:
                self._write({key: row}, {key: jpegs[key]} if key in jpegs else {})
            except StoreError as error:
                if not error.refuses_values:
                    raise
                _log.warning("event %s is lost: %s", key, error)

    def _may_go_on(self) -> bool:
        """Whether retention goes on: events that wait come first, and so does the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending, 0.05)
            return not self._rows and not self._ending

    def _complain(self, error: StoreError) -> None:
        if not self._complained:
            _log.warning("%s; trying again until it works", error)
        self._complained = True

    def _recovered(self) -> None:
        if self._complained:
            _log.warning("%s: works", self._database.shown)
        self._complained = False

    def _now_ms(self) -> int:
        return round(1000 * self._clock())
