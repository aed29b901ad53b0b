"""A thread that reads a source ahead of its consumer: all frames, or only the latest."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from ecolite_stream.sources.base import Source
from ecolite_stream.types import Frame

_log = logging.getLogger(__name__)

# Nobody relies on it: every change wakes those who wait. It only bounds what a bug can do.
_WAIT_S = 1.0

CLOSE_TIMEOUT_S = 2.0
"""How long closing waits for reads that block, in seconds."""


class ReadAhead(Source):
    """Reads a source in a thread of its own.

    A live source has to be read whether or not anybody is ready, or else what is seen gets older
    and older: so the oldest frames are dropped, and counted; `Frame.index` shows the holes. A
    file waits instead, and loses nothing.
    """

    def __init__(
        self,
        source: Source,
        capacity: int | None = None,
        *,
        drop_oldest: bool | None = None,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        source: read, and closed, by the thread.
        capacity: how many frames to hold, at least 1; if None, 1 when dropping, otherwise 8.
        drop_oldest: what to do when full: drop the oldest frame, or make the source wait; if
            None, drop for live sources.
        close_timeout_s: how long `close` waits for a read that blocks, in seconds.
        clock: measures that; seconds, monotonic.

        Raises:
            ValueError: the capacity is below 1.
        """
        self.name = source.name
        self.live = source.live
        self._drop_oldest = source.live if drop_oldest is None else drop_oldest
        self._capacity = (1 if self._drop_oldest else 8) if capacity is None else capacity
        if self._capacity < 1:
            raise ValueError(f"capacity is {capacity}, expected at least 1")
        self._close_timeout_s = close_timeout_s
        self._clock = clock
        self._source = source
        self._frames: deque[Frame] = deque()
        self._frames_dropped = 0
        self._error: BaseException | None = None
        self._ended = False
        self._closing = False
        self._changed = threading.Condition()
        # A daemon: a camera whose read never returns must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=f"read {self.name}", daemon=True)
        self._thread.start()

    @property
    def frames_dropped(self) -> int:
        """How many frames were read and dropped, for nobody took them in time."""
        return self._frames_dropped

    def __next__(self) -> Frame:
        """The next frame that was kept.

        Raises:
            Exception: whatever the source raised, after the frames that came before.
        """
        with self._changed:
            while not (self._frames or self._ended or self._closing):
                self._changed.wait(_WAIT_S)
            if self._frames and not self._closing:
                frame = self._frames.popleft()
                self._changed.notify_all()
                return frame
            error, self._error = self._error, None
        if error is not None and not self._closing:
            raise error
        raise StopIteration

    def close(self) -> None:
        """Stop, and join for `close_timeout_s`; for several at once there is `close_all`."""
        self.stop()
        self.join(self._clock() + self._close_timeout_s)

    def stop(self) -> None:
        """Tell the thread to end, and close the source; never waits, may be called again.

        Whoever waits for a frame is woken; iteration ends.
        """
        with self._changed:
            self._closing = True
            self._frames.clear()
            self._changed.notify_all()
        self._source.close()

    def join(self, deadline_s: float) -> bool:
        """Wait for the thread to end after `stop`; a read that blocks is left behind.

        Args:
            deadline_s: until when, on the clock of this reader; several readers can share one.

        Returns:
            Whether the thread has ended; False also if it is the one that asks.
        """
        if self._thread is threading.current_thread():
            return False
        self._thread.join(max(0.0, deadline_s - self._clock()))
        if not self._thread.is_alive():
            return True
        _log.warning("%s: still blocked in a read after closing; left behind", self.name)
        return False

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with self._source:
                for frame in self._source:
                    if not self._keep(frame):
                        break
        except BaseException as caught:  # raised again where somebody can see it
            error = caught
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify_all()

    def _keep(self, frame: Frame) -> bool:
        """Put a frame into the queue; False if this was closed."""
        with self._changed:
            while len(self._frames) >= self._capacity and not self._closing:
                if self._drop_oldest:
                    self._frames.popleft()
                    self._frames_dropped += 1
                else:
                    self._changed.wait(_WAIT_S)
            if self._closing:
                return False
            self._frames.append(frame)
            self._changed.notify_all()
            return True


def close_all(
    readers: Iterable[ReadAhead],
    timeout_s: float = CLOSE_TIMEOUT_S,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Close readers together: reads that block delay it once, however many they are.

    Args:
        readers: what to close; on the same clock.
        timeout_s: how long to wait for all of them, in seconds.
        clock: theirs; seconds, monotonic.
    """
    readers = list(readers)
    for reader in readers:
        reader.stop()
    deadline_s = clock() + timeout_s
    for reader in readers:
        reader.join(deadline_s)
