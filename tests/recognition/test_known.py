"""Predictions of what is unlike the training: they say so, and no event begins with them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.model.known import energy
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import opened
from ecolite_stream.recognition.view_state import ViewState
from ecolite_stream.types import Event, Prediction, Sample
from tests.fakes import ListSource, NumberEngine, OutputSink, clip_logits, frames, spec_of

pytestmark = pytest.mark.timeout(30)


def run(bound: float | None, metrics: Metrics) -> tuple[OutputSink, NumberEngine]:
    sink, engine = OutputSink(), NumberEngine()
    config = StreamConfig(events=EventConfig(enter=0.01, leave=0.0, ignore=()), top=3)
    spec = dataclasses.replace(spec_of(), energy_bound=bound)
    source = ListSource("door", frames(250, 25, "door"))
    Pipeline([opened(source)], lambda: engine, spec, [sink], config, metrics).run()
    return sink, engine


def counted(metrics: Metrics) -> float:
    labels = {"stream": "door", "view": ""}
    name = "ecolite_unknown_predictions_total"
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_known_is_an_energy_at_or_above_the_bound() -> None:
    _, engine = run(None, Metrics())
    energies = energy(clip_logits(np.array(engine.clips[:-1], np.float32)))
    bound = float(np.median(energies))  # the very energy of a prediction: it is known
    metrics = Metrics()
    sink, _ = run(bound, metrics)
    predictions = [o for o in sink.outputs if isinstance(o, Prediction)]
    assert [p.known for p in predictions] == [bool(e >= bound) for e in energies]
    assert [json.loads(json.dumps(p.as_dict()))["known"] for p in predictions] == [
        p.known for p in predictions
    ]
    assert counted(metrics) == sum(energies < bound) > 0
    start = next(o for o in sink.outputs if isinstance(o, Event))
    first_known = next(p for p in predictions if p.known and p.memory_fill >= 0.5)
    assert start.start_s == first_known.time_s


@pytest.mark.parametrize(("bound", "known"), [(None, None), (1e6, False), (-1e6, True)])
def test_no_event_begins_with_what_is_unknown(bound: float | None, known: bool | None) -> None:
    metrics = Metrics()
    sink, _ = run(bound, metrics)
    predictions = [o for o in sink.outputs if isinstance(o, Prediction)]
    assert {p.known for p in predictions} == {known}
    assert all(("known" in p.as_dict()) == (known is not None) for p in predictions)
    assert bool(sink.events("door")) == (known is not False)
    assert counted(metrics) == (len(predictions) if known is False else 0)


def test_a_memory_less_than_half_full_cannot_say() -> None:
    spec = dataclasses.replace(spec_of(num_segments=8), energy_bound=1e6)
    state, known = ViewState(spec, StreamConfig()), {}
    for number in range(8):
        sample = Sample("s", number, 0.2 * number, None, None, True)
        assert state.remember(sample, np.zeros(spec.feature_shape, np.float32)) is not None
        prediction = state.conclude(np.zeros(3, np.float32))
        known[prediction.memory_fill] = prediction.known
    assert known == {n / 8: None if n < 4 else False for n in range(1, 9)}


@pytest.mark.parametrize(("bound", "known"), [(None, None), (1e6, True)])
def test_where_nothing_moves_it_is_known(bound: float | None, known: bool | None) -> None:
    labels = ("idle", "b", "c")
    spec = dataclasses.replace(spec_of(), energy_bound=bound, labels=labels)
    state = ViewState(spec, StreamConfig())
    sample = Sample("s", 0, 0.0, None, None, True, still_s=60.0)
    assert state.remember(sample, np.zeros(spec.feature_shape, np.float32)) is not None
    assert state.is_idle(sample)
    assert state.conclude_idle().known is known
