"""What `ecolite-bench unknown` counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.bench.accuracy.unknown import Watched, bound_of, unknown_json, unknown_tables
from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.types import Prediction
from tests.bench.test_cli import ENGINE, exit_code, require_whole
from tests.fakes import spec_of
from tests.videos import write_numbered_video

CONFIG = StreamConfig(events=EventConfig(enter=0.5, leave=0.1, ignore=()))


def watched(label: str | None, taken_for: str, energies: list[float]) -> Watched:
    """Predictions every half second; the memory fills with the second, and is full with the third.

    The energies are those of the logits, of which one stands out.
    """
    fills = [0.25, 0.5, *[1.0] * len(energies)]
    predictions = [
        Prediction("", n, n / 2, taken_for, 0.9, ((taken_for, 0.9),), fills[n])
        for n in range(len(energies))
    ]
    return Watched(label, tuple(predictions), np.array([[e, e - 90, e - 90] for e in energies]))


def test_what_a_bound_gives_up_and_catches() -> None:
    right, wrong = watched("a", "a", [1.0, 3.0, 6.0, 6.0]), watched("a", "b", [9.0] * 4)
    other = watched(None, "b", [9.0, 4.0, 4.0, 6.0, 4.0])
    spec = dataclasses.replace(spec_of(), energy_bound=5.0)
    known, others = ("mine", [right, wrong]), [("street", [other])]
    assert bound_of(known[1], spec) == 5.0
    shares, events = unknown_tables(known, others, spec, CONFIG, 5.0)
    assert list(shares.rows) == [
        ("mine, right: given up", "1", 0, 2, "0.0%"),
        ("street: caught", "1", 2, 3, "66.7%"),
        ("mine, right: given up", "0.5", 1, 3, "33.3%"),
        ("street: caught", "0.5", 3, 4, "75.0%"),
    ]
    # What is known so late that no event can last min_s has none.
    assert list(events.rows) == [("mine", 2, 1), ("street", 1, 0)]
    (_, calm) = unknown_tables(
        known, [("street", [watched(None, "b", [4.0] * 5)])], spec, CONFIG, 5
    )
    assert calm.rows[1] == ("street", 1, 0)
    assert unknown_json(known, others, 5.0)["energies"] == {
        "mine": [3.0, 6.0, 6.0],
        "street": [4.0, 4.0, 6.0, 4.0],
    }


def test_a_bundle_without_a_bound_gets_one_from_the_known_clips() -> None:
    clips = [watched("a", "a", [0.0, *np.arange(1, 51, dtype=float)])]
    assert bound_of(clips, spec_of()) == 2.0  # the second of fifty: 3 % of them is one
    with pytest.raises(ConfigError, match="3 right predictions are too few"):
        bound_of([watched("a", "a", [1.0] * 4)], spec_of())


def test_the_command(bundle: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data" / "bend").mkdir(parents=True)
    (tmp_path / "street" / "deep").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for path in ("data/bend/a.avi", "street/b.avi", "street/deep/c.avi"):
        write_numbered_video(tmp_path / path, 75)
    args = ("unknown", "--data", tmp_path / "data", "--bundle", bundle.path, "--engine", ENGINE)
    assert exit_code(*args, "--other", tmp_path / "empty") == 2
    assert "holds no video; name a folder of footage" in capfd.readouterr().err
    shown = exit_code(*args, "--other", tmp_path / "street", "--report", tmp_path / "report")
    if bundle.spec.energy_bound is None:
        assert shown == 2 and "too few to fit one" in capfd.readouterr().err
        return
    assert shown == 0
    report = require_whole(tmp_path / "report", "unknown")
    assert len(report["energies"]["street"]) > 0
