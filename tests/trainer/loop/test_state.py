"""Training states that are damaged or forged: one line each, before anything of them is used."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.errors import BundleError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import Preprocessing
from trainer.loop.state import TrainingState, load_state, save_state
from trainer.weights import reading

ROW = {"epoch": 1, "loss": 0.5, "validation_loss": None, "top1": None, "top5": None, "lr": 0.1}
STATE = TrainingState(
    config={"seed": 1},
    spec=ModelSpec("eco_lite", 0.125, 4, (12, 8, 8), ("run", "walk"), 2.5, Preprocessing(64)),
    epoch=1,
    best_top1=-1,
    is_best=False,
    steps_per_epoch=2,
    schedule={"best_score": -1, "epochs_without_gain": 0, "drops": 0},
    curves=(ROW,),
    network={"w": np.ones(3, np.float32)},
    optimizer={"m": np.ones(3, np.float32)},
)


def with_facts(path: Path, facts: object) -> Path:
    np.savez(path.with_suffix(".npz"), facts=np.array(json.dumps(facts)))
    return path.with_suffix(".npz").rename(path)


def facts_of(path: Path) -> dict:
    with np.load(path) as content:
        return json.loads(str(content["facts"]))


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load_state(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_a_state_comes_back(tmp_path: Path) -> None:
    save_state(tmp_path / "last.state", STATE)
    found = load_state(tmp_path / "last.state")
    same = {"network": STATE.network, "optimizer": STATE.optimizer}
    assert dataclasses.replace(found, **same) == STATE
    np.testing.assert_array_equal(found.network["w"], STATE.network["w"])


@pytest.mark.parametrize("facts", [5, None, [], "text", {}, {"version": "1"}])
def test_facts_of_another_kind(tmp_path: Path, facts: object) -> None:
    message = refusal(with_facts(tmp_path / "last.state", facts))
    assert "is no training state" in message or "version is" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 5) for name in ("config", "spec", "is_best", "schedule", "scaler", "curves")),
        *(("epoch", value) for value in ("one", 0, True, 1.5, None)),
        ("steps_per_epoch", -1),
        ("best_top1", "high"),
        ("spec", {"labels": 5}),
        ("schedule", {"drops": 0}),
        ("schedule", {"best_score": "x", "epochs_without_gain": 0, "drops": 0}),
        ("scaler", {"scale": 1}),
        ("curves", [5]),
        ("curves", [{"epoch": 1}]),
        ("curves", [{**ROW, "unknown": 1}]),
        ("curves", [{**ROW, "loss": "x"}]),
        ("unknown", 5),
    ],
)
def test_a_fact_of_another_kind(tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "last.state"
    save_state(path, STATE)
    assert "is no training state" in refusal(with_facts(path, {**facts_of(path), name: value}))


def test_a_missing_fact(tmp_path: Path) -> None:
    path = tmp_path / "last.state"
    save_state(path, STATE)
    facts = facts_of(path)
    del facts["epoch"]
    assert "is no training state" in refusal(with_facts(path, facts))


def test_deep_facts(tmp_path: Path) -> None:
    path = tmp_path / "last.npz"
    np.savez(path, facts=np.array("[" * 100_000))
    assert "is no training state" in refusal(path)


def test_files_that_are_no_archives(tmp_path: Path) -> None:
    path = tmp_path / "last.state"
    os.mkfifo(path)
    assert "is no regular file" in refusal(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "is no regular file" in refusal(path)
    path.unlink()
    np.save(tmp_path / "a.npy", np.ones(3))
    assert "is no training state" in refusal((tmp_path / "a.npy").rename(path))


def test_an_archive_that_unpacks_to_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_CHECKPOINT_BYTES", 100_000)
    path = tmp_path / "last.state"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("facts.npy", bytes(1_000_000))
    assert path.stat().st_size < 100_000
    assert "unpacks to 1000000 bytes" in refusal(path)
