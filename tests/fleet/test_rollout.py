"""A bundle for all machines: order, stop at the first that fails, files by way of the store."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from ecolite_stream.app.fleet_bundle import RolloutFollower
from ecolite_stream.app.fleet_run import read_fleet, run_machine
from ecolite_stream.errors import BundleError, ConfigError, EngineError
from ecolite_stream.fleet import rollout as rollout_module
from ecolite_stream.fleet.leases import MACHINE
from ecolite_stream.fleet.ledger import Holder, Ledger
from ecolite_stream.fleet.rollout import CHANGING, DONE, FAILED, WAITING, Rollout, Turn
from ecolite_stream.model.bundle import (
    GOLDEN,
    Bundle,
    demo_bundle_path,
    read_bundle,
    write_description,
)
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.store.database import Database
from tests.app.runs import Command
from tests.conftest import installed
from tests.fleet.test_command import write
from tests.fleet.test_leases import TimedLedger, pass_time
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)
DIGEST = "d" * 64


@pytest.fixture
def ledger(url: str) -> Iterator[TimedLedger]:
    database = Database(url, create=True)
    yield TimedLedger(database, "shop")
    database.close()


def come_up(ledger: TimedLedger, *machines: str, lease_ms: int = 8000) -> None:
    with ledger.begin() as table:
        for name in machines:
            assert table.acquire(MACHINE, name, Holder(name, name), lease_ms)


def states(rollout: Rollout) -> list[str]:
    return [turn.state for turn in rollout.turns()]


def test_one_machine_after_the_other(ledger: TimedLedger) -> None:
    rollout = Rollout(ledger)
    assert rollout.turns() == [] and rollout.take_turn("a") is None
    come_up(ledger, "a", "b")
    rollout.begin(DIGEST, ["b", "c", "a"])
    assert rollout.take_turn("a") is None
    assert rollout.take_turn("c") is None
    assert rollout.take_turn("b") == DIGEST
    assert rollout.take_turn("b") is None and rollout.take_turn("a") is None
    assert rollout.pending() == ["b", "a"]
    with pytest.raises(ConfigError, match="b, a still change to another bundle"):
        rollout.begin("e" * 64, ["a"])
    rollout.end_turn("b", "e" * 64, None)  # of another rollout
    assert states(rollout) == [CHANGING, WAITING, WAITING]
    rollout.end_turn("b", DIGEST, None)
    assert rollout.take_turn("a") == DIGEST  # c is not up
    rollout.end_turn("a", DIGEST, None)
    assert states(rollout) == [DONE, WAITING, DONE] and rollout.pending() == []
    come_up(ledger, "c")
    assert rollout.take_turn("c") == DIGEST


def test_the_first_that_fails_or_is_lost_stops_the_others(ledger: TimedLedger) -> None:
    rollout = Rollout(ledger)
    come_up(ledger, "a")
    come_up(ledger, "b", lease_ms=60_000)
    rollout.begin(DIGEST, ["a", "b"])
    assert rollout.take_turn("a") == DIGEST
    pass_time(ledger, 9)
    assert rollout.pending() == [] and rollout.take_turn("b") is None
    come_up(ledger, "a")
    assert rollout.pending() == ["a", "b"]
    rollout.end_turn("a", DIGEST, "off by 3.0")
    assert rollout.pending() == [] and rollout.take_turn("b") is None
    assert rollout.turns()[0] == Turn("a", DIGEST, FAILED, "off by 3.0")
    rollout.begin("e" * 64, ["b"])  # another bundle may follow
    assert rollout.take_turn("b") == "e" * 64


def test_only_one_of_many_at_once_gets_the_turn(ledger: TimedLedger) -> None:
    rollout, found = Rollout(ledger), []
    come_up(ledger, "a", "b")
    rollout.begin(DIGEST, ["a", "b"])
    threads = [
        threading.Thread(target=lambda: found.append(rollout.take_turn("a"))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found, key=str) == [*5 * [None], DIGEST]


def test_a_bundle_goes_through_the_store(
    ledger: TimedLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_module, "_PART_BYTES", 50_000)
    rollout, bundle = Rollout(ledger), read_bundle(demo_bundle_path())
    folders = [tmp_path / name for name in "abcd"]
    for folder in folders:
        folder.mkdir()
    with pytest.raises(BundleError, match="is not in the store"):
        rollout.fetch(bundle.digest, folders[0])
    rollout.publish(bundle)
    rollout.publish(bundle)
    assert rollout.fetch(bundle.digest, folders[1]).digest == bundle.digest
    for path in folders[1].iterdir():
        assert path.read_bytes() == bundle.file(path.name).read_bytes()
    with ledger.begin() as table:
        changed = f"UPDATE ecolite_bundle_files SET part = 900 WHERE part = 1 AND file = '{GOLDEN}'"
        assert table.connection.execute(text(changed)).rowcount == 1
    with pytest.raises(BundleError):
        rollout.fetch(bundle.digest, folders[2])
    with ledger.begin() as table:
        evil = f"UPDATE ecolite_bundle_files SET file = '../evil' WHERE file = '{GOLDEN}'"
        table.connection.execute(text(evil))
    with pytest.raises(BundleError, match="malformed"):
        rollout.fetch(bundle.digest, folders[3])
    assert not (tmp_path / "evil").exists() and not list(folders[3].iterdir())


class FakeControl:
    """Fails to change to a bundle with this error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.bundles: list[str] = []

    def add_version(self, path: Path) -> str:
        return read_bundle(path).digest

    def set_bundle(self, digest: str) -> None:
        if self.error is not None:
            raise self.error
        self.bundles.append(digest)


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (None, DONE, ""),
        (EngineError("off by 3.0"), FAILED, "off by 3.0"),
        (OSError(28, "No space left on device"), FAILED, "No space left on device"),
        (ZeroDivisionError("oh"), FAILED, "ZeroDivisionError: oh"),
    ],
)
def test_a_machine_follows(
    ledger: TimedLedger, error: Exception | None, state: str, message: str
) -> None:
    rollout, bundle = Rollout(ledger), read_bundle(demo_bundle_path())
    control = FakeControl(error)
    follower = RolloutFollower(rollout, "a", control)  # type: ignore[arg-type]
    follower.tick()
    come_up(ledger, "a")
    rollout.publish(bundle)
    rollout.begin(bundle.digest, ["a"])
    follower.tick()
    follower.tick()
    (turn,) = rollout.turns()
    assert turn.state == state and message in turn.message
    assert control.bundles == ([bundle.digest] if error is None else [])


