"""Members and supervisors of a fleet that share tables; time passes in the tables."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.config import (
    CameraConfig,
    Fleet,
    FleetConfig,
    MachineConfig,
    make_fleet,
)
from ecolite_stream.fleet.leases import CAMERA, LeaseKeeper
from ecolite_stream.fleet.ledger import Holder
from ecolite_stream.fleet.member import Member, kept_in_step
from ecolite_stream.fleet.status import FleetStatus, read_status, table_lines
from ecolite_stream.fleet.supervisor import Supervisor, rate_step
from ecolite_stream.store.database import Database, StoreError
from tests.fleet.test_leases import TimedLedger, pass_time
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(60)


def fleet_of(
    cameras: int = 4,
    machines: dict[str, float] | None = None,
    needs: dict[str, CameraConfig] | None = None,
    **settings: Any,
) -> Fleet:
    boxes = machines or {"box-1": 10, "box-2": 10}
    config = FleetConfig(
        "shop",
        Path("stream.yaml"),
        {name: MachineConfig(capacity) for name, capacity in boxes.items()},
        needs or {},
        **settings,
    )
    return make_fleet(config, {f"camera-{n}": f"rtsp://{n}" for n in range(cameras)})


class Streams:
    """Streams of a pipeline, as a fake."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {}

    def names(self) -> list[str]:
        return list(self.shares)

    def add(self, name: str, share: float) -> None:
        assert name not in self.shares
        self.shares[name] = share

    def remove(self, name: str) -> None:
        del self.shares[name]


class Box:
    """A machine: a member and a candidate, with a clock that stands unless it is moved."""

    def __init__(self, ledger: TimedLedger, fleet: Fleet, name: str) -> None:
        self.streams, self.clock_s = Streams(), 1000.0
        keeper = LeaseKeeper(fleet.config.times, lambda: self.clock_s)
        self.member = Member(fleet, name, ledger, keeper, self.streams)
        holder = Holder(name, f"{self.member.holder.process}/supervisor")
        self.supervisor = Supervisor(fleet, ledger, holder)

    def tick(self) -> bool:
        is_supervisor = self.supervisor.tick()
        self.member.tick()
        return is_supervisor


@pytest.fixture
def ledger(url: str) -> Iterator[TimedLedger]:
    database = Database(url, create=True)
    yield TimedLedger(database, "shop")
    database.close()


def joined(ledger: TimedLedger, fleet: Fleet, *names: str) -> list[Box]:
    boxes = [Box(ledger, fleet, name) for name in names]
    for box in boxes:
        box.member.join()
    return boxes


def step(ledger: TimedLedger, *boxes: Box, seconds: float = 1.0) -> None:
    """Time passes, then these boxes do what is due."""
    pass_time(ledger, seconds)
    for box in boxes:
        box.clock_s += seconds
        box.tick()


def status(fleet: Fleet, ledger: TimedLedger) -> FleetStatus:
    with ledger.begin() as table:
        return read_status(fleet, table)


def watched(*boxes: Box) -> list[str]:
    return sorted(name for box in boxes for name in box.streams.shares)


ALL = [f"camera-{n}" for n in range(4)]


def test_every_camera_is_watched_by_one(ledger: TimedLedger) -> None:
    one, two = joined(ledger, fleet_of(), "box-1", "box-2")
    assert (one.tick(), two.tick()) == (True, False)
    assert watched(one, two) == ALL
    assert len(one.streams.shares) == len(two.streams.shares) == 2
    for _ in range(12):
        step(ledger, one, two)
        assert watched(one, two) == ALL


def test_a_lost_machine_loses_its_cameras_only_after_its_lease(ledger: TimedLedger) -> None:
    one, two = joined(ledger, fleet_of(), "box-1", "box-2")
    one.tick(), two.tick()
    theirs = watched(two)
    for _ in range(7):
        step(ledger, one)
        assert watched(one) == [name for name in ALL if name not in theirs]
    for _ in range(3):
        step(ledger, one)
    assert watched(one) == ALL
    two.clock_s += 9.9  # it was frozen for so long, and is woken
    two.member.enforce()
    assert watched(two) == []
    two.tick()
    assert watched(one, two) == ALL


def test_a_machine_that_is_cut_off_stops_before_another_takes_over(ledger: TimedLedger) -> None:
    one, two = joined(ledger, fleet_of(), "box-1", "box-2")
    one.tick(), two.tick()
    for _ in range(12):
        two.clock_s += 1.0  # its clock goes on, and its store does not answer
        two.member.enforce()
        before = watched(one)
        step(ledger, one)
        assert len(watched(one, two)) <= 4
        if watched(one) != before:
            assert watched(two) == []
    assert (watched(one), watched(two)) == (ALL, [])


