"""Which machine watches which camera. Pure: no clock, no network; the same input, the same plan.

The rules, in this order:

1. A camera stays where it is (sticky) while its machine is there and may watch it.
2. A camera without a machine goes at once to a machine that may watch it: to the least loaded of
   the settled ones, to another settled one that has room, to any that has room, or else to the
   least loaded. It is unwatched only where no machine that is there may watch it.
3. A machine that has more than it can carry watches all its cameras less often, each by the same
   share: capacity / load. Cameras move from it to settled machines that have room for them.
4. Where a machine's load is more than `Rules.margin` above that of the least loaded settled machine
   that a camera may go to, in shares of capacity, the camera moves, unless that would turn the two
   round. So a machine that returns gets work back.

Moves by 3 and 4 are at most `Rules.most_moves` a plan, and only to machines that have settled:
that have been up for `Rules.settle_s`, doubled for each time they were lost of late. A machine
that comes and goes therefore gets no camera that has another place. A move by 3 makes the sum of
what is too much smaller; one by 4 does not make it larger, and makes the sum of load^2 / capacity
smaller. So plans made one after the other come to rest.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ecolite_stream.errors import ConfigError

_LONGEST_DOUBLING = 6
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Machine:
    """A machine that is there now.

    Attributes:
        name: no two are equal.
        capacity: what it can carry, in the unit of `Camera.load`: cameras at full rate, say.
        site: where it stands; empty where nobody asks.
        engines: engines that it can open.
        devices: devices that it has, such as `cpu` or `ascend`.
        up_s: seconds since it came, or came back.
        losses: how often it was lost of late.
    """

    name: str
    capacity: float
    site: str = ""
    engines: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset({"cpu"})
    up_s: float = math.inf
    losses: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.capacity) and self.capacity > 0):
            raise ConfigError(
                f"capacity of machine {self.name!r} is {self.capacity}; expected a number above 0"
            )


@dataclass(frozen=True)
class Needs:
    """Where a camera may be watched; what is empty or None does not matter.

    Attributes:
        on: names of machines.
        sites: names of sites.
        engine: that the machine must have.
        device: that the machine must have.
    """

    on: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    engine: str | None = None
    device: str | None = None

    def allows(self, machine: Machine) -> bool:
        """Whether a machine may watch such a camera."""
        return (
            (not self.on or machine.name in self.on)
            and (not self.sites or machine.site in self.sites)
            and (self.engine is None or self.engine in machine.engines)
            and (self.device is None or self.device in machine.devices)
        )


@dataclass(frozen=True)
class Camera:
    """A camera to watch.

    Attributes:
        name: no two are equal.
        load: what it takes at full rate, above 0.
        needs: where it may be watched.
    """

    name: str
    load: float = 1.0
    needs: Needs = Needs()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.load) and self.load > 0):
            raise ConfigError(
                f"load of camera {self.name!r} is {self.load}; expected a number above 0"
            )


@dataclass(frozen=True)
class Rules:
    """How readily cameras move.

    Attributes:
        most_moves: of cameras that could stay, a plan.
        margin: difference of two machines' loads that is worth moves, in shares of capacity.
        settle_s: seconds for which a machine must be up before cameras move to it.
    """

    most_moves: int = 20
    margin: float = 0.25
    settle_s: float = 60.0

    def has_settled(self, machine: Machine) -> bool:
        """Whether cameras that have a place may move to a machine."""
        doublings = min(machine.losses, _LONGEST_DOUBLING)
        return machine.up_s >= self.settle_s * float(2**doublings)


@dataclass(frozen=True)
class Plan:
    """Who watches what.

    Attributes:
        machine_of: machine by camera.
        share_of: by machine, the share of the full rate at which its cameras are watched: above 0,
            to 1; 1 unless it has more than it can carry.
        unwatched: cameras that no machine that is there may watch, by name.
        moved: cameras that could have stayed and did not, by name.
    """

    machine_of: Mapping[str, str]
    share_of: Mapping[str, float]
    unwatched: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


def assign(
    cameras: Iterable[Camera],
    machines: Iterable[Machine],
    before: Mapping[str, str] | None = None,
    rules: Rules | None = None,
) -> Plan:
    """Decide who watches what, by the rules of this module.

    Args:
        cameras: all of them.
        machines: those that are there now.
        before: machine by camera, of the plan before; it may name what is no longer there.
        rules: how readily cameras move.

    Raises:
        ConfigError: two cameras or two machines have the same name.
    """
    fleet = _Fleet(machines, rules or Rules())
    unwatched = fleet.place(_by_name(cameras, "cameras"), before or {})
    fleet.relieve()
    fleet.balance()
    return fleet.plan(unwatched)


@dataclass(eq=False)
class _Desk:
    """A machine with the cameras that it has been given."""

    machine: Machine
    has_settled: bool
    cameras: dict[str, Camera] = field(default_factory=dict)
    load: float = 0.0

    @property
    def share(self) -> float:
        """Load by capacity; more than 1 is too much."""
        return self.load / self.machine.capacity

    @property
    def room(self) -> float:
        """Load that it could take; negative where it has too much."""
        return self.machine.capacity - self.load

    def share_with(self, camera: Camera) -> float:
        """Its share with one more camera."""
        return (self.load + camera.load) / self.machine.capacity

    def share_without(self, camera: Camera) -> float:
        """Its share without one of its cameras."""
        return (self.load - camera.load) / self.machine.capacity

    def add(self, camera: Camera) -> None:
        """Give it a camera."""
        self.cameras[camera.name] = camera
        self.load += camera.load

    def remove(self, camera: Camera) -> None:
        """Take a camera away."""
        del self.cameras[camera.name]
        # Summed anew: differences of floats would not come back to where they were.
        self.load = math.fsum(one.load for one in self.cameras.values())


class _Ranking:
    """The desk that has the least of something which grows with its load.

    A heap of (value, name). Loads change after entries are made: an entry whose value has grown is
    put right when it comes up; `note` makes a new one where a load became smaller.
    """

    def __init__(self, desks: Iterable[_Desk], value_of: Callable[[_Desk], float]) -> None:
        self._value_of = value_of
        self._desks = {desk.machine.name: desk for desk in desks}
        self._heap = [(value_of(desk), name) for name, desk in self._desks.items()]
        heapq.heapify(self._heap)

    def first(self) -> _Desk | None:
        """The desk; None if there is none."""
        while self._heap:
            value, name = self._heap[0]
            desk = self._desks[name]
            now = self._value_of(desk)
            if value == now:
                return desk
            heapq.heapreplace(self._heap, (now, name))
        return None

    def note(self, desk: _Desk) -> None:
        """The load of a desk became smaller."""
        if desk.machine.name in self._desks:
            heapq.heappush(self._heap, (self._value_of(desk), desk.machine.name))


class _Choice:
    """The desks that cameras with the same needs may go to."""

    def __init__(self, desks: Sequence[_Desk]) -> None:
        settled = [desk for desk in desks if desk.has_settled]
        self._roomiest = _Ranking(desks, lambda desk: -desk.room)
        self._roomiest_settled = _Ranking(settled, lambda desk: -desk.room)
        self._least_loaded = _Ranking(desks, lambda desk: desk.share)
        self._least_loaded_settled = _Ranking(settled, lambda desk: desk.share)

    def for_new(self, camera: Camera) -> _Desk | None:
        """Where a camera without a machine goes; None if it may go nowhere."""
        for desk in (self._least_loaded_settled.first(), self.with_room(camera)):
            if desk is not None and _fits(camera, desk):
                return desk
        roomiest = self._roomiest.first()
        if roomiest is not None and _fits(camera, roomiest):
            return roomiest
        return self._least_loaded.first()

    def with_room(self, camera: Camera) -> _Desk | None:
        """A settled desk that has room for a camera."""
        desk = self._roomiest_settled.first()
        return desk if desk is not None and _fits(camera, desk) else None

    def least_loaded(self) -> _Desk | None:
        """The settled desk with the least share."""
        return self._least_loaded_settled.first()

    def note(self, desk: _Desk) -> None:
        """The load of a desk became smaller."""
        for ranking in (
            *(self._roomiest, self._roomiest_settled),
            *(self._least_loaded, self._least_loaded_settled),
        ):
            ranking.note(desk)


class _Fleet:
    """The plan while it is made."""

    def __init__(self, machines: Iterable[Machine], rules: Rules) -> None:
        self._rules = rules
        self._desks = {
            name: _Desk(machine, rules.has_settled(machine))
            for name, machine in sorted(_by_name(machines, "machines").items())
        }
        self._at_site: dict[str, list[_Desk]] = defaultdict(list)
        for desk in self._desks.values():
            self._at_site[desk.machine.site].append(desk)
        self._choices: dict[Needs, _Choice] = {}
        self._moves_left = rules.most_moves
        self._could_stay: set[str] = set()
        self._moved: set[str] = set()

    def place(self, cameras: Mapping[str, Camera], before: Mapping[str, str]) -> list[str]:
        """Rules 1 and 2: every camera on a machine; the names of those that have none."""
        homeless: list[Camera] = []
        for name, camera in sorted(cameras.items()):
            desk = self._desks.get(before.get(name, ""))
            if desk is not None and camera.needs.allows(desk.machine):
                desk.add(camera)
                self._could_stay.add(name)
            else:
                homeless.append(camera)
        unwatched: list[str] = []
        # Large ones first: small ones still fit where little is left.
        for camera in sorted(homeless, key=lambda one: (-one.load, one.name)):
            desk = self._choice(camera.needs).for_new(camera)
            if desk is None:
                unwatched.append(camera.name)
            else:
                desk.add(camera)
        return unwatched

    def relieve(self) -> None:
        """Rule 3: cameras leave machines that have too much, for those that have room."""
        for desk in self._busiest_first():
            for camera in sorted(desk.cameras.values(), key=lambda one: (-one.load, one.name)):
                if self._moves_left <= 0 or desk.share <= 1 + _ROUNDING:
                    break
                target = self._choice(camera.needs).with_room(camera)
                if target is not None:
                    self._move(camera, desk, target)

    def balance(self) -> None:
        """Rule 4: cameras leave machines that have much more than another that they may go to."""
        for desk in self._busiest_first():
            for camera in sorted(desk.cameras.values(), key=lambda one: (-one.load, one.name)):
                if self._moves_left <= 0:
                    return
                target = self._choice(camera.needs).least_loaded()
                if target is not None and self._is_worth_it(camera, desk, target):
                    self._move(camera, desk, target)

    def plan(self, unwatched: Sequence[str]) -> Plan:
        """What was decided."""
        return Plan(
            {name: desk.machine.name for desk in self._desks.values() for name in desk.cameras},
            {name: 1 / max(1.0, desk.share) for name, desk in self._desks.items()},
            tuple(sorted(unwatched)),
            tuple(sorted(self._moved)),
        )

    def _is_worth_it(self, camera: Camera, desk: _Desk, target: _Desk) -> bool:
        gap = desk.share - target.share
        return (
            gap > self._rules.margin
            and target.share_with(camera) <= desk.share_without(camera) - _ROUNDING
        )

    def _move(self, camera: Camera, desk: _Desk, target: _Desk) -> None:
        desk.remove(camera)
        target.add(camera)
        for choice in self._choices.values():
            choice.note(desk)
        self._moves_left -= 1
        if camera.name in self._could_stay:
            self._moved.add(camera.name)

    def _busiest_first(self) -> list[_Desk]:
        return sorted(self._desks.values(), key=lambda desk: (-desk.share, desk.machine.name))

    def _choice(self, needs: Needs) -> _Choice:
        if needs not in self._choices:
            desks = [desk for desk in self._candidates(needs) if needs.allows(desk.machine)]
            self._choices[needs] = _Choice(desks)
        return self._choices[needs]

    def _candidates(self, needs: Needs) -> Iterable[_Desk]:
        if needs.on:
            return [self._desks[name] for name in sorted({*needs.on} & self._desks.keys())]
        if needs.sites:
            return [desk for site in sorted({*needs.sites}) for desk in self._at_site[site]]
        return self._desks.values()


def _fits(camera: Camera, desk: _Desk) -> bool:
    return desk.share_with(camera) <= 1 + _ROUNDING


_Named = TypeVar("_Named", Camera, Machine)


def _by_name(values: Iterable[_Named], what: str) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for value in values:
        if value.name in found:
            raise ConfigError(f"two {what} are called {value.name!r}; give each its own name")
        found[value.name] = value
    return found
