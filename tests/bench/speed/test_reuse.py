"""The table of live steps with and without reuse."""

from __future__ import annotations

import pytest

from ecolite_stream.bench.speed import reuse
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from tests.conftest import installed


def test_each_step_is_timed_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    installed("openvino")
    monkeypatch.setattr(reuse, "TURNS", 1)
    monkeypatch.setattr(reuse, "SECONDS", 0.001)
    table = reuse.measure(read_bundle(demo_bundle_path()), "f32")
    assert table.title == "Processor ms, p50: openvino f32, N = 8"
    assert [row[0] for row in table.rows] == [
        "live step, 2 new frames",
        "live step, 4 new frames",
        "live step, 8 new frames",
        "head, nothing seen before",
    ]
    assert all(float(cell) > 0 for row in table.rows for cell in row[1:])