def test_streams_are_opened_anew_under_the_same_leases(ledger: TimedLedger) -> None:
    (one,) = joined(ledger, fleet_of(), "box-1")
    one.tick()
    with ledger.begin() as table:
        before = {lease.name: lease.run for lease in table.current(CAMERA)}
    opened: list[str] = []
    add = one.streams.add

    def noted(name: str, share: float) -> None:
        opened.append(name)
        add(name, share)

    one.streams.add = noted  # type: ignore[method-assign]
    one.member.reopen(["camera-1", "camera-7"])  # the other is not watched
    step(ledger, one)
    step(ledger, one)
    assert opened == ["camera-1"] and watched(one) == ALL
    with ledger.begin() as table:
        assert {lease.name: lease.run for lease in table.current(CAMERA)} == before


def test_another_supervises_once_the_lease_has_ended(ledger: TimedLedger) -> None:
    one, two = joined(ledger, fleet_of(), "box-1", "box-2")
    one.tick(), two.tick()
    for _ in range(15):
        step(ledger, two)
    assert two.supervisor.tick() and not one.supervisor.tick()
    assert watched(two) == ALL


def test_after_the_store_was_away_every_machine_gets_its_cameras_back(ledger: TimedLedger) -> None:
    one, two = joined(ledger, fleet_of(), "box-1", "box-2")
    one.tick(), two.tick()
    before = (watched(one), watched(two))
    for box in (one, two):
        box.clock_s += 100
        box.member.enforce()
    assert watched(one, two) == []
    pass_time(ledger, 100)
    for _ in range(4):
        step(ledger, one, two)
    assert (watched(one), watched(two)) == before


def test_a_machine_that_leaves_is_followed_at_once(ledger: TimedLedger) -> None:
    one, two = joined(ledger, fleet_of(), "box-1", "box-2")
    one.tick(), two.tick()
    one.supervisor.resign()
    one.member.leave()
    two.tick()
    assert watched(two) == ALL


def test_a_renewal_that_comes_late_takes_no_lease_again(ledger: TimedLedger) -> None:
    (one,) = joined(ledger, fleet_of(), "box-1")
    one.tick()
    assert status(fleet_of(), ledger).machines[0].cameras == 4
    one.member.leave()
    one.member.renew()
    assert status(fleet_of(), ledger).machines[0].cameras == 0
    assert status(fleet_of(), ledger).machines[0].state == "left"


