"""Changes of a fleet's definition while it runs: everywhere at one moment, or nowhere."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from ecolite_stream.app.fleet_apply import apply_fleet
from ecolite_stream.app.fleet_run import read_fleet
from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.ledger import Assignment
from ecolite_stream.fleet.proposals import Proposal, Proposals
from ecolite_stream.store.database import Database, StoreError
from tests.fleet.boxes import (
    BOXES,
    DOOR,
    GATE,
    GATE_MOVED,
    YARD,
    Box,
    apply,
    count,
    digest,
    files,
    started,
    step,
    watched,
)
from tests.fleet.test_leases import TimedLedger

pytestmark = pytest.mark.timeout(60)


def test_cameras_and_times_change_on_all_machines(
    ledger: TimedLedger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = boxes = started(ledger, files(tmp_path / "old", GATE, YARD), "box-1", "box-2")
    assert watched(*boxes) == {"gate": GATE["url"], "yard": YARD["url"]}
    new = files(tmp_path / "new", GATE, DOOR, lease_s=20, margin_s=3)
    with caplog.at_level(logging.WARNING):
        changes = apply(ledger, new, *boxes)
        cameras, times = "added cameras door; removed cameras yard", "lease_s to 20, margin_s to 3"
        assert changes == f"{cameras}; set {times}"
        assert apply(ledger, new, *boxes) == "nothing changed"
        for _ in range(3):
            step(ledger, *boxes)
    assert watched(*boxes) == {"gate": GATE["url"], "door": DOOR["url"]}
    assert caplog.text.count("fleet: changed to definition") == 2
    assert one.member.fleet.digest == two.supervisor.fleet.digest == read_fleet(new)[0].digest
    with ledger.begin() as table:
        held = {one.name: one for one in table.current("camera") if not one.is_over(table.now_ms)}
        assert held.keys() == {"gate", "door"}
        assert all(one.ends_ms - table.now_ms > 18_000 for one in held.values())
    two.clock_s += 16.9
    assert watched(two) and two.member.enforce() is None and watched(two)
    two.clock_s += 0.2  # the new length less the margin
    two.member.enforce()
    assert not watched(two)


def test_an_address_that_changes_is_opened_anew_under_the_same_lease(
    ledger: TimedLedger, tmp_path: Path
) -> None:
    boxes = started(ledger, files(tmp_path / "old", GATE, YARD), "box-1", "box-2")
    with ledger.begin() as table:
        before = {one.name: one.run for one in table.current("camera")}
    apply(ledger, files(tmp_path / "new", GATE_MOVED, YARD), *boxes)
    seen = []
    for _ in range(4):
        step(ledger, *boxes)
        seen.append(watched(*boxes).get("gate"))
    assert seen[-1] == GATE_MOVED["url"] and watched(*boxes)["yard"] == YARD["url"]
    assert seen == sorted(seen, key=lambda url: url == GATE_MOVED["url"])  # never back
    with ledger.begin() as table:
        assert {one.name: one.run for one in table.current("camera")} == before


@pytest.mark.parametrize("wakes", [False, True])
def test_a_machine_that_is_cut_off_keeps_the_old_address_until_its_lease_ends(
    ledger: TimedLedger, tmp_path: Path, wakes: bool
) -> None:
    """No other opens the new one before."""
    one, two = started(ledger, files(tmp_path / "old", GATE, YARD), "box-1", "box-2")
    here, there = (one, two) if "gate" in two.pipeline.streams else (two, one)
    proposals = Proposals(ledger)
    proposal = proposals.propose(read_fleet(files(tmp_path / "new", GATE_MOVED, YARD))[0])
    assert proposal is not None
    one.answer(), two.answer()
    assert proposals.settle(proposal) == []
    for second in range(14):
        there.clock_s += 1.0  # its clock goes on, and its store does not answer
        if second >= 5 and wakes:
            there.member.renew()
        there.member.enforce()
        step(ledger, here)
        at = watched(one, two).get("gate")  # by at most one of the two
        if not wakes:
            assert at in (GATE["url"], None) if second < 7 else at in (GATE_MOVED["url"], None)
    assert watched(one, two)["gate"] == GATE_MOVED["url"]
    assert ("gate" in there.pipeline.streams) == wakes


def test_what_one_machine_refuses_changes_nothing(
    ledger: TimedLedger, database: Database, tmp_path: Path
) -> None:
    old = [files(tmp_path / name, GATE, YARD) for name in BOXES]
    boxes = [started(ledger, path, name)[0] for path, name in zip(old, BOXES, strict=True)]
    step(ledger, *boxes)
    login = {"logins": {"door": {"user": "me", "password": "hu/sh"}}}
    files(tmp_path / "box-1", GATE, YARD, stream=login)
    secret = {**DOOR, "url": "rtsp://me:hu%2Fsh@10.0.0.9/live"}
    new = files(tmp_path / "new", GATE, YARD, secret)
    before, were = digest(ledger), watched(*boxes)
    with pytest.raises(ConfigError, match=r"^box-2: door: no user and password.*nothing has ch"):
        apply(ledger, new, *boxes)
    for _ in range(3):
        step(ledger, *boxes)
    assert (digest(ledger), watched(*boxes)) == (before, were)
    assert count(ledger, "ecolite_fleet_proposals") == 0
    files(tmp_path / "box-2", GATE, YARD, stream=login)  # no reload is needed
    assert apply(ledger, new, *boxes) == "added cameras door"
    for _ in range(3):
        step(ledger, *boxes)
    assert watched(*boxes)["door"] == secret["url"]
    with database.read() as connection:
        tables = [one for one in inspect(connection).get_table_names() if "fleet" in one]
        stored = [str(connection.execute(text(f"SELECT * FROM {one}")).all()) for one in tables]
    assert "10.0.0.9" in str(stored)
    assert "hu/sh" not in str(stored) and "hu%2Fsh" not in str(stored)


def test_a_machine_that_does_not_answer_changes_nothing(
    ledger: TimedLedger, tmp_path: Path
) -> None:
    one, two = started(ledger, files(tmp_path / "old", GATE), "box-1", "box-2")

    def wait(seconds: float) -> None:
        step(ledger, one, seconds=seconds)
        two.member.renew()  # as a machine of an older version of this program

    before = digest(ledger)
    with pytest.raises(ConfigError, match=r"^box-2: no answer within 16 s; nothing has changed"):
        apply(ledger, files(tmp_path / "new", GATE, DOOR), wait=wait)
    assert digest(ledger) == before and count(ledger, "ecolite_fleet_proposals") == 0
    step(ledger, one, two)
    assert watched(one, two) == {"gate": GATE["url"]}


def test_a_machine_that_is_lost_meanwhile_is_not_waited_for(
    ledger: TimedLedger, tmp_path: Path
) -> None:
    one, _ = started(ledger, files(tmp_path / "old", GATE), "box-1", "box-2")
    new = files(tmp_path / "new", GATE, DOOR)
    assert apply(ledger, new, one) == "added cameras door"
    assert ledger.ahead_ms >= 8000  # it was, until its lease had ended


def test_an_apply_that_is_killed_leaves_a_proposal_that_ends(
    ledger: TimedLedger, tmp_path: Path
) -> None:
    boxes = started(ledger, files(tmp_path / "old", GATE), "box-1", "box-2")
    before, new = digest(ledger), files(tmp_path / "new", GATE, DOOR)
    killed = Proposals(ledger).propose(read_fleet(new)[0])
    assert killed is not None
    for _ in range(15):
        step(ledger, *boxes)
    with pytest.raises(ConfigError, match="apply is under way; wait for its end, 1 s at most"):
        apply(ledger, new, *boxes)
    step(ledger, *boxes)
    assert (digest(ledger), watched(*boxes)) == (before, {"gate": GATE["url"]})
    with pytest.raises(ConfigError, match="has ended; nothing has changed"):
        Proposals(ledger).settle(killed)  # it was only frozen, and all had agreed
    assert digest(ledger) == before
    assert apply(ledger, new, *boxes) == "added cameras door"


def test_a_machine_that_joins_or_is_started_anew_answers_as_well(
    ledger: TimedLedger, tmp_path: Path
) -> None:
    old, proposals = files(tmp_path / "old", GATE), Proposals(ledger)
    (one,) = started(ledger, old, "box-1")
    proposal = proposals.propose(read_fleet(files(tmp_path / "new", GATE, DOOR))[0])
    assert proposal is not None and proposals.settle(proposal) == ["box-1"]
    one.answer()
    two = Box(ledger, old, "box-2")
    two.member.join()
    assert proposals.settle(proposal) == ["box-2"]
    two.answer()
    two.member.leave()
    again = Box(ledger, old, "box-2")
    again.member.join()
    assert proposals.settle(proposal) == ["box-2"]
    again.answer()
    assert proposals.settle(proposal) == []
    for _ in range(3):
        step(ledger, one, again)
    assert watched(one, again).keys() == {"gate", "door"}


def test_a_fleet_that_is_started_with_another_definition_meanwhile_keeps_that(
    ledger: TimedLedger, tmp_path: Path
) -> None:
    (one,) = started(ledger, files(tmp_path / "old", GATE), "box-1")
    proposals = Proposals(ledger)
    proposal = proposals.propose(read_fleet(files(tmp_path / "new", GATE, DOOR))[0])
    assert proposal is not None
    one.member.leave(), one.supervisor.resign()
    (two,) = started(ledger, other := files(tmp_path / "other", GATE, YARD), "box-2")
    two.answer()
    with pytest.raises(ConfigError, match="was started with another definition meanwhile"):
        proposals.settle(proposal)
    assert digest(ledger) == read_fleet(other)[0].digest
    assert watched(two).keys() == {"gate", "yard"}


def test_one_of_many_at_once_is_proposed(url: str, tmp_path: Path) -> None:
    """Each with connections of its own."""
    databases = [Database(url, create=True) for _ in range(4)]
    ledgers = [TimedLedger(one, "shop") for one in databases]
    started(ledgers[0], files(tmp_path / "old", GATE), "box-1")
    fleets = [
        read_fleet(files(tmp_path / f"new-{n}", GATE, {**DOOR, "url": f"rtsp://{n}/live"}))[0]
        for n in range(4)
    ]
    ready, taken, refused = threading.Barrier(4), [], []

    def propose(n: int) -> None:
        ready.wait()
        try:
            taken.append(Proposals(ledgers[n]).propose(fleets[n]))
        except ConfigError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=propose, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for one in databases:
        one.close()
    assert len(taken) == 1 and len(refused) == 3
    assert all("another ecolite-stream fleet apply is under way" in one for one in refused)


def test_an_answer_that_is_lost_is_asked_for_again(ledger: TimedLedger, tmp_path: Path) -> None:
    class Unreliable(Proposals):
        """Its settlement is made, and the connection is lost before the answer."""

        is_lost = False

        def settle(self, proposal: Proposal) -> list[str]:
            waiting = super().settle(proposal)
            if not waiting and not self.is_lost:
                self.is_lost = True
                raise StoreError("store: away")
            return waiting

    (one,) = started(ledger, files(tmp_path / "old", GATE), "box-1")
    fleet, unreliable = read_fleet(files(tmp_path / "new", GATE, DOOR))[0], Unreliable(ledger)
    changes = apply_fleet(fleet, unreliable, lambda s: step(ledger, one), lambda: 0.0)
    assert changes == "added cameras door" and unreliable.is_lost
    assert digest(ledger) == fleet.digest


def test_a_store_that_stays_away_ends_it(ledger: TimedLedger, tmp_path: Path) -> None:
    class Away(Proposals):
        def settle(self, proposal: Proposal) -> list[str]:
            raise StoreError("store: away")

    (one,) = started(ledger, files(tmp_path / "old", GATE), "box-1")
    fleet, seconds = read_fleet(files(tmp_path / "new", GATE, DOOR))[0], [0.0]

    def wait(passed_s: float) -> None:
        seconds[0] += passed_s

    with pytest.raises(StoreError, match="away"):
        apply_fleet(fleet, Away(ledger), wait, lambda: seconds[0])
    step(ledger, one)
    assert watched(one) == {"gate": GATE["url"]}


def test_a_machine_that_is_not_named_any_more_ends(ledger: TimedLedger, tmp_path: Path) -> None:
    old = files(tmp_path / "old", GATE, YARD)
    one, two = started(ledger, old, "box-1", "box-2")
    new = files(tmp_path / "new", GATE, YARD, machines={"box-1": {"capacity": 5}})
    changes = apply(ledger, new, one, two)
    assert changes == "removed machines box-2; changed machines box-1"
    for _ in range(3):
        step(ledger, one, two)
    assert two.pipeline.is_stopped and not two.pipeline.streams
    assert watched(one).keys() == {"gate", "yard"} and not one.pipeline.is_stopped
    with pytest.raises(ConfigError, match="does not name machine 'box-2' any more"):
        Box(ledger, old, "box-2").member.join()


def test_assignments_by_another_definition_are_not_taken(
    ledger: TimedLedger, tmp_path: Path
) -> None:
    path = files(tmp_path / "old", GATE, YARD, cameras={"yard": {"on": ["box-2"]}})
    (one,) = started(ledger, path, "box-1")
    with ledger.begin() as table:  # as a supervisor that has not noticed the change
        table.assign({name: Assignment("box-1", 1.0) for name in ("gate", "yard", "door")})
    one.member.tick()
    assert watched(one) == {"gate": GATE["url"]}
    with ledger.begin() as table:
        assert [lease.name for lease in table.current("camera")] == ["gate"]
