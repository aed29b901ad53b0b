"""Leases: by the clocks of their holders, and in the table."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.leases import (
    CAMERA,
    MACHINE,
    Lease,
    LeaseKeeper,
    LeaseTimes,
    machine_clock,
)
from ecolite_stream.fleet.ledger import (
    Assignment,
    Holder,
    LeaseFence,
    Ledger,
    database_now_ms,
)
from ecolite_stream.store.database import Database
from ecolite_stream.types import LeaseMark

pytestmark = pytest.mark.timeout(60)
A, B = Holder("box-1", "one"), Holder("box-2", "two")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url, create=True)
    yield opened
    opened.close()


class TimedLedger(Ledger):
    """Tables on a clock that stands, at `ahead_ms` after the database's at the first look."""

    def __init__(self, database: Database, fleet: str) -> None:
        self.ahead_ms = 0
        self._first_ms: int | None = None
        super().__init__(database, fleet, self._clock_ms)

    def _clock_ms(self, connection: Connection) -> int:
        if self._first_ms is None:
            self._first_ms = database_now_ms(connection)
        return self._first_ms + self.ahead_ms


@pytest.fixture
def ledger(database: Database) -> TimedLedger:
    return TimedLedger(database, "shop")


def pass_time(ledger: TimedLedger, seconds: float) -> None:
    ledger.ahead_ms += round(1000 * seconds)


@pytest.mark.parametrize(
    "times",
    [
        {"lease_s": 0.5},
        {"margin_s": 0.1},
        {"margin_s": 5},
        {"tick_s": 0},
        {"tick_s": 3},
        {"lease_s": float("nan")},
    ],
)
def test_times_that_are_not_safe(times: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(times)).removesuffix("_s") + "|lease_s"):
        LeaseTimes(**times)


@given(st.floats(0, 3), st.floats(0, 2), st.floats(0, 20))
def test_a_holder_stops_before_its_lease_ends_in_the_table(
    to_database_s: float, back_s: float, later_s: float
) -> None:
    """However long the question and the answer travel."""
    clock, times = [100.0], LeaseTimes()
    keeper = LeaseKeeper(times, lambda: clock[0])
    asked_s = clock[0]
    now_ms = round(1000 * (asked_s + to_database_s)) + 7_000_000  # clocks begin anywhere
    ends_ms = now_ms + times.lease_ms
    clock[0] += to_database_s + back_s
    keeper.confirm(
        [Lease(CAMERA, "gate", 3, "box-1", "one", "r", now_ms, ends_ms)], now_ms, asked_s
    )
    clock[0] += later_s
    database_ms = 1000 * clock[0] + 7_000_000
    mark = keeper.mark("gate")
    assert (mark is not None) == (keeper.cameras() == {"gate"})
    if mark is None:
        assert database_ms >= ends_ms - 1000 * (times.margin_s + to_database_s) - 1
    else:
        assert database_ms < ends_ms - 1000 * times.margin_s + 1
        assert database_ms - 1 <= mark.seen_ms < ends_ms
        assert (mark.machine, mark.number, mark.run) == ("box-1", 3, "r")


def test_what_is_dropped_or_not_confirmed_is_not_held() -> None:
    keeper = LeaseKeeper(LeaseTimes(), lambda: 5.0)
    leases = [
        Lease(CAMERA, name, 1, "box-1", "one", name, 0, 8000) for name in ("gate", "yard", "door")
    ]
    assert keeper.mark("gate") is None
    keeper.confirm([*leases, Lease(MACHINE, "box-1", 1, "box-1", "one", "m", 0, 8000)], 0, 5.0)
    assert keeper.cameras() == {"gate", "yard", "door"}
    keeper.drop({"door", "another"})
    keeper_marks = [keeper.mark(name) is not None for name in ("gate", "yard", "door", "box-1")]
    assert keeper_marks == [True, True, False, False]
    keeper.confirm(leases[:1], 1000, 5.0)
    assert keeper.cameras() == {"gate"}


def test_the_machine_clock_moves_on() -> None:
    assert machine_clock() <= machine_clock()


def test_a_lease_is_followed_only_once_it_has_ended(ledger: TimedLedger) -> None:
    with ledger.begin() as table:
        first = table.acquire(CAMERA, "gate", A, 8000)
        assert first is not None and first.number == 1
        assert table.acquire(CAMERA, "gate", A, 8000) is None  # nor by its own holder
    with ledger.begin() as table:
        assert table.acquire(CAMERA, "gate", B, 8000) is None
        other = table.acquire(CAMERA, "yard", B, 8000)
    pass_time(ledger, 7)
    with ledger.begin() as table:
        assert [one.run for one in table.renew(A, 8000)] == [first.run]
    pass_time(ledger, 7.5)
    with ledger.begin() as table:
        assert table.acquire(CAMERA, "gate", B, 8000) is None
        assert table.renew(B, 8000) == []  # that of the yard has ended: too late
    pass_time(ledger, 1)
    with ledger.begin() as table:
        assert table.renew(A, 8000) == []
        second = table.acquire(CAMERA, "gate", B, 8000)
        assert second is not None and (second.number, second.holder) == (2, "box-2")
        third = table.acquire(CAMERA, "yard", A, 8000)
        assert third is not None and other is not None and third.number == 2
        assert third.run != other.run
        assert {one.run for one in table.current(CAMERA)} == {second.run, third.run}