def test_a_renewal_under_way_keeps_no_lease_of_a_machine_that_leaves(
    ledger: TimedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = joined(ledger, fleet_of(), "box-1")
    one.tick()
    keeper, asked, goes_on = one.member._keeper, threading.Event(), threading.Event()
    confirm = keeper.confirm
    assert len(keeper.cameras()) == 4

    def confirm_late(*facts: Any) -> None:
        asked.set()
        assert goes_on.wait(30)
        confirm(*facts)

    monkeypatch.setattr(keeper, "confirm", confirm_late)
    threads = [threading.Thread(target=job) for job in (one.member.renew, one.member.leave)]
    threads[0].start()
    assert asked.wait(30)
    threads[1].start()
    eventually(lambda: not keeper.cameras())
    goes_on.set()
    for thread in threads:
        thread.join(30)
    assert not keeper.cameras()
    assert status(fleet_of(), ledger).machines[0].state == "left"


def test_a_camera_moves_without_two_that_watch_it(ledger: TimedLedger) -> None:
    """Its old machine releases it only once it watches it no longer."""
    fleet = fleet_of(machines={"box-1": 4, "box-2": 4}, settle_s=2)
    (one,) = joined(ledger, fleet, "box-1")
    one.tick()
    assert watched(one) == ALL
    (two,) = joined(ledger, fleet, "box-2")
    for _ in range(10):
        step(ledger, one, two)
        assert len(watched(one, two)) == len(set(watched(one, two)))
    assert watched(two) and watched(one, two) == ALL


def test_too_little_room_lowers_all_rates_and_is_logged(
    ledger: TimedLedger, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = fleet_of(4, {"box-1": 1.5, "box-2": 1.5}, settle_s=2)
    one, two = joined(ledger, fleet, "box-1", "box-2")
    one.tick(), two.tick()
    shares = {**one.streams.shares, **two.streams.shares}
    assert shares == dict.fromkeys(ALL, pytest.approx(0.64))  # 0.75, by steps of 0.8
    assert caplog.text.count("too little room: box-1 at 75% of the rate, box-2 at 75%") == 1
    two.member.leave()
    step(ledger, one)
    step(ledger, one)
    assert one.streams.shares == dict.fromkeys(ALL, pytest.approx(rate_step(0.375)))


def test_the_steps_of_a_rate() -> None:
    assert [rate_step(share) for share in (1.2, 1.0, 0.99, 0.8, 0.79)] == [
        *(1.0, 1.0, pytest.approx(0.8), pytest.approx(0.8), pytest.approx(0.64))
    ]


def test_a_camera_that_no_machine_there_may_watch(
    ledger: TimedLedger, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = fleet_of(needs={"camera-1": CameraConfig(on=("box-2",))})
    one, two = joined(ledger, fleet, "box-1", "box-2")
    two.member.leave()
    one.tick()
    assert watched(one) == ["camera-0", "camera-2", "camera-3"]
    assert "no machine that is there may watch camera-1" in caplog.text
    found = status(fleet, ledger)
    assert [(one.state, one.cameras, one.supervisor) for one in found.machines] == [
        ("up", 3, True),
        ("left", 0, False),
    ]
    assert found.unwatched == ["camera-1"]
    lines = list(table_lines(found))
    assert lines[1].split()[:5] == ["box-1", "up", "3", "10", "100%"]
    assert lines[-1] == "not watched: camera-1"
    step(ledger, seconds=9)
    assert [one.state for one in status(fleet, ledger).machines] == ["lost", "left"]


def test_two_fleets_with_one_name_and_two_machines_with_one_name(ledger: TimedLedger) -> None:
    (one,) = joined(ledger, fleet_of(), "box-1")
    other = Box(ledger, fleet_of(5), "box-2")
    with pytest.raises(ConfigError, match=r"'shop' runs in this store with other .*on box-1"):
        other.member.join()
    twin, waits = Box(ledger, fleet_of(), "box-1"), []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        one.member.tick()

    with pytest.raises(ConfigError, match=r"machine 'box-1' runs already on .*stop it there"):
        twin.member.join(wait)
    assert sum(waits) >= 8  # as long as the lease of a killed process lasts
    one.member.leave()
    other.member.join()
    with pytest.raises(ConfigError, match="runs in this store"):
        Box(ledger, fleet_of(6), "box-1").member.join()
    twin.member.join()  # its definition is an earlier one: it takes the current one
    assert len(twin.member.fleet.cameras) == 5
    assert one.supervisor.tick() and len(one.supervisor.fleet.cameras) == 5


def test_a_machine_whose_place_was_taken_watches_nothing(
    ledger: TimedLedger, caplog: pytest.LogCaptureFixture
) -> None:
    (one,) = joined(ledger, fleet_of(), "box-1")
    one.tick()
    pass_time(ledger, 9)
    twin = Box(ledger, fleet_of(), "box-1")
    twin.member.join()
    one.clock_s += 9
    with caplog.at_level(logging.WARNING):
        one.member.tick()
    assert watched(one) == []
    assert caplog.text.count("another process runs as this machine") == 1
    twin.tick()
    step(ledger, twin)
    assert watched(twin) == ALL
    with ledger.begin() as table:
        holders = {lease.process for lease in table.current(CAMERA)}
    assert holders == {twin.member.holder.process}


def test_leases_are_renewed_while_a_stream_is_slow_to_begin(ledger: TimedLedger) -> None:
    (one,) = joined(ledger, fleet_of(1, tick_s=0.05), "box-1")
    slow, goes_on = threading.Event(), threading.Event()

    def add(name: str, share: float) -> None:
        slow.set()
        goes_on.wait(30)

    one.streams.add = add  # type: ignore[method-assign]

    def ends_ms() -> int:
        with ledger.begin() as table:
            return table.current(CAMERA)[0].ends_ms

    one.supervisor.tick()
    with kept_in_step(one.member, None):
        assert slow.wait(30)
        before_ms = ends_ms()
        pass_time(ledger, 1)
        eventually(lambda: ends_ms() > before_ms)
        goes_on.set()


def test_a_supervisor_that_cannot_resign_keeps_no_machine_from_leaving(
    ledger: TimedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise StoreError("store: away")

    (one,) = joined(ledger, fleet_of(), "box-1")
    monkeypatch.setattr(one.supervisor, "resign", fails)
    with kept_in_step(one.member, one.supervisor):
        eventually(lambda: status(fleet_of(), ledger).machines[0].cameras == 4)
    assert status(fleet_of(), ledger).machines[0].state == "left"
