"""Changes of a fleet's definition while it runs: everywhere at one moment, or nowhere."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from ecolite_stream.app.fleet_apply import apply_fleet
from ecolite_stream.app.fleet_reload import FleetReloader, secret_of, with_cameras
from ecolite_stream.app.fleet_run import PipelineStreams, read_fleet
from ecolite_stream.errors import ConfigError, EcoliteError
from ecolite_stream.fleet.config import LOGIN, WHOLE, Fleet, fleet_from
from ecolite_stream.fleet.leases import LeaseKeeper
from ecolite_stream.fleet.ledger import Assignment, Holder
from ecolite_stream.fleet.member import Member
from ecolite_stream.fleet.proposals import Proposal, Proposals
from ecolite_stream.fleet.supervisor import Supervisor
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from ecolite_stream.store.database import Database, StoreError
from tests.fleet.test_command import write
from tests.fleet.test_leases import TimedLedger, pass_time

pytestmark = pytest.mark.timeout(60)

SPEC = read_bundle(demo_bundle_path()).spec
BOXES = {"box-1": {"capacity": 10}, "box-2": {"capacity": 10}}
GATE = {"name": "gate", "url": "rtsp://10.0.0.7/live"}
GATE_MOVED = {"name": "gate", "url": "rtsp://10.0.0.99/live"}
YARD = {"name": "yard", "url": "rtsp://10.0.0.8/live"}
DOOR = {"name": "door", "url": "rtsp://10.0.0.9/live"}


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url, create=True)
    yield opened
    opened.close()


@pytest.fixture
def ledger(database: Database) -> TimedLedger:
    return TimedLedger(database, "shop")


def files(
    folder: Path,
    *sources: dict[str, Any],
    machines: dict[str, Any] = BOXES,
    stream: dict[str, Any] | None = None,
    **fleet: Any,
) -> Path:
    """The files of a machine; they may be written again."""
    folder.mkdir(exist_ok=True)
    settings = {"source": list(sources), "store": {"url": "sqlite:///x.db"}, **(stream or {})}
    return write(folder, settings, machines=machines, **fleet)


class Pipeline:
    """The addresses that a pipeline watches, as a fake."""

    def __init__(self) -> None:
        self.streams: dict[str, str] = {}
        self.is_stopped = False

    def add(self, stream: Any) -> None:
        assert stream.name not in self.streams
        self.streams[stream.name] = stream.source

    def remove(self, name: str) -> None:
        del self.streams[name]

    def stop(self) -> None:
        self.is_stopped = True


class Box:
    """A machine with files of its own and a clock that stands unless it is moved."""

    def __init__(self, ledger: TimedLedger, path: Path, name: str) -> None:
        fleet, config = read_fleet(path)
        self.config, self.clock_s, self.pipeline = fleet.config.config, 1000.0, Pipeline()
        self.proposals, streams = Proposals(ledger), PipelineStreams(config)
        streams.attach(self.pipeline, lambda stream: stream)  # type: ignore[arg-type]
        keeper = LeaseKeeper(fleet.config.times, lambda: self.clock_s)
        self.member: Member
        self.reloader = FleetReloader(
            *(fleet, name, config, lambda: read_fleet(path), lambda: SPEC, streams.change),
            lambda cameras: self.member.reopen(cameras),
        )
        self.member = Member(
            *(fleet, name, ledger, keeper, streams, None, self.reloader.adopt, streams.stop)
        )
        self.supervisor = Supervisor(fleet, ledger, Holder(name, f"{self.member.holder}/s"))

    def answer(self) -> None:
        self.proposals.answer(self.member.holder, self.config, self.reloader.check)

    def tick(self) -> None:
        self.supervisor.tick()
        self.member.tick()
        self.answer()


def started(ledger: TimedLedger, path: Path, *names: str) -> list[Box]:
    boxes = [Box(ledger, path, name) for name in names]
    for box in boxes:
        box.member.join()
    for _ in range(2):
        for box in boxes:
            box.tick()
    return boxes


def watched(*boxes: Box) -> dict[str, str]:
    """Address by camera; no camera is watched by two."""
    found: dict[str, str] = {}
    for box in boxes:
        assert not found.keys() & box.pipeline.streams.keys()
        found |= box.pipeline.streams
    return found


def step(ledger: TimedLedger, *boxes: Box, seconds: float = 1.0) -> None:
    """Time passes, then these boxes do what is due."""
    pass_time(ledger, seconds)
    for box in boxes:
        box.clock_s += seconds
        box.tick()
        watched(*boxes)


def apply(
    ledger: TimedLedger, path: Path, *boxes: Box, wait: Callable[[float], object] | None = None
) -> str:
    """Apply files while these boxes go on."""
    return apply_fleet(
        read_fleet(path)[0],
        Proposals(ledger),
        wait or (lambda seconds: step(ledger, *boxes, seconds=seconds)),
        lambda: ledger.ahead_ms / 1000,
    )


def digest(ledger: TimedLedger) -> str | None:
    with ledger.begin() as table:
        return table.digest()


def count(ledger: TimedLedger, name: str) -> int:
    with ledger.begin() as table:
        return int(table.connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one())


def test_cameras_and_times_change_on_all_machines(
    ledger: TimedLedger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = boxes = started(ledger, files(tmp_path / "old", GATE, YARD), "box-1", "box-2")
    assert watched(*boxes) == {"gate": GATE["url"], "yard": YARD["url"]}
    new = files(tmp_path / "new", GATE, DOOR, lease_s=20)
    with caplog.at_level(logging.WARNING):
        changes = apply(ledger, new, *boxes)
        assert changes == "added cameras door; removed cameras yard; set lease_s to 20"
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
    two.clock_s += 18.9
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


def test_a_restart_with_old_files_takes_the_current_definition(
    ledger: TimedLedger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = files(tmp_path / "old", GATE, YARD), files(tmp_path / "new", GATE_MOVED, DOOR)
    (one,) = started(ledger, old, "box-1")
    apply(ledger, new, one)
    other = files(tmp_path / "other", GATE)
    with pytest.raises(ConfigError, match=r"runs in this store.*ecolite-stream fleet apply"):
        Box(ledger, other, "box-2").member.join()
    one.member.leave(), one.supervisor.resign()
    with caplog.at_level(logging.WARNING):
        boxes = started(ledger, old, "box-1", "box-2")  # all were off, and the files are old
        for _ in range(2):
            step(ledger, *boxes)
    assert caplog.text.count("the files of this machine are an earlier version") == 2
    assert watched(*boxes) == {"gate": GATE_MOVED["url"], "door": DOOR["url"]}
    with pytest.raises(ConfigError, match="copy the current files here"):
        boxes[0].reloader.reload()
    files(tmp_path / "old", GATE_MOVED, DOOR, stream={"every_s": 3.0})
    assert boxes[0].reloader.reload() == "changed gate, door"
    for box in boxes:
        box.member.leave()
    assert started(ledger, other, "box-1")[0].member.fleet.digest == digest(ledger)  # all were off


def test_a_version_that_was_before_may_come_back(ledger: TimedLedger, tmp_path: Path) -> None:
    old, new = files(tmp_path / "old", GATE), files(tmp_path / "new", GATE_MOVED)
    (one,) = started(ledger, old, "box-1")
    assert apply(ledger, new, one) == apply(ledger, old, one) == "changed cameras gate"
    for _ in range(2):
        step(ledger, one)
    assert watched(one) == {"gate": GATE["url"]}
    assert count(ledger, "ecolite_fleet_versions") == 2


def test_a_machine_that_could_not_be_asked_watches_nothing_until_it_can(
    ledger: TimedLedger, tmp_path: Path
) -> None:
    """It was cut off, and the others agreed to a camera whose password it does not have."""
    own = files(tmp_path / "own", GATE)
    (two,) = started(ledger, own, "box-2")
    (one,) = started(ledger, files(tmp_path / "old", GATE), "box-1")
    step(ledger, one, seconds=9)
    new = files(tmp_path / "new", {**GATE, "url": "rtsp://me:hush@10.0.0.99/live"})
    login = {"logins": {"gate": {"user": "me", "password": "hush"}}}
    files(tmp_path / "old", GATE, stream=login)
    apply(ledger, new, one)
    two.clock_s += 9
    for _ in range(2):
        with pytest.raises(ConfigError, match="gate: no user and password"):
            two.member.renew()
        two.member.enforce()
        assert not watched(two)
    with ledger.begin() as table:
        assert all(one.is_over(table.now_ms) for one in table.current("machine", "box-2"))
    with pytest.raises(ConfigError, match="gate: no user and password"):
        Box(ledger, own, "box-2").member.join()
    files(tmp_path / "own", GATE, stream=login)
    one.member.leave()
    for _ in range(3):
        step(ledger, two)
    assert watched(two) == {"gate": "rtsp://me:hush@10.0.0.99/live"}


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


def test_stores_of_older_versions(ledger: TimedLedger, database: Database, tmp_path: Path) -> None:
    old, new = files(tmp_path / "old", GATE), files(tmp_path / "new", GATE, DOOR)
    (one,) = started(ledger, old, "box-1")
    with ledger.begin() as table:
        for name in ("versions", "proposals", "answers"):
            table.connection.execute(text(f"DROP TABLE ecolite_fleet_{name}"))
    later = TimedLedger(database, "shop")  # another process
    with pytest.raises(ConfigError, match="has not run in this store with this version of"):
        apply(later, new, one)
    one.member.leave()
    (again,) = started(later, old, "box-1")
    assert apply(later, new, again) == "added cameras door"
    again.member.leave()
    assert started(later, old, "box-1")[0].member.fleet.digest == read_fleet(new)[0].digest
    with pytest.raises(ConfigError, match="has not run in this store"):
        apply(TimedLedger(database, "yard"), new)


def test_a_definition_of_a_newer_program_is_not_taken(ledger: TimedLedger, tmp_path: Path) -> None:
    path = files(tmp_path / "old", GATE)
    (one,) = started(ledger, path, "box-1")
    with ledger.begin() as table:
        for words in (
            "UPDATE ecolite_fleet_versions SET definition = '{\"sources\": {}}', digest = 'd'",
            "UPDATE ecolite_fleets SET digest = 'd'",
        ):
            table.connection.execute(text(words))
    for job in (one.member.renew, one.supervisor.tick):
        with pytest.raises(ConfigError, match="the definition of the fleet in the store: missing"):
            job()
    one.member.enforce()
    assert not watched(one)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("rtsp://10.0.0.7/live", None),
        ("camera:1", None),
        ("rtsp://me:hush@10.0.0.7/live", LOGIN),
        ("rtsp://me:hu@sh@10.0.0.7/live", LOGIN),
        ("rtsp://me@10.0.0.7/live", LOGIN),
        ("rtsp://10.0.0.7/live?token=abc", WHOLE),
        ("rtsp://me:hush@10.0.0.7/live?token=abc", WHOLE),
        ("rtsp://10.0.0.7/user=me&password=hush", WHOLE),
    ],
)
def test_each_machine_takes_secrets_from_its_own_files(
    tmp_path: Path, url: str, secret: str | None
) -> None:
    assert secret_of(url) == secret
    fleet, _ = read_fleet(files(tmp_path / "own", {**GATE, "url": url}, YARD))
    fleet = fleet_from(fleet.text, json.dumps(fleet.secrets), Path("mine"))
    assert "hush" not in fleet.text and "abc" not in fleet.text

    def gate(*sources: dict[str, Any], **logins: Any) -> str:
        machine = read_fleet(files(tmp_path / "m", *sources, YARD, stream={"logins": logins}))[1]
        (found, _) = with_cameras(machine, fleet, "box-1").source
        return str(found.url)  # type: ignore[union-attr]

    assert gate({**GATE, "url": url, "every_s": 3.0}) == url
    if secret == WHOLE:
        with pytest.raises(ConfigError, match="gate: its address has secret parts; name it under"):
            gate()
    elif secret == LOGIN:
        assert gate({**GATE, "url": url.replace("10.0.0.7", "old")}) == url  # it has moved
        login = {"user": "o", "password": "p@"}
        assert gate(gate=login) == "rtsp://o:p%40@10.0.0.7/live"
        with pytest.raises(ConfigError, match="gate: no user and password; name them under"):
            gate()
    else:
        moved = {**GATE, "url": "rtsp://me:hush@old/live"}
        assert gate() == gate(moved) == url  # no password is sent to who needs none


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("{", "malformed"),
        ("[]", "malformed"),
        ("[" * 100_000, "malformed"),
        ('{"sources": {"gate": 7}}', "malformed"),
        ('{"sources": {"../gate": "rtsp://h"}}', "the name of a source"),
        ('{"sources": {}, "name": "shop", "config": ""}', "missing key machines"),
        ('{"sources": {}, "colour": 1}', "unknown key 'colour'"),
    ],
)
def test_a_malformed_definition_is_refused(definition: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fleet_from(definition, "{}", Path("stream.yaml"))


@pytest.mark.parametrize("url", ["/etc/passwd", "film.mp4", "file:///etc/passwd", "concat://a|b"])
def test_a_definition_names_cameras_only(tmp_path: Path, url: str) -> None:
    fleet, config = read_fleet(files(tmp_path / "own", GATE))
    evil = Fleet(fleet.config, fleet.cameras, fleet.text.replace(GATE["url"], url))
    with pytest.raises(EcoliteError):
        with_cameras(config, evil, "box-1")
