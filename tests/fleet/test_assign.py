"""Who watches what: properties that hold for every fleet, and the rules one by one."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.assign import Camera, Machine, Needs, Plan, Rules, assign

pytestmark = pytest.mark.timeout(120)
SITES = ("", "north", "south")
RULES = Rules()


def make_machine(chance: random.Random, name: str) -> Machine:
    return Machine(
        name,
        chance.choice([2.0, 8.0, 20.0, 20.5, 64.0]),
        chance.choice(SITES),
        frozenset(chance.sample(["openvino", "mslite"], chance.randrange(3))),
        frozenset({"cpu"} if chance.random() < 0.7 else {"cpu", "ascend"}),
        chance.choice([0.0, 30.0, 1e6]),
        chance.choice([0, 0, 0, 3]),
    )


def make_camera(chance: random.Random, name: str, machines: int) -> Camera:
    needs = chance.choice(
        [
            *(4 * [Needs()]),
            Needs(on=tuple(f"m{chance.randrange(machines + 2)}" for _ in range(2))),
            Needs(sites=(chance.choice(SITES[1:]),)),
            Needs(engine="openvino"),
            Needs(device="ascend", sites=("north", "south")),
        ]
    )
    return Camera(name, chance.choice([0.1, 0.5, 1.0, 1.0, 1.7, 3.0]), needs)


def make_fleet(seed: int, cameras: int, machines: int) -> tuple[list[Camera], list[Machine]]:
    chance = random.Random(seed)
    return (
        [make_camera(chance, f"c{number}", machines) for number in range(cameras)],
        [make_machine(chance, f"m{number}") for number in range(machines)],
    )


def check(plan: Plan, cameras: list[Camera], machines: list[Machine]) -> None:
    """What holds of every plan."""
    there = {machine.name: machine for machine in machines}
    by_name = {camera.name: camera for camera in cameras}
    assert plan.machine_of.keys().isdisjoint(plan.unwatched)
    assert plan.machine_of.keys() | set(plan.unwatched) == by_name.keys()
    loads = dict.fromkeys(there, 0.0)
    for name, machine in plan.machine_of.items():
        assert by_name[name].needs.allows(there[machine])
        loads[machine] += by_name[name].load
    for name in plan.unwatched:
        assert not any(by_name[name].needs.allows(machine) for machine in machines)
    assert plan.share_of.keys() == there.keys()
    for name, machine in there.items():
        expected = min(1.0, machine.capacity / max(loads[name], 1e-12))
        assert plan.share_of[name] == pytest.approx(expected)


def loads_of(plan: Plan, cameras: list[Camera]) -> dict[str, float]:
    loads = dict.fromkeys(plan.share_of, 0.0)
    for camera in cameras:
        if camera.name in plan.machine_of:
            loads[plan.machine_of[camera.name]] += camera.load
    return loads


def at_rest(cameras: list[Camera], machines: list[Machine], plan: Plan | None = None) -> Plan:
    """The plan that plans made one after the other come to."""
    plan = plan or assign(cameras, machines, rules=RULES)
    for _ in range(len(cameras) + 10):
        after = assign(cameras, machines, plan.machine_of, RULES)
        assert len(after.moved) <= RULES.most_moves
        if not after.moved:
            assert after.machine_of == plan.machine_of
            return after
        plan = after
    raise AssertionError("cameras move for ever")


fleets = st.builds(make_fleet, st.integers(0, 2**32), st.integers(0, 1000), st.integers(0, 50))


LARGEST = make_fleet(3, 1000, 50)


@given(fleets)
@example(LARGEST)
@settings(max_examples=25)
def test_every_camera_is_watched_that_may_be_and_only_where_it_may(
    fleet: tuple[list[Camera], list[Machine]],
) -> None:
    plan = assign(*fleet)
    check(plan, *fleet)
    assert plan.moved == ()


@given(fleets)
@example(LARGEST)
@settings(max_examples=15)
def test_plans_come_to_rest_and_then_nobody_waits_where_there_is_room(
    fleet: tuple[list[Camera], list[Machine]],
) -> None:
    cameras, machines = fleet
    plan = at_rest(cameras, machines)
    check(plan, cameras, machines)
    loads = loads_of(plan, cameras)
    settled = [machine for machine in machines if RULES.has_settled(machine)]
    for camera in cameras:
        home = plan.machine_of.get(camera.name)
        if home is None or plan.share_of[home] >= 1 - 1e-6:
            continue
        for machine in settled:
            if machine.name != home and camera.needs.allows(machine):
                assert loads[machine.name] + camera.load > machine.capacity


@given(fleets, st.integers(0, 2**32))
@example(LARGEST, 7)
@settings(max_examples=15)
def test_machines_that_come_and_go_move_no_more_than_they_must(
    fleet: tuple[list[Camera], list[Machine]], seed: int
) -> None:
    cameras, all_machines = fleet
    chance = random.Random(seed)
    plan = assign(cameras, all_machines)
    for _ in range(6):
        machines = [machine for machine in all_machines if chance.random() < 0.8]
        there = {machine.name for machine in machines}
        before, plan = plan, assign(cameras, machines, plan.machine_of, RULES)
        check(plan, cameras, machines)
        stayed = {name: home for name, home in before.machine_of.items() if home in there}
        moved = {name for name, home in stayed.items() if plan.machine_of[name] != home}
        assert moved == set(plan.moved)
        assert len(moved) <= RULES.most_moves
        settled = {machine.name for machine in machines if RULES.has_settled(machine)}
        assert {plan.machine_of[name] for name in moved} <= settled


@given(fleets)
@example(LARGEST)
@settings(max_examples=15)
def test_the_order_of_what_comes_in_changes_nothing(
    fleet: tuple[list[Camera], list[Machine]],
) -> None:
    cameras, machines = fleet
    assert assign(cameras, machines) == assign(cameras[::-1], machines[::-1])


@given(st.integers(2, 12), st.integers(1, 400))
@settings(max_examples=40)
def test_too_little_room_lowers_all_rates_alike(machines: int, cameras: int) -> None:
    """Machines of one size and cameras of one load: rates differ by less than one camera does."""
    boxes = [Machine(f"m{number}", 10.0) for number in range(machines)]
    plan = assign([Camera(f"c{number}") for number in range(cameras)], boxes)
    loads = loads_of(plan, [Camera(f"c{number}") for number in range(cameras)])
    assert max(loads.values()) - min(loads.values()) <= 1 + 1e-9
    if cameras <= 10 * machines:
        assert set(plan.share_of.values()) == {1.0}
    else:
        assert min(plan.share_of.values()) >= 10 / (-(-cameras // machines)) - 1e-9


def cameras(count: int, **settings: float) -> list[Camera]:
    return [Camera(f"c{number:02}", **settings) for number in range(count)]


def test_a_machine_that_dies_gives_its_cameras_to_others_and_no_other_moves() -> None:
    boxes = [Machine(name, 10.0) for name in "abc"]
    before = assign(cameras(15), boxes)
    after = assign(cameras(15), boxes[:2], before.machine_of)
    stayed = {name for name, home in before.machine_of.items() if home != "c"}
    assert len(stayed) == 10
    assert {name for name in stayed if after.machine_of[name] == before.machine_of[name]} == stayed
    assert (after.unwatched, after.moved) == ((), ())


def test_a_machine_that_returns_gets_work_back_once_it_has_settled() -> None:
    full = [Machine(name, 20.0) for name in "ab"]
    alone = assign(cameras(20), full[:1])
    new = [full[0], dataclasses.replace(full[1], up_s=5.0)]
    assert assign(cameras(20), new, alone.machine_of).moved == ()
    plan = at_rest(cameras(20), full, alone)
    loads = loads_of(plan, cameras(20))
    assert abs(loads["a"] - loads["b"]) / 20 <= RULES.margin


def test_a_machine_that_comes_and_goes_must_stay_longer_each_time() -> None:
    box = Machine("a", 1.0, up_s=100.0)
    rules = Rules(settle_s=60)
    assert [rules.has_settled(dataclasses.replace(box, losses=n)) for n in (0, 1, 2)] == [
        True,
        False,
        False,
    ]
    assert rules.has_settled(dataclasses.replace(box, losses=99, up_s=60 * 64))


def test_a_machine_that_has_not_settled_is_better_than_no_room() -> None:
    boxes = [Machine("a", 1.0), Machine("new", 1.0, up_s=0.0)]
    plan = assign(cameras(2), boxes)
    assert sorted(plan.machine_of.values()) == ["a", "new"]


def test_small_differences_move_nothing() -> None:
    boxes = [Machine(name, 10.0) for name in "ab"]
    before = {f"c{number:02}": "a" if number < 6 else "b" for number in range(10)}
    plan = assign(cameras(10), boxes, before)
    assert plan.machine_of == before


def test_a_machine_that_is_too_full_for_its_own_cameras_lowers_nobody_elses_rate() -> None:
    pinned = [Camera(f"p{number}", needs=Needs(on=("small",))) for number in range(4)]
    plan = assign([*pinned, *cameras(5)], [Machine("small", 2.0), Machine("big", 5.0)])
    assert plan.share_of == {"small": 0.5, "big": 1.0}


def test_a_camera_that_no_machine_may_watch() -> None:
    plan = assign([Camera("c", needs=Needs(on=("box-3",)))], [Machine("box-1", 10.0)])
    assert (plan.unwatched, dict(plan.machine_of)) == (("c",), {})
    assert assign(cameras(2), []).unwatched == ("c00", "c01")


def test_changed_needs_move_a_camera_at_once() -> None:
    boxes = [Machine("a", 1.0), Machine("b", 1.0, up_s=0.0)]
    plan = assign([Camera("c", needs=Needs(on=("b",)))], boxes, {"c": "a"})
    assert plan.machine_of == {"c": "b"}
    assert plan.moved == ()


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_loads_and_capacities_out_of_range(value: float) -> None:
    with pytest.raises(ConfigError, match=r"load of camera 'c' is .*; expected a number above 0"):
        Camera("c", value)
    with pytest.raises(ConfigError, match=r"capacity of machine 'm' is .*; expected a number"):
        Machine("m", value)


def test_names_are_distinct() -> None:
    with pytest.raises(ConfigError, match="two cameras are called 'c'"):
        assign([Camera("c"), Camera("c")], [])
    with pytest.raises(ConfigError, match="two machines are called 'm'"):
        assign([], [Machine("m", 1.0), Machine("m", 2.0)])
