"""Leases: which machine may watch a camera, and until when. No database and no thread.

A lease is a row in the store. It begins and ends on the clock of the database. Its holder renews it
every `LeaseTimes.tick_s`. From each renewal the holder counts on its own clock, which goes on while
the machine sleeps or the process is frozen, and stops `LeaseTimes.margin_s` before the end in
the table. It counts from before the renewal was sent: no clocks of two machines are compared, and
the time that an answer takes makes the holder stop earlier, never later. Only a lease that has
ended, or was released, may be followed by another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ecolite_stream.config.strict import check_above_zero, check_between
from ecolite_stream.errors import ConfigError
from ecolite_stream.types import LeaseMark

SUPERVISOR, MACHINE, CAMERA = "supervisor", "machine", "camera"
"""Kinds of leases."""


@dataclass(frozen=True)
class LeaseTimes:
    """How long leases last.

    Attributes:
        lease_s: seconds from a renewal to the end of a lease.
        margin_s: seconds before that end at which its holder stops.
        tick_s: seconds between two renewals.
    """

    lease_s: float = 8.0
    margin_s: float = 1.0
    tick_s: float = 1.0

    def __post_init__(self) -> None:
        check_between("lease_s", self.lease_s, 1, 3600)
        check_above_zero("tick_s", self.tick_s)
        check_between("margin_s", self.margin_s, self.lease_s / 20, self.lease_s / 2)
        if self.margin_s + 3 * self.tick_s > self.lease_s:
            raise ConfigError(
                f"lease_s is {self.lease_s:g}; expected at least margin_s + 3 tick_s, "
                f"{self.margin_s + 3 * self.tick_s:g}: two renewals in a row may fail"
            )

    @property
    def lease_ms(self) -> int:
        """`lease_s` in milliseconds."""
        return round(1000 * self.lease_s)


@dataclass(frozen=True)
class Lease:
    """A row of the table.

    Attributes:
        kind: `SUPERVISOR`, `MACHINE` or `CAMERA`.
        name: of the machine or the camera; empty for the supervisor.
        number: grows from each lease of this kind and name to the next.
        holder: name of the machine that holds it.
        process: identifies the process that holds it.
        run: identifies the lease; events that are seen under it carry this.
        begins_ms, ends_ms: on the clock of the database, ms since 1970.
        released: whether the holder gave it back.
    """

    kind: str
    name: str
    number: int
    holder: str
    process: str
    run: str
    begins_ms: int
    ends_ms: int
    released: bool = False

    def is_over(self, now_ms: int) -> bool:
        """Whether another may follow."""
        return self.released or self.ends_ms <= now_ms


def machine_clock() -> float:
    """Seconds on a clock that never goes back and, on Linux, goes on while the machine sleeps."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_clock is None else time.clock_gettime(boot_clock)


@dataclass(frozen=True)
class _Held:
    lease: Lease
    until_s: float  # on the clock of the keeper


class LeaseKeeper:
    """What a process holds, judged by the clock of its machine. Threads may share it.

    Args:
        times: of the leases.
        clock: seconds; see `machine_clock`.
    """

    def __init__(self, times: LeaseTimes, clock: Callable[[], float] = machine_clock) -> None:
        self._times = times
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._zero_ms: float | None = None
        self.clock = clock

    def confirm(self, leases: Iterable[Lease], now_ms: int, asked_s: float) -> None:
        """Replace what is held by the cameras' leases that the table has just confirmed.

        Args:
            leases: all leases of this process; those of cameras count.
            now_ms: the clock of the database when it confirmed them.
            asked_s: `clock()` before the database was asked.
        """
        margin_s = self._times.margin_s
        held = {
            lease.name: _Held(lease, asked_s + (lease.ends_ms - now_ms) / 1000 - margin_s)
            for lease in leases
            if lease.kind == CAMERA
        }
        with self._lock:
            self._held = held
            self._zero_ms = now_ms - 1000 * asked_s

    def set_times(self, times: LeaseTimes) -> None:
        """Take other times from the next `confirm` on."""
        self._times = times

    def drop(self, cameras: Iterable[str]) -> None:
        """Hold these no longer, whatever the table says."""
        with self._lock:
            for camera in cameras:
                self._held.pop(camera, None)

    def mark(self, camera: str) -> LeaseMark | None:
        """The mark of what is seen of a camera now; None where its lease does not hold."""
        now_s = self.clock()
        with self._lock:
            held = self._held.get(camera)
            if held is None or now_s >= held.until_s or self._zero_ms is None:
                return None
            seen_ms = round(self._zero_ms + 1000 * now_s)
            return LeaseMark(held.lease.holder, held.lease.number, held.lease.run, seen_ms)

    def cameras(self) -> set[str]:
        """Cameras whose leases hold now."""
        now_s = self.clock()
        with self._lock:
            return {camera for camera, held in self._held.items() if now_s < held.until_s}
