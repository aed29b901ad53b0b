"""Assigns cameras to the machines that are there. One process of a fleet at a time does it."""

from __future__ import annotations

import logging
import math

from ecolite_stream.fleet.assign import Machine, Plan, Rules, assign
from ecolite_stream.fleet.config import Fleet
from ecolite_stream.fleet.leases import MACHINE, SUPERVISOR
from ecolite_stream.fleet.ledger import Assignment, Holder, Ledger, Transaction
from ecolite_stream.fleet.versions import current_fleet

_log = logging.getLogger(__name__)

_RATE_STEP = 0.8
_LOSSES_MS = 3_600_000
_CLEAN_EVERY_MS = 5_000


class Supervisor:
    """A candidate: `tick` does its work while it holds the supervisor's lease.

    The lease is checked, the current definition is read and the assignments are written in one
    transaction, so that a supervisor that was frozen writes nothing.

    Args:
        fleet: what to assign; the store may have another definition of it.
        ledger: its tables.
        holder: this process; its leases here are not those of the machine's worker.
    """

    def __init__(self, fleet: Fleet, ledger: Ledger, holder: Holder) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._holder = holder
        self._last_ms: int | None = None
        self._since_ms = 0
        self._cleaned_ms = 0
        self._reported: tuple[object, ...] = ()

    @property
    def fleet(self) -> Fleet:
        """The definition by which it works."""
        return self._fleet

    def tick(self) -> bool:
        """Assign cameras if this process is or becomes the supervisor; return whether it is.

        Raises:
            ConfigError: this program cannot use the current definition.
            StoreError: the store cannot be used.
        """
        with self._ledger.begin() as table:
            current = current_fleet(table, self._fleet)
            self._fleet = current or self._fleet
            lease_ms = self._fleet.config.times.lease_ms
            leases = table.renew(self._holder, lease_ms)
            if current is None:  # an older program started the fleet with another definition
                table.release(leases)
                return False
            if not leases and not table.acquire(SUPERVISOR, "", self._holder, lease_ms):
                self._last_ms = None
                return False
            if self._last_ms is None or table.now_ms - self._last_ms > lease_ms:
                self._since_ms = table.now_ms
            self._last_ms = table.now_ms
            plan = self._plan(table)
        self._report(plan)
        self._clean()
        return True

    def resign(self) -> None:
        """Release the lease, so that another takes over at once.

        Raises:
            StoreError: the store cannot be used.
        """
        with self._ledger.begin() as table:
            table.release(table.renew(self._holder, self._fleet.config.times.lease_ms))

    def _plan(self, table: Transaction) -> Plan:
        before = table.assignments()
        machines = self._machines(table)
        places = {camera: one.machine for camera, one in before.items()}
        rules = Rules(settle_s=self._fleet.config.settle_s)
        plan = assign(self._fleet.cameras, machines, places, rules)
        if machines:
            table.assign(
                {
                    camera: Assignment(machine, rate_step(plan.share_of[machine]))
                    for camera, machine in plan.machine_of.items()
                }
            )
        return plan

    def _machines(self, table: Transaction) -> list[Machine]:
        """Those that are there.

        A machine whose lease has ended is not, except that all get half a lease's time after the
        store was away or another supervisor was lost: nobody could renew, or looked.
        """
        grace_ms = self._fleet.config.times.lease_ms // 2
        losses = table.losses(table.now_ms - _LOSSES_MS)
        return [
            self._fleet.machine(
                lease.name, (table.now_ms - lease.begins_ms) / 1000, losses.get(lease.name, 0)
            )
            for lease in table.current(MACHINE)
            if lease.name in self._fleet.config.machines
            and not lease.released
            and max(lease.ends_ms, self._since_ms + grace_ms) > table.now_ms
        ]

    def _report(self, plan: Plan) -> None:
        """Log what has changed: room, cameras that nobody may watch."""
        low = tuple(sorted(name for name, share in plan.share_of.items() if share < 1))
        now = (low, plan.unwatched)
        if now == self._reported:
            return
        if low:
            shares = ", ".join(f"{name} at {plan.share_of[name]:.0%} of the rate" for name in low)
            _log.warning("fleet: too little room: %s; add a machine, or raise every_s", shares)
        elif self._reported and self._reported[0]:
            _log.warning("fleet: every machine has room again")
        if plan.unwatched:
            names = ", ".join(plan.unwatched)
            _log.warning("fleet: no machine that is there may watch %s", names)
        elif self._reported and self._reported[1]:
            _log.warning("fleet: every camera is watched again")
        self._reported = now

    def _clean(self) -> None:
        assert self._last_ms is not None
        if self._last_ms - self._cleaned_ms < _CLEAN_EVERY_MS:
            return
        self._cleaned_ms = self._last_ms
        with self._ledger.begin() as table:
            count = table.close_events()
            table.forget()
        if count:
            _log.warning("fleet: %d events of lost machines closed as interrupted", count)


def rate_step(share: float) -> float:
    """A share of the rate, lowered to a power of 0.8: a small change of load reopens no camera."""
    if share >= 1:
        return 1.0
    return float(_RATE_STEP ** math.ceil(math.log(share) / math.log(_RATE_STEP) - 1e-9))
