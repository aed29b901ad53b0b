"""One machine's process in a fleet: holds leases, and watches the cameras that it holds."""

from __future__ import annotations

import contextlib
import logging
import math
import platform
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from ecolite_stream.errors import ConfigError, EcoliteError, one_line
from ecolite_stream.fleet.config import Fleet
from ecolite_stream.fleet.leases import CAMERA, MACHINE, Lease, LeaseKeeper
from ecolite_stream.fleet.ledger import Holder, Ledger, Transaction
from ecolite_stream.fleet.reports import write_report
from ecolite_stream.fleet.supervisor import Supervisor
from ecolite_stream.fleet.versions import current_fleet, define
from ecolite_stream.store.database import StoreError

_log = logging.getLogger(__name__)

_ENFORCE_S = 0.1
_REPORT_EVERY_S = 2.0
_END_S = 5.0


class Streams(Protocol):
    """The streams of a pipeline."""

    def names(self) -> Collection[str]:
        """Those that are watched."""

    def add(self, name: str, share: float) -> None:
        """Watch a camera, at a share of its full rate."""

    def remove(self, name: str) -> None:
        """Watch it no longer; its events end."""


class Member:
    """Keeps a machine's leases and the streams of its pipeline in step with the assignments.

    It renews its leases only by the current definition of the fleet: where the store has another,
    it changes to that first.

    Args:
        fleet: the fleet.
        machine: name of this machine.
        ledger: tables of the fleet.
        keeper: what this process holds.
        streams: of its pipeline.
        report: makes the report of streams, for the other machines; see `fleet.reports`.
        adopt: changes the machine to another definition; raises an EcoliteError if it cannot.
        end: called where the current definition does not name the machine any more.
    """

    def __init__(
        self,
        fleet: Fleet,
        machine: str,
        ledger: Ledger,
        keeper: LeaseKeeper,
        streams: Streams,
        report: Callable[[Collection[str]], str] | None = None,
        adopt: Callable[[Fleet], object] = lambda fleet: None,
        end: Callable[[], object] = lambda: None,
    ) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._keeper = keeper
        self._streams = streams
        self._shares: dict[str, float] = {}
        self._watched_at: dict[str, float] = {}
        self._lock = threading.Lock()  # of changes to the streams
        self._renewing = threading.Lock()
        self._has_left = False
        self._is_doubled = False
        self._report = report
        self._adopt = adopt
        self._end = end
        self._reported: tuple[float, str] | None = None  # when, and what
        self.holder = Holder(machine, f"{platform.node()}/{secrets.token_hex(8)}")

    @property
    def fleet(self) -> Fleet:
        """The definition by which it works."""
        return self._fleet

    def join(self, wait: Callable[[float], object] = time.sleep) -> None:
        """Take the machine's place; wait for the lease of a process that was killed.

        Raises:
            EcoliteError: another fleet has the name, the machine runs already, or it cannot take
                the current definition.
            StoreError: the store cannot be used.
        """
        times = self._fleet.config.times
        tries = 1 + round(times.lease_s / times.tick_s)
        while (other := self._try_to_join()) is not None:
            if tries == 0:
                host = other.process.partition("/")[0]
                raise ConfigError(
                    f"machine {self.holder.machine!r} runs already on {host}; stop it there, or "
                    "choose another --machine"
                )
            tries -= 1
            wait(times.tick_s)

    def _try_to_join(self) -> Lease | None:
        """Take the machine's place; return the lease of another process that has it."""
        while True:
            with self._ledger.begin() as table:
                current = define(table, self._fleet)
                if current is self._fleet:
                    if self._machine_lease(table):
                        return None
                    (other,) = table.current(MACHINE, self.holder.machine)
                    return other
            _log.warning(
                "fleet %s: the files of this machine are an earlier version; it starts with the "
                "current one; copy the current files here",
                current.config.name,
            )
            self._change_to(current)

    def tick(self) -> None:
        """Renew, release and acquire leases; add and remove streams.

        Raises:
            StoreError: the store cannot be used.
        """
        self.renew()
        self.enforce()

    def renew(self) -> None:
        """Renew, release and acquire leases. It changes no stream, which may take seconds.

        Raises:
            StoreError: the store cannot be used.
        """
        with self._renewing:
            if not self._has_left and not self._renew():
                self._take_current()

    def _renew(self) -> bool:
        """Renew by the current definition; False, and nothing done, where it is another."""
        watched = set(self._streams.names())
        report = self._due_report(watched)
        asked_s = self._keeper.clock()
        lease_ms = self._fleet.config.times.lease_ms
        with self._ledger.begin() as table:
            if table.digest() not in (None, self._fleet.digest):
                return False
            leases = table.renew(self.holder, lease_ms)
            held = {one.name: one for one in leases if one.kind == CAMERA}
            wanted = self._wanted(table, leases)
            gone = held.keys() - wanted.keys() - watched
            self._keeper.drop(gone)  # first: what it sees from now on is not its own
            table.release([held.pop(camera) for camera in gone])
            for camera in sorted(wanted.keys() - held.keys() - watched):
                lease = table.acquire(CAMERA, camera, self.holder, lease_ms)
                if lease is not None:
                    held[camera] = lease
            if report is not None and not self._is_doubled:
                write_report(table, self.holder.machine, report)
        if report is not None:
            self._reported = asked_s, report
        self._keeper.confirm(held.values(), table.now_ms, asked_s)
        self._shares = wanted
        return True

    def _take_current(self) -> None:
        """Change to the current definition, then renew; hold nothing where that fails.

        Raises:
            EcoliteError: the machine cannot take it; the next renewal tries again.
        """
        try:
            current = self._current()
            is_named = self.holder.machine in current.config.machines
            if is_named:
                self._change_to(current)
        except StoreError:
            raise
        except EcoliteError:
            with contextlib.suppress(StoreError):  # the leases end by themselves
                self._let_go()
            raise
        if is_named:
            self._renew()
            return
        _log.warning("machine %s: the fleet does not name it any more; ends", self.holder.machine)
        self._has_left = True
        with contextlib.suppress(StoreError):
            self._let_go()
        self._end()

    def _current(self) -> Fleet:
        with self._ledger.begin() as table:
            current = current_fleet(table, self._fleet)
        if current is None:
            raise ConfigError(
                "an older ecolite-stream has given the fleet another definition; update it"
            )
        return current

    def _change_to(self, fleet: Fleet) -> None:
        if self.holder.machine not in fleet.config.machines:
            raise ConfigError(
                f"fleet {fleet.config.name!r} does not name machine {self.holder.machine!r} any "
                "more; name it under machines and run ecolite-stream fleet apply"
            )
        self._adopt(fleet)
        self._fleet = fleet
        self._keeper.set_times(fleet.config.times)

    def _let_go(self) -> None:
        """Watch nothing from now on, and release all leases."""
        self._keeper.drop(self._keeper.cameras())
        self._shares = {}
        with self._ledger.begin() as table:
            table.release(table.renew(self.holder, self._fleet.config.times.lease_ms))

    def enforce(self) -> None:
        """Watch the cameras whose leases hold, and no others. It asks no store."""
        with self._lock:
            shares, watched = self._shares, set(self._streams.names())
            holds = self._keeper.cameras() & shares.keys()
            for name in sorted(watched):
                if name not in holds or self._watched_at.get(name) != shares[name]:
                    self._streams.remove(name)
            for name in sorted(holds - watched):
                with contextlib.suppress(ConfigError):  # it is still being removed
                    self._streams.add(name, shares[name])
                    self._watched_at[name] = shares[name]

    def reopen(self, cameras: Collection[str]) -> None:
        """Have the next `enforce` open these anew, if they are watched."""
        with self._lock:
            for camera in cameras:
                self._watched_at.pop(camera, None)

    def leave(self) -> None:
        """Release all leases, so that others take over at once; `renew` acquires none any more.

        Where a renewal hangs, the leases end by themselves.

        Raises:
            StoreError: the store cannot be used.
        """
        self._has_left = True
        self._keeper.drop(self._keeper.cameras())
        if not self._renewing.acquire(timeout=_END_S):
            return
        try:
            self._let_go()  # what a renewal confirmed meanwhile as well
        finally:
            self._renewing.release()

    def _due_report(self, watched: Collection[str]) -> str | None:
        """The report, where it is due and has changed."""
        if self._report is None:
            return None
        at_s, before = self._reported or (-math.inf, None)
        if self._keeper.clock() - at_s < _REPORT_EVERY_S:
            return None
        try:
            report = self._report(watched)
        except Exception:  # leases matter more
            _log.exception("fleet: no report: unexpected error; report it")
            self._report = None
            return None
        return None if report == before else report

    def _wanted(self, table: Transaction, held: list[Lease]) -> dict[str, float]:
        """The share of each camera to watch; none while another process is this machine's."""
        is_mine = any(one.kind == MACHINE for one in held) or self._machine_lease(table)
        if not is_mine and not self._is_doubled:
            _log.warning(
                "machine %s: another process runs as this machine; this one watches nothing",
                self.holder.machine,
            )
        self._is_doubled = not is_mine
        wanted = table.assignments(self.holder.machine) if is_mine else {}
        mine = {camera.name for camera in self._fleet.cameras_of(self.holder.machine)}
        return {camera: one.share for camera, one in wanted.items() if camera in mine}

    def _machine_lease(self, table: Transaction) -> bool:
        name = self.holder.machine
        return (
            table.acquire(MACHINE, name, self.holder, self._fleet.config.times.lease_ms) is not None
        )


