"""What passes the gate of a lease."""

from __future__ import annotations

import dataclasses

import pytest

from ecolite_stream.fleet.gate import LeaseGate
from ecolite_stream.types import EngineBatch, Event, LeaseMark, Prediction
from tests.store.making import anchor, began, ended

MARK = LeaseMark("box-1", 4, "a" * 32, 1_790_000_000_500)


class Leases:
    def __init__(self) -> None:
        self.marks: dict[str, LeaseMark] = {"door": MARK, "yard": MARK}
        self.gate = LeaseGate(self.marks.get)

    def admit(self, output: object) -> list:
        return list(self.gate.admit(output))  # type: ignore[arg-type]


def prediction(time_s: float, stream: str = "door") -> Prediction:
    return Prediction(stream, 0, time_s, "wave", 0.9, (("wave", 0.9),), 1.0)


@pytest.fixture
def leases() -> Leases:
    return Leases()


def test_what_is_seen_under_a_lease_passes_with_its_mark(leases: Leases) -> None:
    start = began(1.0)
    batch = EngineBatch(0, ())
    assert leases.admit(batch) == [batch]
    assert leases.admit(prediction(1.0)) == [prediction(1.0)]
    (passed,) = leases.admit(start)
    assert passed == start and passed.lease == MARK
    assert {"machine": "box-1", "lease": 4}.items() <= passed.as_dict().items()
    assert not {"machine", "lease"} & start.as_dict().keys()
    (passed,) = leases.admit(ended(start))
    assert passed == ended(start) and passed.lease == MARK
    assert leases.admit(ended(start)) == []


def test_after_its_end_nothing_passes_and_open_events_end_with_what_was_seen(
    leases: Leases,
) -> None:
    start, other = began(1.0), began(1.0, where=anchor("yard"))
    leases.admit(start)
    leases.admit(other)
    leases.admit(prediction(3.5))
    del leases.marks["door"]
    (lost,) = leases.admit(prediction(9.0))
    assert lost == dataclasses.replace(
        start, kind="end", end_s=3.5, lost=True, ended_at=anchor().at(3.5)
    )
    assert lost.lease == MARK  # that under which it was seen
    for late in (prediction(9.5), ended(start), began(9.5)):
        assert leases.admit(late) == []
    (passed,) = leases.admit(ended(other))
    assert passed.kind == "end" and not passed.lost


def test_an_event_of_an_earlier_lease_does_not_go_on_under_the_next(leases: Leases) -> None:
    start = began(1.0)
    leases.admit(start)
    leases.admit(prediction(2.0))
    leases.marks["door"] = dataclasses.replace(MARK, number=5, run="b" * 32)
    (lost,) = leases.admit(ended(start, 6.0))
    assert isinstance(lost, Event)
    assert (lost.end_s, lost.lost, lost.lease) == (2.0, True, MARK)
    dropped = began(8.0)
    del leases.marks["door"]
    assert leases.admit(dropped) == []
    leases.marks["door"] = MARK
    assert leases.admit(ended(dropped)) == []  # nobody has heard of its start
