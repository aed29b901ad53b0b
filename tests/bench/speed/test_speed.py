"""Arithmetic and order of the speed benchmark, with a clock that only its calls move."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from ecolite_stream.bench.measuring.peak import Peak
from ecolite_stream.bench.measuring.timing import Timing, repeat_for, time_in_turns
from ecolite_stream.bench.measuring.watch import Watched, watch
from ecolite_stream.bench.report.report import Report, Scope
from ecolite_stream.bench.speed.arithmetic import MultiplyAdds
from ecolite_stream.bench.speed.limit import PRODUCT_MULTIPLY_ADDS
from ecolite_stream.bench.speed.speed import (
    ENCODER,
    HEAD,
    LIVE_STEP,
    NUMPY,
    OWN,
    QUANTITIES,
    RECOMPUTE,
    Row,
    StreamRow,
    row_json,
    speed_calls,
)
from ecolite_stream.bench.speed.speed_tables import (
    limit_table,
    memory_table,
    ratio_table,
    speed_tables,
    stream_table,
    time_table,
)
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.recognition.recognizer import Recognizer
from tests.fakes import ListSource, NumberEngine, frames, spec_of


class Clock:
    """Stands still but for `spend`; notes who spent."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.spenders: list[str] = []

    def __call__(self) -> float:
        return self.now_s

    def spend(self, who: str, seconds: float):
        def call() -> None:
            self.spenders.append(who)
            self.now_s += seconds

        return call


def row(engine: str, step_ms: float, recompute_ms: float, bundle: str = "b") -> Row:
    times_ms = {ENCODER: 1.0, HEAD: 2.0, LIVE_STEP: step_ms, RECOMPUTE: recompute_ms}
    return Row(bundle, 4, 2, engine, {what: Timing((ms,)) for what, ms in times_ms.items()})


def test_percentiles():
    timing = Timing(tuple(float(ms) for ms in range(1, 102)))
    assert (timing.p50_ms, timing.p95_ms, timing.p99_ms) == (51, 96, 100)
    assert timing.to_json() == {"p50_ms": 51, "p95_ms": 96, "p99_ms": 100, "repetitions": 101}
    assert str(timing) == "51.00 / 96.00 / 100.00"


def test_repeats_until_the_time_is_up():
    clock = Clock()
    assert repeat_for(clock.spend("a", 0.25), 1.0, clock) == [250] * 4
    assert repeat_for(clock.spend("a", 8.0), 1.0, clock) == [8000]


def test_turns_go_round_all_calls_and_begin_with_one_that_does_not_count():
    clock, turns = Clock(), []
    calls = {
        "fast": {"x": clock.spend("fast", 0.25)},
        "slow": {"x": clock.spend("slow", 1.0), "y": clock.spend("slow y", 2.0)},
    }
    timings = time_in_turns(calls, 1.0, turns=2, clock=clock, on_turn=lambda: turns.append(1))
    once = ["fast"] * 3 + ["slow"] * 2 + ["slow y"] * 2
    assert clock.spenders == 2 * once
    assert timings["fast"]["x"].samples_ms == (250,) * 4
    assert timings["slow"]["y"].samples_ms == (2000,) * 2
    assert len(turns) == 6


def test_a_live_step_encodes_new_frames_one_by_one_and_recomputing_all_at_once():
    shapes = []

    class Engine(NumberEngine):
        def encode(self, images):
            shapes.append(("encode", len(images)))
            return super().encode(images)

        def classify(self, features):
            shapes.append(("classify", features.shape[:2]))
            return super().classify(features)

    calls = speed_calls(Engine(), spec_of(num_segments=4), new_frames=3)
    assert tuple(calls) == QUANTITIES
    shapes.clear()
    calls[LIVE_STEP]()
    assert shapes == [("encode", 1)] * 3 + [("classify", (1, 4))]
    shapes.clear()
    calls[RECOMPUTE]()
    assert shapes == [("encode", 4), ("classify", (1, 4))]


def test_only_a_live_step_sees_features_again():
    clips = []

    class Engine(NumberEngine):
        def classify(self, features):
            clips.append(set(features.ravel().tolist()))
            return super().classify(features)

    calls = speed_calls(Engine(), spec_of(num_segments=4), new_frames=1)
    for _ in range(3):
        calls[LIVE_STEP]()
    assert [len(old & new) for old, new in itertools.pairwise(clips)] == [3, 3]
    clips.clear()
    for what in (HEAD, HEAD, RECOMPUTE, RECOMPUTE):
        calls[what]()
    assert sum(map(len, clips)) == len(set().union(*clips)) == 16


