"""A few damaged files of each kind; the command tries a thousand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.bench.robustness import damaged_files
from ecolite_stream.bench.robustness.damaged_files import (
    READ,
    REFUSED,
    Watcher,
    damage,
    findings,
)
from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(200)


def test_nothing_crashes_hangs_or_surprises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    counts = findings(videos=24, bundles=8, configs=20, seed=1, keep=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
    assert {kind: sum(count.values()) for kind, count in counts.items()} == {
        "videos": 24,
        "bundles": 8,
        "configs": 20,
    }
    assert counts["videos"][READ] and counts["bundles"][REFUSED] and counts["configs"][REFUSED]


def test_damage_changes_something_and_repeats() -> None:
    content = bytes(range(256)) * 20
    some = [damage(content, np.random.default_rng(seed)) for seed in range(50)]
    assert some == [damage(content, np.random.default_rng(seed)) for seed in range(50)]
    assert sum(one != content for one in some) > 45 and len(set(some)) > 45


@pytest.mark.parametrize(
    ("content", "message"),
    [("raise", "ZeroDivisionError"), ("die", "exit code 3"), ("hang", "longer")],
)
def test_what_is_wrong_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    bad = tmp_path / "bad"
    bad.write_text(content)
    watcher = Watcher("trouble")
    try:
        with monkeypatch.context() as patch:
            if content == "hang":
                patch.setattr(damaged_files, "LIMIT_S", 1.0)
            assert message in watcher.outcome(bad)
        (tmp_path / "good").write_text("")
        assert watcher.outcome(tmp_path / "good") == READ  # a new process
    finally:
        watcher.close()
