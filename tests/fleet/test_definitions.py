"""Definitions of a fleet in the store: restarts, secrets, older and newer programs."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ecolite_stream.app.fleet_reload import secret_of, with_cameras
from ecolite_stream.app.fleet_run import read_fleet
from ecolite_stream.errors import ConfigError, EcoliteError
from ecolite_stream.fleet.config import LOGIN, WHOLE, Fleet, fleet_from
from ecolite_stream.store.database import Database
from tests.fleet.boxes import (
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


def test_the_log_names_what_has_changed(
    ledger: TimedLedger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also on a machine that may not watch all cameras."""
    places = {"yard": {"on": ["box-2"]}}
    (one,) = started(ledger, files(tmp_path / "old", GATE, YARD, cameras=places), "box-1")
    new = files(tmp_path / "old", GATE_MOVED, YARD, DOOR, cameras=places)
    with caplog.at_level(logging.WARNING):
        apply(ledger, new, one)
        step(ledger, one)
    words = f"changed to definition {read_fleet(new)[0].digest[:12]}: added door; changed gate"
    assert words in caplog.messages[-1]
    assert one.reloader.reload() == "nothing changed"


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
