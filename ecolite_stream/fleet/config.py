"""Settings of a fleet: `fleet.yaml`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecolite_stream.config.names import check_name
from ecolite_stream.config.strict import (
    check_above_zero,
    check_at_least,
    load_config,
    make_config,
)
from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.assign import Camera, Machine, Needs
from ecolite_stream.fleet.leases import LeaseTimes

LOGIN, WHOLE = "login", "whole"
"""What an address without credentials lacks: user and password, or values in other places."""
_MOST_CHARACTERS = 2_000_000


@dataclass(frozen=True)
class MachineConfig:
    """A machine of the fleet.

    Attributes:
        capacity: cameras that it carries at full rate, as `ecolite-bench streams` measures.
        site: where it stands.
        engines: engines that it can open, for cameras that need one.
        devices: devices that it has, such as `cpu` or `ascend`.
        node: name of its Ray node; None is the machine's name.
    """

    capacity: float
    site: str = ""
    engines: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    node: str | None = None

    def __post_init__(self) -> None:
        check_above_zero("capacity", self.capacity)


@dataclass(frozen=True)
class CameraConfig:
    """Where a camera may be watched.

    Attributes:
        on: names of machines; empty is any.
        sites: names of sites; empty is any.
        engine: that the machine must have.
        device: that the machine must have.
        load: what it takes at full rate, in the unit of capacities.
    """

    on: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    engine: str | None = None
    device: str | None = None
    load: float = 1.0

    def __post_init__(self) -> None:
        check_above_zero("load", self.load)


@dataclass(frozen=True)
class FleetConfig:
    """A fleet.

    Attributes:
        name: no two fleets in one store have the same.
        config: configuration of `ecolite-stream`, with the cameras as `source` and the store;
            relative to the fleet's file.
        machines: by name.
        cameras: constraints by name of the stream.
        lease_s: seconds after which a machine that is not heard of has lost its cameras.
        margin_s: seconds before the end of a lease at which its holder stops.
        tick_s: seconds between two renewals.
        settle_s: seconds for which a machine must be up before cameras move to it.
    """

    name: str
    config: Path
    machines: Mapping[str, MachineConfig]
    cameras: Mapping[str, CameraConfig] = field(default_factory=dict)
    lease_s: float = 8.0
    margin_s: float = 1.0
    tick_s: float = 1.0
    settle_s: float = 60.0

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.machines:
            raise ConfigError("machines: none is named; name one with its capacity")
        for name in self.machines:
            if not isinstance(name, str):
                raise ConfigError(f"machines: {name!r} is no text; write it in quotes")
            check_name(name)
        check_at_least("settle_s", self.settle_s, 0)
        self.times  # noqa: B018

    @property
    def times(self) -> LeaseTimes:
        """How long leases last."""
        return LeaseTimes(self.lease_s, self.margin_s, self.tick_s)


@dataclass(frozen=True)
class Fleet:
    """A fleet, checked.

    Attributes:
        config: its settings.
        cameras: all of them.
        text: its definition, as JSON: machines, cameras with their addresses, and times; without
            credentials.
        secrets: `LOGIN` or `WHOLE`, by camera, where its address without credentials lacks that.
    """

    config: FleetConfig
    cameras: tuple[Camera, ...]
    text: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of its definition; the same on all machines."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def addresses(self) -> dict[str, str]:
        """The address of each camera, without credentials."""
        found: dict[str, str] = json.loads(self.text)["sources"]
        return found

    def cameras_of(self, name: str) -> list[Camera]:
        """The cameras that a machine may watch; none of a machine that is not in the fleet."""
        if name not in self.config.machines:
            return []
        machine = self.machine(name, 0, 0)
        return [camera for camera in self.cameras if camera.needs.allows(machine)]

    def machine(self, name: str, up_s: float, losses: int) -> Machine:
        """A machine that is up."""
        one = self.config.machines[name]
        return Machine(
            *(name, one.capacity, one.site, frozenset(one.engines), frozenset(one.devices)),
            *(up_s, losses),
        )


def load_fleet(path: Path) -> FleetConfig:
    """Read a fleet's file.

    Raises:
        ConfigError: it cannot be read or is invalid.
    """
    config = load_config(path, FleetConfig)
    return dataclasses.replace(config, config=path.parent / config.config)


def make_fleet(
    config: FleetConfig, sources: Mapping[str, str], secrets: Mapping[str, str] | None = None
) -> Fleet:
    """Check a fleet.

    Args:
        config: its settings.
        sources: source by name of the stream, without credentials.
        secrets: what those lack, by name; see `Fleet`.

    Raises:
        ConfigError: a camera or a machine is named that is not there, or no machine may watch a
            camera.
    """
    for name in config.cameras:
        if name not in sources:
            raise ConfigError(
                f"cameras: {config.config} has no source named {name!r}; name one under source"
            )
    cameras = tuple(_camera(name, config) for name in sources)
    facts = {
        **dataclasses.asdict(dataclasses.replace(config, config=Path())),
        "config": "",
        "sources": dict(sources),
    }
    return Fleet(config, cameras, json.dumps(facts, sort_keys=True), dict(secrets or {}))


def fleet_from(text: str, secrets: str, config: Path) -> Fleet:
    """A fleet from its definition in the store.

    Args:
        text: as `Fleet.text`.
        secrets: `Fleet.secrets` as JSON.
        config: configuration of `ecolite-stream` on this machine.

    Raises:
        ConfigError: it is malformed, invalid, or of another version of this program.
    """
    where = "the definition of the fleet in the store"
    try:
        if len(text) > _MOST_CHARACTERS:
            raise ValueError("too long")
        facts: dict[str, Any] = json.loads(text)
        sources, lacks = dict(facts.pop("sources")), dict(json.loads(secrets))
        if not all(isinstance(one, str) for one in (*sources.values(), *lacks.values())):
            raise ValueError("no text")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{where} is malformed; run ecolite-stream fleet apply again") from error
    for name in sources:
        check_name(name)
    settings = dataclasses.replace(make_config(FleetConfig, facts, where), config=config)
    return dataclasses.replace(make_fleet(settings, sources, lacks), text=text)


def _camera(name: str, config: FleetConfig) -> Camera:
    given = config.cameras.get(name, CameraConfig())
    known = ", ".join(sorted(config.machines))
    for machine in given.on:
        if machine not in config.machines:
            raise ConfigError(f"camera {name!r}: there is no machine {machine!r}; known: {known}")
    sites = sorted({one.site for one in config.machines.values() if one.site})
    for site in given.sites:
        if site not in sites:
            raise ConfigError(
                f"camera {name!r}: no machine has site {site!r}; sites: {', '.join(sites)}"
            )
    camera = Camera(name, given.load, Needs(given.on, given.sites, given.engine, given.device))
    boxes = Fleet(config, ())
    if not any(camera.needs.allows(boxes.machine(one, 0, 0)) for one in config.machines):
        raise ConfigError(
            f"camera {name!r}: no machine may watch it; change on, sites, engine or device, or "
            "a machine's site, engines or devices"
        )
    return camera