def test_a_machine_that_died_while_it_changed_has_failed(ledger: TimedLedger) -> None:
    rollout = Rollout(ledger)
    come_up(ledger, "a")
    rollout.begin(DIGEST, ["a"])
    assert rollout.take_turn("a") == DIGEST
    RolloutFollower(rollout, "a", FakeControl()).tick()  # type: ignore[arg-type]
    assert rollout.turns() == [Turn("a", DIGEST, FAILED, "its process ended while it changed")]


def variant(folder: Path, temperature: float, spoil: bool = False) -> Bundle:
    """The embedded bundle with another temperature; spoiled, with wrong golden numbers."""
    demo = read_bundle(demo_bundle_path())
    shutil.copytree(demo.path, folder)
    if spoil:
        with np.load(folder / GOLDEN) as golden:
            numbers = {name: golden[name] for name in golden}
        numbers["logits"] = numbers["logits"] + 5
        np.savez(folder / GOLDEN, **numbers)
    spec = dataclasses.replace(demo.spec, temperature=temperature)
    return write_description(folder, spec, demo.graphs, tuple(demo.files))


def test_two_machines_change_and_keep_what_they_have_where_one_fails(
    ecolite: Command, tmp_path: Path
) -> None:
    installed("openvino")
    good, bad = variant(tmp_path / "good", 2.0), variant(tmp_path / "bad", 3.0, spoil=True)
    sources = [{"name": name, "url": "pattern"} for name in ("gate", "yard")]
    places = {"gate": {"on": ["box-1"]}, "yard": {"on": ["box-2"]}}
    path = write(tmp_path, {"source": sources, "realtime": True}, cameras=places)
    pipelines: dict[str, Pipeline] = {}
    threads = []
    for name in ("box-1", "box-2"):
        fleet, config = read_fleet(path)
        config = dataclasses.replace(config, models=tmp_path / name)
        started = {"on_start": lambda one, name=name: pipelines.update({name: one})}
        run = threading.Thread(
            target=run_machine, args=(fleet, config, name), kwargs=started, daemon=True
        )
        run.start()
        threads.append(run)
    try:
        eventually(lambda: len(pipelines) == 2 and all(map(digests, pipelines.values())))
        done = ecolite("fleet", "set-bundle", good.path, "--config", path)
        assert done.exit_code == 0
        changed = f"changed to bundle {good.digest[:12]}"
        lines = [line for line in done.out.splitlines() if line.startswith("box")]  # also labels
        assert lines == [f"box-1: {changed}", f"box-2: {changed}"]
        for pipeline in pipelines.values():
            eventually(lambda one=pipeline: digests(one) == {good.digest})
        refused = ecolite("fleet", "set-bundle", bad.path, "--config", path)
        assert refused.exit_code == 4
        last = refused.err.splitlines()[-1]  # after the log of the machine
        assert last.startswith(f"error: box-1 cannot use bundle {bad.digest[:12]}: ")
        assert all(digests(one) == {good.digest} for one in pipelines.values())
    finally:
        for pipeline in pipelines.values():
            pipeline.stop()
        for thread in threads:
            thread.join(30)
    status = ecolite("fleet", "status", "--config", path).out.splitlines()
    assert status[-2].startswith(f"bundle {bad.digest[:12]}: box-1 failed: ")
    assert status[-1] == f"bundle {bad.digest[:12]}: box-2 waiting"
    facts = json.loads(ecolite("fleet", "status", "--config", path, "--json").out)
    assert [turn["state"] for turn in facts["rollout"]] == [FAILED, WAITING]
    later = ecolite("fleet", "set-bundle", demo_bundle_path(), "--config", path, "--on", "box-2")
    assert later.out == "box-2: not up; changes when it starts\n"


def digests(pipeline: Pipeline) -> set[str]:
    return set(pipeline.bundles.values())


@pytest.mark.parametrize(
    ("stream", "options", "message"),
    [
        ({"bundle": str(demo_bundle_path())}, (), "remove bundle; a restart would return to it"),
        ({}, ("--on", "box-9"), "expected names of machines, each once; there are box-1, box-2"),
        ({}, ("--on", "box-1", "--on", "box-1"), "each once"),
    ],
)
def test_refusals(
    ecolite: Command, tmp_path: Path, stream: dict[str, str], options: tuple[str, ...], message: str
) -> None:
    path = write(tmp_path, stream)
    database = Database(f"sqlite:///{tmp_path}/events.db", create=True)
    Rollout(Ledger(database, "shop")).turns()  # makes the tables
    database.close()
    run = ecolite("fleet", "set-bundle", demo_bundle_path(), "--config", path, *options)
    assert run.exit_code == 2
    assert message in run.error
