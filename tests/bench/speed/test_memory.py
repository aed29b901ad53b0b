"""The memory benchmark: when it reads, what it makes of it, and that the process can be read."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from ecolite_stream.bench.speed.memory import (
    Gauge,
    Reading,
    ViewCost,
    measure_memory,
    measure_views,
    memory_table,
    read_process,
    views_table,
)
from ecolite_stream.recognition.recognizer import Recognizer
from ecolite_stream.types import Prediction
from tests.fakes import NumberEngine, spec_of


def send(gauge: Gauge, *times_s: float) -> None:
    for time_s in times_s:
        gauge.send(Prediction("s", 0, time_s, "a", 1.0, (("a", 1.0),), 1.0))


def reading(stream_s: float) -> Reading:
    return Reading(stream_s, 100 + stream_s / 10, 3, 7)


def test_reads_each_minute_and_at_the_end():
    gauge = Gauge(150, reading)
    send(gauge, 0.5, 59.5, 60.5, 61, 119.5, 120, 149)
    gauge.end(150)
    assert [r.stream_s for r in gauge.readings] == [60.5, 120, 150]
    assert gauge.growth_mb == pytest.approx(8.95)
    assert "growth +9.0" in str(memory_table("numbers", gauge, 20))


def test_a_short_stream_is_read_half_way():
    gauge = Gauge(10, reading)
    send(gauge, 4.5, 5, 9.5)
    gauge.end(10)
    assert [r.stream_s for r in gauge.readings] == [5, 10]


def test_progress_adds_up():
    steps: list[int] = []
    send(Gauge(100, reading, steps.append), 0.5, 1.5, 1.9, 5, 99.9)
    assert steps == [1, 4, 94]


def test_watches_a_pattern_with_the_real_pipeline():
    gauge = measure_memory(Recognizer(NumberEngine(), spec_of()), seconds=4)
    assert [r.stream_s for r in gauge.readings] == pytest.approx([2, 4], abs=0.1)
    assert all(r.resident_mb > 1 and r.threads > 1 for r in gauge.readings[:1])


def test_the_memory_of_a_view():
    cost = measure_views(NumberEngine(), spec_of(), views=4, seconds=2)
    assert cost.views == 4 and cost.one_mb > 1 and cost.several_mb > 1
    table = str(views_table("numbers", ViewCost(5, 100.0, 108.0)))
    assert "2.00 MB a view more" in table


def test_reads_this_process(tmp_path: Path) -> None:
    before = read_process(1.5)
    with (tmp_path / "a").open("w"):
        during = read_process(2.5)
    assert (before.stream_s, during.stream_s) == (1.5, 2.5)
    assert before.resident_mb > 10 and before.threads >= threading.active_count()
    if sys.platform != "win32":  # which counts more than files
        assert during.descriptors == before.descriptors + 1