@contextlib.contextmanager
def kept_in_step(
    member: Member, supervisor: Supervisor | None, *more: Callable[[], object]
) -> Iterator[None]:
    """Run a member, a candidate for the supervisor and more in threads while the block runs."""
    ended = threading.Event()

    def tick_s() -> float:
        return member.fleet.config.tick_s

    # Two threads: the store may hang, and a stream may be slow to end.
    jobs: list[tuple[Callable[[], object], Callable[[], float]]] = [(member.renew, tick_s)]
    jobs.append((member.enforce, lambda: _ENFORCE_S))
    jobs += [(job, tick_s) for job in more]
    if supervisor is not None:
        jobs.append((supervisor.tick, tick_s))
    threads = [
        threading.Thread(target=repeat, args=(job, every_s, ended), name="fleet", daemon=True)
        for job, every_s in jobs
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        until_s = time.monotonic() + _END_S
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        for leave in (*([] if supervisor is None else [supervisor.resign]), member.leave):
            with contextlib.suppress(EcoliteError):  # the leases end by themselves
                leave()


def repeat(job: Callable[[], object], every_s: Callable[[], float], ended: threading.Event) -> None:
    """Call a job again and again; log the first of the errors that it raises in a row."""
    has_failed = False
    while not ended.is_set():
        try:
            job()
            if has_failed:
                _log.warning("fleet: works again")
            has_failed = False
        except EcoliteError as error:
            if not has_failed:
                _log.warning("fleet: %s; trying again until it works", one_line(error))
            has_failed = True
        except Exception:
            if not has_failed:
                _log.exception("fleet: unexpected error; report it")
            has_failed = True
        ended.wait(every_s())