def test_ratios():
    ours, theirs = row("openvino", 20, 40), row("onnxruntime", 50, 60)
    assert ours.gain == 2
    assert ours.gain_over(theirs) == 3
    assert row_json(ours)["recompute_over_live"] == 2


def test_table_compares_with_the_references_of_the_same_bundle():
    rows = [
        row("openvino", 20, 40),
        row("mindspore", 80, 100),
        row("onnxruntime", 50, 60),
        row("openvino", 10, 50, "other"),
    ]
    rows.append(dataclasses.replace(rows[0], precision="bf16", timings=rows[3].timings))
    table = ratio_table(rows)
    assert table.columns[-3:] == ("saved", "vs onnxruntime", "vs openvino")
    assert [cells[-3:] for cells in table.rows] == [
        ("2.00x", "3.00x", "2.00x"),
        ("1.25x", "0.75x", "0.50x"),
        ("1.20x", "1.20x", "0.80x"),
        ("5.00x", None, "5.00x"),
        ("5.00x", "6.00x", "4.00x"),  # against float32
    ]


def test_shares_of_what_a_matrix_product_reaches():
    product = Timing((PRODUCT_MULTIPLY_ADDS / 1e8,))  # 1e11 a second
    twice = Timing((PRODUCT_MULTIPLY_ADDS / 2e8,))
    counted = dataclasses.replace(
        row("openvino", 1, 1),
        work=MultiplyAdds(encoder=50_000_000, head=60_000_000),  # in 1 and in 2 ms
        limits={NUMPY: product, OWN: twice},
    )
    assert counted.rate(ENCODER) == pytest.approx(50) and counted.rate(HEAD) == pytest.approx(30)
    assert counted.share(ENCODER, NUMPY) == pytest.approx(0.5)
    alone = dataclasses.replace(counted, limits={NUMPY: product})
    cells = [cells[4:] for cells in limit_table([counted, alone, row("torch", 1, 1)]).rows]
    assert cells[0] == ("25 %", "15 %", "50 %", "30 %", "50.0", "30.0", "200.0", "100.0")
    assert cells[1] == (None, None, "50 %", "30 %", "50.0", "30.0", None, "100.0")
    assert cells[2] == (None,) * 8
    assert row_json(counted)["matrix_product"]["own"]["repetitions"] == 1


def test_memory_is_shown_where_it_is_known():
    known = dataclasses.replace(row("openvino", 1, 1), peak=Peak(100, 350.4))
    assert len(speed_tables([row("torch", 1, 1)])) == 3
    assert len(speed_tables([known])) == 4
    assert memory_table([known, row("torch", 1, 1)]).rows == [
        ("b", 4, "openvino", "f32", "250", "350")
    ]
    assert row_json(known)["memory"] == {"before_mb": 100, "peak_mb": 350.4}


def test_watching_counts_frames_and_time_with_the_real_pipeline():
    times_s = iter([100.0, 102.0])
    predictions = []
    watched = watch(
        ListSource("s", frames(50, fps=25)),
        Recognizer(NumberEngine(), spec_of()),
        predictions.append,
        clock=lambda: next(times_s),
    )
    assert watched == Watched(frames=50, stream_s=pytest.approx(2.0), wall_s=2.0)
    assert watched.realtime_factor == pytest.approx(1)
    assert [p.time_s for p in predictions] == pytest.approx([0.4, 1.0, 1.4], abs=0.05)


def test_stream_table_shows_the_median_run():
    runs = [Watched(250, 10.0, wall_s) for wall_s in (1.0, 5.0, 2.0)]
    stream = StreamRow("b", "openvino", runs)
    assert stream.to_json()["realtime_factor"] == 5
    assert stream_table("clip.avi", [stream]).rows == [
        ("b", "openvino", 250, "10.0", "2.00", "5.00x")
    ]


def test_report_in_both_forms(tmp_path: Path, bundle: Bundle):
    scope = Scope("no data set", 1, 1, "rows")
    report = Report(
        "speed", [bundle], scope, {"seconds": 2}, [time_table([row("a", 1, 2)])], {"rows": 1}
    )
    text = str(report)
    assert "N=4, 64 px, width 0.25, 5 labels" in text
    assert "numpy" in text and "cores" in text and bundle.digest[:12] in text
    report.write_json(tmp_path / "new" / "report.json")
    content = json.loads((tmp_path / "new" / "report.json").read_text())
    assert content["bundles"][0]["digest"] == bundle.digest
    assert (content["command"], content["rows"]) == ("speed", 1)
