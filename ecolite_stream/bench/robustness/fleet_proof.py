"""A fleet of real processes that suffers faults, and the check of what must never happen."""

from __future__ import annotations

import dataclasses
import itertools
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecolite_stream.app.fleet_run import open_store, read_fleet
from ecolite_stream.bench.accuracy.redescribe import redescribe
from ecolite_stream.bench.robustness.fleet_machines import (
    MachineProcess,
    Observer,
    wait_until,
    write_fleet,
)
from ecolite_stream.bench.robustness.fleet_network import Network
from ecolite_stream.errors import EcoliteError
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle

if TYPE_CHECKING:
    from ecolite_stream.fleet.status import MachineStatus

FAULTS = ("kill", "freeze", "supervisor", "cut", "store")
_FRESH_MS = 2000
_LIMIT_S = 300.0  # longer than a busy computer takes: a loss is measured, not given up


def schedule(kinds: Sequence[str], chance: random.Random) -> Iterator[str]:
    """Kinds of faults without an end: each once in random order, then each again."""
    while True:
        yield from chance.sample(sorted(kinds), len(kinds))


class Checks:
    """Reads what the processes of a fleet saw, and its store, and finds what must never happen.

    Args:
        folder: an empty folder; `seen` in it has a folder for each process.
        store: URL of an empty PostgreSQL database, as this process reaches it.
        cameras: URL by name.
        machines: names.
        times: of the leases.

    Attributes:
        fleet_file: the fleet's file, with this store.
        killed: processes that were killed, by the name of their folder; they may lose events.
    """

    def __init__(
        self,
        folder: Path,
        store: str,
        cameras: Mapping[str, str],
        machines: Sequence[str],
        times: Mapping[str, float],
    ) -> None:
        self._store = store
        self._cameras = list(cameras)
        self._boxes = {name: {"capacity": len(cameras)} for name in machines}
        # What the cameras show is like nothing the model knows, and would begin no event.
        embedded = read_bundle(demo_bundle_path())
        unbounded = dataclasses.replace(embedded.spec, energy_bound=None)
        self._bundle = redescribe(embedded, unbounded, folder / "bundle").path
        self.fleet_file = write_fleet(folder, store, cameras, self._boxes, self._bundle, **times)
        self._folder = folder / "seen"
        self._observer = Observer(self._folder)
        self.killed: list[str] = []

    def violations(self) -> list[str]:
        """What must not have happened; call it after `stop`."""
        self._observer.read()
        rows = self._stored()
        found = [f"watched by two: {pair}" for pair in self._observer.overlaps()]
        lost = {key: process for key, process in self._observer.events.items() if key not in rows}
        found += [
            f"lost: {key} of {process}"
            for key, process in lost.items()
            if process not in self.killed
        ]
        by_camera: dict[str, list[Any]] = {}
        for row in rows.values():
            by_camera.setdefault(row[1], []).append(row)
        for events in by_camera.values():
            events.sort(key=lambda row: row[2])
            found += [
                f"twice: {before[:4]} {after[:4]}"
                for before, after in itertools.pairwise(events)
                if before[4] != after[4] and (before[3] or before[2]) > after[2]
            ]
        return found

    @property
    def count(self) -> tuple[int, int]:
        """(events that were reported, of them lost with the memory of a killed process)."""
        rows = self._stored()
        return len(self._observer.events), len(self._observer.events.keys() - rows.keys())

    def _wait_for_all(self, without: set[str]) -> float:
        """Seconds until processes other than these have new predictions of every camera."""
        began_s, began_ms = time.monotonic(), _now_ms()

        def all_watched() -> bool:
            self._observer.read()
            since_ms = max(began_ms, _now_ms() - _FRESH_MS)
            return all(self._observer.watchers(name, since_ms) - without for name in self._cameras)

        if not wait_until(all_watched, _LIMIT_S):
            raise EcoliteError(
                f"a camera is not watched after {_LIMIT_S:g} s; {self._status()}; {self._logs()}"
            )
        return time.monotonic() - began_s

    def _status(self) -> list[MachineStatus]:
        """The machines; on a busy computer the store may give up on this process, which asks again.

        Raises:
            StoreError: the store cannot be used for `_LIMIT_S`.
        """
        from ecolite_stream.store.database import StoreError

        until_s = time.monotonic() + _LIMIT_S
        while True:
            try:
                return self._read_status()
            except StoreError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(1)

    def _read_status(self) -> list[MachineStatus]:
        from ecolite_stream.fleet.ledger import Ledger
        from ecolite_stream.fleet.status import read_status

        fleet, config = read_fleet(self.fleet_file)
        with (
            open_store(config, create=False) as database,
            Ledger(database, fleet.config.name).begin() as table,
        ):
            return list(read_status(fleet, table).machines)

    def _stored(self) -> dict[str, Any]:
        """(id, stream, start, end, run) of each event in the store, by id."""
        from sqlalchemy import create_engine, text

        words = "SELECT id, stream, start_ms, end_ms, run FROM ecolite_events"
        engine = create_engine(self._store)
        with engine.connect() as connection:
            rows = {row[0]: tuple(row) for row in connection.execute(text(words))}
        engine.dispose()
        return rows

    def _logs(self) -> str:
        return " | ".join(
            f"{path.parent.name}: {path.read_text(encoding='utf-8')[-500:]}"
            for path in sorted(self._folder.glob("*/log"))
        )


