"""The health of streams, out of what a run counts."""

from __future__ import annotations

import dataclasses

from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.observability.stream_health import Health, HealthReader
from ecolite_stream.types import Prediction


def test_health_is_what_was_counted() -> None:
    now_s = [50.0]
    metrics = Metrics(clock=lambda: now_s[0])
    reader = HealthReader(metrics.registry, ["yard", "door"], clock=lambda: now_s[0])
    assert reader.read() == {"yard": Health(), "door": Health()}
    metrics.state("door", "live")
    metrics.state("yard", "waiting")
    metrics.reconnects.labels("yard").inc(3)
    metrics.frames_read.labels("door").inc(50)
    metrics.dropped("door", "engine busy")
    metrics.dropped("door", "another")
    metrics.predicted(Prediction("door", 1, 1.0, "a", 0.9, (("a", 0.9),), 1.0, arrived_s=51.5))
    now_s[0] = 52.0
    yard, door = reader.read().values()
    assert (yard.state, yard.reconnects, yard.fps, yard.label_age_s) == ("waiting", 3, 0.0, None)
    assert door == Health("live", 50, 25.0, 2, 1.0, 0, 0.5)


def test_the_newest_label_of_several_views_counts() -> None:
    metrics = Metrics(clock=lambda: 10.0)
    for view, arrived_s in (("till", 9.0), ("door", 3.0)):
        seen = Prediction("yard", 1, 1.0, "a", 0.9, (("a", 0.9),), 1.0, view=view)
        metrics.predicted(dataclasses.replace(seen, arrived_s=arrived_s))
    (yard,) = HealthReader(metrics.registry, ["yard"], clock=lambda: 10.0).read().values()
    assert yard.label_age_s == 1.0


def test_rates_are_of_the_last_seconds() -> None:
    now_s = [0.0]
    metrics = Metrics(clock=lambda: now_s[0])
    reader = HealthReader(metrics.registry, ["door"], clock=lambda: now_s[0])
    frames = metrics.frames_read.labels("door")
    rates = []
    for second in range(20):
        now_s[0] = float(second)
        rates.append(reader.read()["door"].fps)
        if second < 10:
            frames.inc(30)
    assert rates[0] is None
    assert rates[5] == 30.0
    assert rates[-1] == 0.0