def test_a_released_lease_is_followed_at_once_and_is_no_loss(ledger: TimedLedger) -> None:
    with ledger.begin() as table:
        table.acquire(MACHINE, "box-1", A, 8000)
        table.acquire(MACHINE, "box-2", B, 8000)
    with ledger.begin() as table:
        table.release(table.renew(A, 8000))
        again = Holder("box-1", "three")
        assert table.acquire(MACHINE, "box-1", again, 8000) is not None
    pass_time(ledger, 9)
    with ledger.begin() as table:
        assert table.acquire(MACHINE, "box-2", Holder("box-2", "four"), 8000) is not None
        assert table.losses(table.now_ms - 60_000) == {"box-2": 1}
        assert table.losses(table.now_ms) == {}


def test_of_many_that_ask_at_once_one_gets_a_lease(url: str) -> None:
    """Each with connections of its own; for a new name, and after a lease that has ended."""
    databases = [Database(url, create=True) for _ in range(4)]
    ledgers = [TimedLedger(one, "shop") for one in databases]
    got: list[int] = []
    try:
        for _ in range(3):
            ready = threading.Barrier(len(ledgers))
            taken = []

            def ask(number: int, ready: threading.Barrier = ready, taken: list = taken) -> None:
                ready.wait()
                with ledgers[number].begin() as table:
                    if table.acquire(CAMERA, "gate", Holder(f"box-{number}", str(number)), 8000):
                        taken.append(number)

            threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(ledgers))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            got.append(len(taken))
            for one in ledgers:
                pass_time(one, 9)
    finally:
        for one in databases:
            one.close()
    assert got == [1, 1, 1]


def test_the_first_lease_of_a_name_goes_to_one_of_two_that_overlap(url: str) -> None:
    """One asks while the transaction of the other is not yet committed."""
    databases = [Database(url, create=True) for _ in range(2)]
    ledgers = [TimedLedger(one, "shop") for one in databases]
    for one in ledgers:
        with one.begin() as table:
            assert table.digest() is None  # the tables are there, so nothing else waits
    got: list[str | None] = []

    def ask() -> None:
        with ledgers[1].begin() as table:
            lease = table.acquire(CAMERA, "gate", B, 8000)
            got.append(None if lease is None else lease.holder)

    asking = threading.Thread(target=ask)
    try:
        with ledgers[0].begin() as table:
            assert table.acquire(CAMERA, "gate", A, 8000)
            asking.start()
            asking.join(0.5)
            assert asking.is_alive()
        asking.join(30)
        with ledgers[0].begin() as table:
            assert [one.holder for one in table.current(CAMERA)] == ["box-1"]
    finally:
        for one in databases:
            one.close()
    assert got == [None]


def test_two_fleets_in_one_store_do_not_meet(database: Database) -> None:
    for name in ("shop", "yard"):
        with Ledger(database, name).begin() as table:
            assert table.acquire(CAMERA, "gate", A, 8000) is not None
            table.assign({"gate": Assignment("box-1", 1.0)})
    with Ledger(database, "yard").begin() as table:
        table.assign({})
        table.release(table.renew(A, 8000))
    with Ledger(database, "shop").begin() as table:
        assert table.assignments("box-1") == {"gate": Assignment("box-1", 1.0)}
        assert len(table.renew(A, 8000)) == 1


def test_an_event_seen_after_the_end_of_its_lease_is_refused(
    ledger: TimedLedger, database: Database
) -> None:
    with ledger.begin() as table:
        lease = table.acquire(CAMERA, "gate", A, 8000)
    assert lease is not None
    marks = {
        "in time": LeaseMark("box-1", 1, lease.run, lease.ends_ms),
        "late": LeaseMark("box-1", 1, lease.run, lease.ends_ms + 1),
        "forged": LeaseMark("box-1", 1, "0" * 32, lease.begins_ms),
    }
    with database.begin() as connection:
        assert LeaseFence().refused(connection, marks) == {"late", "forged"}
        assert LeaseFence().refused(connection, {}) == set()
    pass_time(ledger, 3600)
    with ledger.begin() as table:
        assert table.acquire(CAMERA, "gate", B, 8000) is not None
    kept = LeaseMark("box-1", 1, lease.run, lease.ends_ms - 10)
    with database.begin() as connection:  # it waited for the store while another took over
        assert LeaseFence().refused(connection, {"kept": kept}) == set()


def test_leases_that_ended_long_ago_go(ledger: TimedLedger, database: Database) -> None:
    with ledger.begin() as table:
        table.acquire(CAMERA, "gate", A, 8000)
        table.acquire(CAMERA, "yard", A, 8000)
    pass_time(ledger, 9)
    with ledger.begin() as table:
        table.acquire(CAMERA, "gate", B, 8000)
    pass_time(ledger, 8 * 86_400)
    with ledger.begin() as table:
        table.forget()
    with database.read() as connection:
        rows = connection.execute(text("SELECT name, number FROM ecolite_leases ORDER BY name"))
        assert [tuple(row) for row in rows] == [("gate", 2), ("yard", 1)]
        assert connection.execute(text("SELECT count(*) FROM ecolite_runs")).scalar() == 2
