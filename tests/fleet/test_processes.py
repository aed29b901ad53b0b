"""Real processes that are killed, frozen and cut off."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecolite_stream.bench.robustness.fleet_chaos import FAULTS, Proof
from tests.conftest import installed
from tests.store.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
_NUMBERS = itertools.count()
TIMES = {"lease_s": 4, "margin_s": 0.5, "tick_s": 0.5, "settle_s": 5}


@pytest.fixture
def proof(postgres: Postgres, tmp_path: Path) -> Iterator[Proof]:
    installed("openvino")
    store = postgres.new_database(f"fleet{next(_NUMBERS)}")
    proof = Proof(tmp_path, store, 3, 2, TIMES, random.Random(1))
    try:
        proof.start()
        yield proof
    finally:
        proof.close()


def test_every_camera_is_watched_by_one_again_after_each_fault(proof: Proof) -> None:
    for fault in FAULTS:
        proof.fault(fault)
    proof.stop()
    assert proof.violations() == []
    reported, _ = proof.count
    assert reported > 0
