"""How long the assigner takes for a large fleet, and how many cameras move as machines come and go.

A simulation: machines and cameras are numbers here, nothing is watched. A tenth of the cameras may
only be watched at their own site, a tenth only by two machines. All the machines together carry
`ROOM` of what the cameras ask for. At each step machines are lost, and those lost before return.

python -m ecolite_stream.bench.speed.assigner [CAMERAS [MACHINES]]
"""

from __future__ import annotations

import dataclasses
import random
import sys
import time
from collections.abc import Sequence

from ecolite_stream.fleet.assign import Camera, Machine, Needs, Plan, assign

ROOM = 1.2
STEPS = 5
LOST_SHARE = 0.02
_STEP_S = 30.0


def make_fleet(
    cameras: int, machines: int, chance: random.Random
) -> tuple[list[Camera], list[Machine]]:
    """Cameras of one load and machines of one size, at ten sites."""
    capacity = ROOM * cameras / machines
    boxes = [Machine(f"box-{n}", capacity, f"site-{n % 10}") for n in range(machines)]

    def needs(number: int) -> Needs:
        if number % 10 == 0:
            return Needs(sites=(f"site-{chance.randrange(min(10, machines))}",))
        if number % 10 == 1:
            return Needs(on=tuple(f"box-{chance.randrange(machines)}" for _ in range(2)))
        return Needs()

    return [Camera(f"camera-{n}", 1.0, needs(n)) for n in range(cameras)], boxes


@dataclasses.dataclass(frozen=True)
class Step:
    """One plan of the simulation.

    Attributes:
        lost: machines that were lost before it.
        taken_s: seconds that the plan took.
        plan: the plan.
    """

    lost: int
    taken_s: float
    plan: Plan


def simulate(cameras: Sequence[Camera], machines: Sequence[Machine], seed: int = 0) -> list[Step]:
    """Plans from the first on, while machines come and go."""
    chance = random.Random(seed)
    away: set[str] = set()
    up_s = dict.fromkeys((machine.name for machine in machines), float("inf"))
    before: dict[str, str] = {}
    steps = []
    for number in range(STEPS + 1):
        returned, away = away, set()
        if number:
            count = max(1, round(LOST_SHARE * len(machines)))
            away = {machine.name for machine in chance.sample(machines, count)}
        up_s = {name: 0.0 if name in returned else s + _STEP_S for name, s in up_s.items()}
        there = [
            dataclasses.replace(machine, up_s=up_s[machine.name])
            for machine in machines
            if machine.name not in away
        ]
        began_s = time.perf_counter()
        plan = assign(cameras, there, before)
        steps.append(Step(len(away), time.perf_counter() - began_s, plan))
        before = dict(plan.machine_of)
    return steps


def main(cameras: int = 100_000, machines: int = 2_000) -> None:
    """Print a line for each plan."""
    fleet = make_fleet(cameras, machines, random.Random(0))
    print(f"{cameras} cameras, {machines} machines, room for {ROOM:g} times the cameras")
    for step in simulate(*fleet):
        rates = step.plan.share_of.values()
        print(
            f"{step.lost} machines lost: {step.taken_s:.2f} s, {len(step.plan.moved)} moved that "
            f"could have stayed, {len(step.plan.unwatched)} unwatched, lowest rate {min(rates):.0%}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
