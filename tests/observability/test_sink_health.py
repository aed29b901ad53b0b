"""The health of sinks, out of what a run counts."""

from __future__ import annotations

import pytest

from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.observability.sink_health import (
    FAILS,
    TOO_SLOW,
    WORKS,
    SinkHealth,
    SinkHealthReader,
)
from ecolite_stream.pipeline.delivery import SinkWorker
from ecolite_stream.types import Prediction
from tests.fakes import ListSink

pytestmark = pytest.mark.timeout(30)

PREDICTION = Prediction("door", 3, 1.0, "a", 0.9, (("a", 0.9),), 1.0)


def test_what_was_counted_by_sink() -> None:
    metrics = Metrics()
    reader = SinkHealthReader(metrics.registry, except_for="PageState")
    assert reader.read() == []
    metrics.delivered("Hook", PREDICTION, 0.1, None)
    metrics.delivered("PageState", PREDICTION, 0.1, None)  # the page itself
    metrics.not_delivered("File", "sink failed")
    metrics.not_delivered("File", "sink too slow")
    metrics.sink_failed("File")
    metrics.not_shown("Film", "door")
    metrics.not_shown("Film", "yard")
    assert reader.read() == [
        SinkHealth("File", failures=1, dropped=2, state=FAILS),
        SinkHealth("Film", frames_dropped=2, state=TOO_SLOW),
        SinkHealth("Hook", delivered=1),
    ]


def test_it_fails_until_it_takes_something_again() -> None:
    metrics = Metrics()
    reader = SinkHealthReader(metrics.registry, except_for="PageState")

    def state() -> str:
        (sink,) = reader.read()
        return sink.state

    metrics.delivered("Hook", PREDICTION, 0.1, None)
    assert state() == WORKS
    metrics.sink_failed("Hook")
    assert state() == FAILS
    assert state() == FAILS  # nothing was tried since
    metrics.not_delivered("Hook", "sink failed")
    assert state() == FAILS  # it is lost because of that
    metrics.sink_failed("Hook")
    metrics.delivered("Hook", PREDICTION, 0.1, None)
    assert state() == FAILS  # it took some, and failed at others
    metrics.delivered("Hook", PREDICTION, 0.1, None)
    assert state() == WORKS
    metrics.delivered("Hook", PREDICTION, 0.1, None)
    metrics.not_delivered("Hook", "sink too slow")
    assert state() == TOO_SLOW  # its errors are long ago
    assert state() == TOO_SLOW
    metrics.delivered("Hook", PREDICTION, 0.1, None)
    assert state() == WORKS


class Closed(ListSink):
    """Cannot even be opened."""

    def __enter__(self) -> ListSink:
        raise OSError("no such folder")


def test_what_goes_to_a_sink_that_is_no_more_is_lost() -> None:
    metrics = Metrics()
    worker = SinkWorker(Closed(), metrics, "Closed")
    assert worker.join(10)
    worker.send(PREDICTION)
    (sink,) = SinkHealthReader(metrics.registry, except_for="PageState").read()
    assert sink == SinkHealth("Closed", failures=1, dropped=1, state=FAILS)
