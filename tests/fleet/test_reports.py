"""What machines report to each other, and the state of a fleet that it makes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.fleet.config import CameraConfig
from ecolite_stream.fleet.leases import LeaseKeeper
from ecolite_stream.fleet.member import Member
from ecolite_stream.fleet.reports import (
    MOST_STREAMS,
    MOST_VIEWS,
    MachineReport,
    Newest,
    Reporter,
    StreamReport,
    report_from,
)
from ecolite_stream.observability.stream_health import Health
from ecolite_stream.types import Event, Prediction
from tests.fleet.test_leases import TimedLedger, pass_time
from tests.fleet.test_supervisor import ALL, Box, fleet_of, joined, ledger, status, step

__all__ = ["ledger"]
pytestmark = pytest.mark.timeout(60)

AT = "2026-11-28T12:00:00.000Z"


def predicted(stream: str, label: str, time_s: float = 1.0, view: str = "") -> Prediction:
    return Prediction(stream, 1, time_s, label, 0.87654, ((label, 0.9),), 1.0, view=view, at=AT)


def live(names: Sequence[str]) -> list[Health]:
    return [Health("live", fps=24.96) for _ in names]


def reporter() -> Reporter:
    return Reporter(lambda: "b" * 64, live)


def reported(one: Reporter, *streams: str) -> MachineReport:
    report = report_from(one.text(streams))
    assert report is not None
    return report


def test_a_report_has_the_newest_prediction_of_each_view() -> None:
    one = reporter()
    event = Event("gate@1", "gate", "run", 1.0, None, 0.9, 0.8, "start")
    sent = [predicted("gate", "walk"), event, predicted("gate", "run"), predicted("yard", "sit")]
    assert list(one.note(sent)) == sent
    assert reported(one, "gate", "door") == MachineReport(
        "b" * 64,
        {
            "door": StreamReport("live", 25.0),
            "gate": StreamReport("live", 25.0, (Newest("", "run", 0.8765, AT),)),
        },
    )
    assert reported(one, "yard").streams["yard"].newest == ()  # it was not watched meanwhile


def test_views_of_subjects_that_have_gone_are_forgotten_and_a_report_is_bounded() -> None:
    one = reporter()
    one.note([predicted("gate", "walk", 1.0, "subject-1")])
    one.note([predicted("gate", "run", 12.0, "subject-2")])
    assert [n.view for n in reported(one, "gate").streams["gate"].newest] == ["subject-2"]
    one.note([predicted("gate", "x" * 5000, 12.0, f"region-{n}") for n in range(50)])
    found = reported(one, "gate").streams["gate"].newest
    assert [n.view for n in found] == [f"region-{n}" for n in range(50 - MOST_VIEWS, 50)]
    names = [f"camera-{n:04}" for n in range(2 * MOST_STREAMS)]
    one.note([predicted(name, "ü" * 5000, view=f"v{n}") for name in names for n in range(9)])
    text = one.text(names)
    assert len(reported(one, *names).streams) == MOST_STREAMS
    assert report_from(text) is not None and len(text) < 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"bundle": "b", "streams": []}',
        '{"bundle": "b", "streams": {"gate": null}}',
        '{"bundle": "b", "streams": {"gate": {"state": "live", "fps": NaN, "newest": []}}}',
        '{"bundle": "b", "streams": {"gate": {"state": "live", "fps": 1e999, "newest": []}}}',
        '{"bundle": "b", "streams": {"gate": {"state": "live", "fps": 1, "newest": [1]}}}',
        '{"bundle": "b", "streams": {"gate": {"state": "live", "fps": 1, "newest": {}}}}',
        "[" * 100_000,
        " " * 1_000_001,
    ],
)
def test_a_report_that_is_none(text: str) -> None:
    assert report_from(text) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["bundle", "streams", "newest", "fps", "gate"]), inner, max_size=4
            )
        ),
    )
)
def test_no_report_raises(facts: object) -> None:
    report_from(json.dumps(facts))


def with_report(ledger: TimedLedger, name: str, texts: list[str]) -> Box:
    """A box that reports the last of these texts."""
    fleet = fleet_of(needs={"camera-3": CameraConfig(on=("box-2",), load=3)})
    box = Box(ledger, fleet, name)
    keeper = LeaseKeeper(fleet.config.times, lambda: box.clock_s)
    box.member = Member(fleet, name, ledger, keeper, box.streams, lambda streams: texts[-1])
    box.member.join()
    return box


def text_of(label: str) -> str:
    newest = (Newest("", label, 0.9, AT),)
    streams = {name: StreamReport("live", 25.0, newest) for name in ALL}
    return MachineReport("c" * 64, streams).as_json()


def test_each_camera_says_where_it_runs_and_what_it_shows(ledger: TimedLedger) -> None:
    texts = [text_of("walk")]
    box = with_report(ledger, "box-1", texts)
    fleet = box.member._fleet
    box.tick()
    found = status(fleet, ledger)
    assert [(one.stream, one.machine, one.state) for one in found.cameras] == [
        *((name, "box-1", "live") for name in ALL[:3]),
        ("camera-3", None, ""),
    ]
    assert found.cameras[0].newest == (Newest("", "walk", 0.9, AT),)
    assert found.unwatched == ["camera-3"]
    up, never = found.machines
    assert (up.bundle, up.load, up.renewal_age_s is not None) == ("c" * 64, 3.0, True)
    assert (never.bundle, never.load, never.renewal_age_s) == (None, 0, None)
    texts.append(text_of("run"))
    step(ledger, box, seconds=1)  # a report every 2 s
    assert status(fleet, ledger).cameras[0].newest[0].label == "walk"
    step(ledger, box, seconds=1)
    assert status(fleet, ledger).cameras[0].newest[0].label == "run"
    pass_time(ledger, 9)  # lost: what it last reported is old
    found = status(fleet, ledger)
    assert found.unwatched == ALL
    assert {one.newest for one in found.cameras} == {()}
    assert (found.machines[0].state, found.machines[0].bundle) == ("lost", None)
    assert 9 <= (found.machines[0].renewal_age_s or 0) < 10


def test_a_machine_that_left_and_a_fleet_that_was_changed(ledger: TimedLedger) -> None:
    box = with_report(ledger, "box-1", [text_of("walk")])
    box.tick()
    box.supervisor.resign()
    box.member.leave()
    pass_time(ledger, 3)
    (first, _) = status(box.member._fleet, ledger).machines
    assert first.state == "left" and 3 <= (first.renewal_age_s or 0) < 4
    (other,) = joined(ledger, fleet_of(5), "box-1")  # it reports nothing, and has not yet
    other.tick()
    found = status(fleet_of(5), ledger)
    assert len(found.cameras) == 5 and found.machines[0].bundle is None
    assert {one.newest for one in found.cameras} == {()}


def test_a_report_that_cannot_be_read_costs_nothing_else(ledger: TimedLedger) -> None:
    box = with_report(ledger, "box-1", ["nonsense"])
    box.tick()
    found = status(box.member._fleet, ledger)
    assert [one.machine for one in found.cameras][:3] == ["box-1"] * 3
    assert found.machines[0].bundle is None
