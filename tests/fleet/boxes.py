"""Machines of a fleet with files of their own, whose pipelines are fakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from ecolite_stream.app.fleet_apply import apply_fleet
from ecolite_stream.app.fleet_reload import FleetReloader
from ecolite_stream.app.fleet_run import PipelineStreams, read_fleet
from ecolite_stream.fleet.leases import LeaseKeeper
from ecolite_stream.fleet.ledger import Holder
from ecolite_stream.fleet.member import Member
from ecolite_stream.fleet.proposals import Proposals
from ecolite_stream.fleet.supervisor import Supervisor
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from tests.fleet.test_command import write
from tests.fleet.test_leases import TimedLedger, pass_time

SPEC = read_bundle(demo_bundle_path()).spec
BOXES = {"box-1": {"capacity": 10}, "box-2": {"capacity": 10}}
GATE = {"name": "gate", "url": "rtsp://10.0.0.7/live"}
GATE_MOVED = {"name": "gate", "url": "rtsp://10.0.0.99/live"}
YARD = {"name": "yard", "url": "rtsp://10.0.0.8/live"}
DOOR = {"name": "door", "url": "rtsp://10.0.0.9/live"}


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