class Proof(Checks):
    """A fleet that runs, and what goes wrong with it. Close it in the end.

    Args:
        folder: an empty folder.
        store: URL of an empty PostgreSQL database, as this process reaches it.
        network: between the machines and the rest; its machines are those of the fleet.
        cameras: URL by name.
        machines: names.
        times: of the leases.
        chance: random numbers.
    """

    def __init__(
        self,
        folder: Path,
        store: str,
        network: Network,
        cameras: Mapping[str, str],
        machines: Sequence[str],
        times: Mapping[str, float],
        chance: random.Random,
    ) -> None:
        super().__init__(folder, store, cameras, machines, times)
        self._chance = chance
        self._lease_s = times["lease_s"]
        self._network = network
        self._machines: dict[str, MachineProcess] = {}
        for name in machines:
            (folder / name).mkdir()
            url = network.store_url(name)
            path = write_fleet(folder / name, url, cameras, self._boxes, self._bundle, **times)
            self._machines[name] = MachineProcess(
                name, path, folder / "seen", network.command(name)
            )

    def start(self) -> None:
        """Start all machines; wait until every camera is watched."""
        for machine in self._machines.values():
            machine.start()
        self._wait_for_all(set())

    def close(self) -> None:
        """End all processes."""
        for machine in self._machines.values():
            machine.end()

    def fault(self, kind: str) -> float:
        """Cause a fault and repair it; return seconds until every camera was watched again.

        Counted from the fault; for the store from when it is back.
        """
        time.sleep(self._chance.uniform(0, 2))
        click.echo(f"{time.strftime('%X')} {kind}", err=True)
        faults: dict[str, Callable[[], float]] = {
            "kill": lambda: self._kill(self._busy()),
            "supervisor": lambda: self._kill(self._supervisor()),
            "freeze": self._freeze,
            "cut": self._cut,
            "store": self._cut_store,
        }
        return faults[kind]()

    def stop(self) -> None:
        """Stop all machines as a service is stopped."""
        for machine in self._machines.values():
            machine.signal(signal.SIGTERM)
        for machine in self._machines.values():
            machine.wait(_LIMIT_S)

    def _kill(self, name: str) -> float:
        victim = self._machines[name]
        victim.signal(signal.SIGKILL)
        self.killed.append(victim.current)
        passed_s = self._wait_for_all({victim.current})
        victim.start()
        self._wait_for_machine(name)
        return passed_s

    def _freeze(self) -> float:
        victim = self._machines[self._busy()]
        victim.signal(signal.SIGSTOP)
        passed_s = self._wait_for_all({victim.current})
        time.sleep(self._chance.uniform(0, self._lease_s))
        victim.signal(signal.SIGCONT)
        self._wait_for_machine(victim.name)
        return passed_s

    def _cut(self) -> float:
        name = self._busy()
        self._network.cut(name)
        passed_s = self._wait_for_all({self._machines[name].current})
        time.sleep(self._chance.uniform(0, self._lease_s))
        self._network.heal(name)
        self._wait_for_machine(name)
        return passed_s

    def _cut_store(self) -> float:
        for name in self._machines:
            self._network.cut(name)
        time.sleep(self._chance.uniform(0.2, 2) * self._lease_s)
        for name in self._machines:
            self._network.heal(name)
        healed_ms = _now_ms()
        self._wait_for_all(set())
        for name in self._machines:
            self._wait_for_machine(name)
        # Right after its return, predictions may go on under leases that then end.
        return max(0, self._observer.last_gap_end_ms(healed_ms) - healed_ms) / 1000

    def _wait_for_machine(self, name: str) -> None:
        def is_up() -> bool:
            return any(one.machine == name and one.state == "up" for one in self._status())

        if not wait_until(is_up, _LIMIT_S):
            raise EcoliteError(f"{name} is not up after {_LIMIT_S:g} s; {self._logs()}")
        self._wait_for_all(set())

    def _busy(self) -> str:
        """A machine that watches cameras: a fault of another would prove little."""
        found: list[str] = []

        def any_watches() -> bool:
            found[:] = [one.machine for one in self._status() if one.cameras]
            return bool(found)

        if not wait_until(any_watches, _LIMIT_S):
            raise EcoliteError(f"no machine watches a camera after {_LIMIT_S:g} s; {self._logs()}")
        return self._chance.choice(found)

    def _supervisor(self) -> str:
        names = [one.machine for one in self._status() if one.supervisor]
        return names[0] if names else "box-0"


def _now_ms() -> int:
    return round(1000 * time.time())
