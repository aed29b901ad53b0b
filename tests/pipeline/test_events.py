"""Events come after their predictions and end with their stream."""

from __future__ import annotations

import threading

import pytest

from ecolite_stream.errors import EngineError
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.types import Event
from tests.fakes import ListSink, ListSource, NumberEngine, OutputSink, frames
from tests.pipeline.runs import ALWAYS, FailingEngine, endless, pipeline

pytestmark = pytest.mark.timeout(30)


def test_events_follow_their_predictions_and_end_with_their_stream() -> None:
    sink = OutputSink()
    sources = [ListSource("a", frames(50, 25, "a")), ListSource("b", frames(100, 25, "b"))]
    metrics = Metrics()
    pipeline(sources, [sink], config=ALWAYS, metrics=metrics).run()
    for name, end_s in (("a", 35 / 25), ("b", 85 / 25)):
        start, *_, end = sink.events(name)
        assert (start.kind, start.start_s) == ("start", 10 / 25)
        assert (end.kind, end.id, end.end_s) == ("end", start.id, end_s)
        mine = [output for output in sink.outputs if output.stream == name]
        assert not isinstance(mine[0], Event)
        assert mine[1] == start
        assert mine[-1] == end
        labels = {"stream": name, "view": "", "label": start.label}
        assert metrics.registry.get_sample_value("ecolite_events_total", labels) == 1


def test_an_event_ends_when_its_stream_does_though_others_go_on() -> None:
    ended = threading.Event()

    class Listening(OutputSink):
        def send(self, output: object) -> None:
            if isinstance(output, Event) and (output.stream, output.kind) == ("a", "end"):
                ended.set()

    waiting = ListSource("b", frames(20, 25, "b"), live=True, at_end=lambda: ended.wait(20))
    pipeline([ListSource("a", frames(50, 25, "a")), waiting], [Listening()], config=ALWAYS).run()
    assert ended.is_set()


@pytest.mark.parametrize("error", [None, EngineError("engine x failed: boom")])
def test_an_event_ends_however_the_run_does(error: Exception | None) -> None:
    sink = OutputSink()
    engine = NumberEngine() if error is None else FailingEngine(error, at=40)

    class Stopping(ListSink):
        def send(self, prediction: object) -> None:
            if error is None and len(sink.outputs) > 8:
                watching.stop()

    source = ListSource("s", endless("s"))
    watching = pipeline([source], [Stopping(), sink], engine, config=ALWAYS)
    if error is None:
        watching.run()
    else:
        with pytest.raises(EngineError):
            watching.run()
    kinds = [event.kind for event in sink.events("s")]
    assert (kinds.count("start"), kinds.count("end"), kinds[-1]) == (1, 1, "end")
