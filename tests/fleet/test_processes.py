"""Real processes that are killed, frozen and cut off."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecolite_stream.bench.robustness.fleet_chaos import place, place_in_namespaces
from ecolite_stream.bench.robustness.fleet_network import why_no_namespaces
from ecolite_stream.bench.robustness.fleet_proof import FAULTS, Proof, schedule
from tests.conftest import installed
from tests.rtsp import skip_without_rtsp
from tests.store.postgres import Postgres

_NUMBERS = itertools.count()
TIMES = {"lease_s": 4, "margin_s": 0.5, "tick_s": 0.5, "settle_s": 5}
CAMERAS = ["camera-0", "camera-1", "camera-2"]
MACHINES = ["box-0", "box-1"]


def test_no_kind_of_fault_falls_behind() -> None:
    for count in range(1, 40):
        found = Counter(itertools.islice(schedule(FAULTS, random.Random(count)), count))
        assert all(count // len(FAULTS) <= found[kind] for kind in FAULTS)


@pytest.fixture(params=["http", "rtsp", "namespaces"])
def proof(request: pytest.FixtureRequest, postgres: Postgres, tmp_path: Path) -> Iterator[Proof]:
    installed("openvino")
    chance = random.Random(1)
    if request.param != "http":
        skip_without_rtsp()
    if request.param == "namespaces":
        if reason := why_no_namespaces():
            pytest.skip(reason)
        where = place_in_namespaces(tmp_path, CAMERAS, MACHINES, chance)
    else:
        store = postgres.new_database(f"fleet{next(_NUMBERS)}")
        where = place(tmp_path, store, CAMERAS, MACHINES, request.param == "rtsp")
    with where as here, contextlib.ExitStack() as stack:
        folder = tmp_path / "fleet"
        folder.mkdir()
        proof = Proof(folder, here.store, here.network, here.cameras, MACHINES, TIMES, chance)
        stack.callback(proof.close)
        proof.start()
        yield proof


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_every_camera_is_watched_by_one_again_after_each_fault(
    proof: Proof, request: pytest.FixtureRequest
) -> None:
    kinds = {"http": FAULTS, "rtsp": ("kill", "cut"), "namespaces": ("cut", "store")}
    for fault in kinds[request.node.callspec.params["proof"]]:
        proof.fault(fault)
    proof.stop()
    assert proof.violations() == []
    reported, _ = proof.count
    assert reported > 0
