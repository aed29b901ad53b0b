"""A fleet on Ray: real nodes on this machine, where Ray is installed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ecolite_stream.app import fleet_ray
from ecolite_stream.app.fleet_apply import apply_fleet
from ecolite_stream.app.fleet_ray import check_private, start_on_ray, stop_on_ray
from ecolite_stream.app.fleet_run import open_store, read_fleet, run_machine
from ecolite_stream.bench.robustness.fleet_cameras import CameraServer
from ecolite_stream.bench.robustness.fleet_machines import write_fleet
from ecolite_stream.bench.robustness.fleet_ray_head import HeadProof
from ecolite_stream.bench.robustness.ray_nodes import redis
from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.ledger import Ledger
from ecolite_stream.fleet.proposals import Proposals
from ecolite_stream.fleet.status import MachineStatus, read_status
from ecolite_stream.pipeline.pipeline import Pipeline
from tests.conftest import ROOT, installed
from tests.store.postgres import Postgres
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(280)
BOXES: dict[str, dict[str, Any]] = {"box-1": {"capacity": 4}, "box-2": {"capacity": 4}}


def test_an_address_that_is_not_private_needs_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"8\.8\.8\.8 is not on a private network.*--i-know"):
        check_private("ray://8.8.8.8:10001", False)
    check_private("ray://8.8.8.8:10001", True)
    for address in ("ray://10.0.0.5:10001", "ray://127.0.0.1:1", "ray://[fd00::1]:10001"):
        check_private(address, False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    check_private("auto", False)
    monkeypatch.setenv("RAY_ADDRESS", "8.8.8.8:6379")
    with pytest.raises(ConfigError, match="not on a private network"):
        check_private("auto", False)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without machines, and a node for each machine."""
    if find_spec("ray") is None:
        pytest.skip("ray is not installed")
    installed("openvino")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    small = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args={**small, "node_name": "head"})
    os.environ["RAY_ADDRESS"] = nodes.address
    del small["include_dashboard"]
    for name in BOXES:
        nodes.add_node(node_name=name, **small)
    yield nodes
    del os.environ["RAY_ADDRESS"]
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
    with contextlib.suppress(Exception):
        nodes.shutdown()


@pytest.fixture
def cameras() -> Iterator[CameraServer]:
    with CameraServer() as server:
        yield server


def write_without_file(folder: Path, *facts: Any, **settings: Any) -> Path:
    """The files of a fleet whose machines write none: all actors would write one."""
    path = write_fleet(folder, *facts, **settings)
    stream = path.with_name("stream.yaml")
    settings = json.loads(stream.read_text())
    del settings["json_file"]
    stream.write_text(json.dumps(settings))
    return path


def machines_of(path: Path) -> list[MachineStatus]:
    fleet, config = read_fleet(path)
    with (
        open_store(config, create=False) as database,
        Ledger(database, fleet.config.name).begin() as table,
    ):
        return list(read_status(fleet, table).machines)


def watched(path: Path) -> int:
    return sum(one.cameras for one in machines_of(path) if one.state == "up")


def actor_pid(name: str) -> int:
    """The process of an actor of the fleet; 0 while there is none."""
    import ray
    from ray.exceptions import RayActorError

    ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
    try:
        actor = fleet_ray._actor(ray, name)
        return int(ray.get(actor.ready.remote(), timeout=30)) if actor is not None else 0
    except RayActorError:  # it was killed, and Ray has just noticed
        return 0
    finally:
        ray.shutdown()


def test_ray_restarts_a_machine_and_the_supervisor(
    cluster: Any, cameras: CameraServer, postgres: Postgres, tmp_path: Path
) -> None:
    urls = {name: cameras.url(name) for name in ("gate", "yard")}
    store = postgres.new_database("rayfleet")
    times = {"lease_s": 4, "margin_s": 0.5, "tick_s": 0.5, "settle_s": 3}
    path = write_without_file(tmp_path, store, urls, BOXES, **times)
    fleet, _ = read_fleet(path)
    start_on_ray(path, "auto")
    try:
        eventually(lambda: watched(path) == 2, 120)
        with pytest.raises(ConfigError, match="'proof' runs in this cluster already"):
            start_on_ray(path, "auto")
        for name in ("fleet proof on box-1", "fleet proof"):
            pid = actor_pid(name)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda name=name, pid=pid: actor_pid(name) not in (0, pid), 120)
            eventually(
                lambda: all(one.state == "up" for one in machines_of(path)) and watched(path) == 2,
                120,
            )
    finally:
        stop_on_ray(fleet, "auto")
    assert watched(path) == 0
    with pytest.raises(ConfigError, match="does not run in this cluster"):
        stop_on_ray(fleet, "auto")


@pytest.mark.slow
@pytest.mark.parametrize("with_redis", [False, True], ids=["alone", "redis"])
def test_a_fleet_is_whole_again_after_the_head_was_lost(
    with_redis: bool, cameras: CameraServer, postgres: Postgres
) -> None:
    if find_spec("ray") is None:
        pytest.skip("ray is not installed")
    installed("openvino")
    with contextlib.ExitStack() as stack:
        # Paths of Ray's sockets have to be short.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eco-")))
        try:
            where = stack.enter_context(redis(folder)) if with_redis else None
        except ConfigError as error:
            pytest.skip(str(error))
        urls = {name: cameras.url(name) for name in ("gate", "yard")}
        times = {"lease_s": 4, "margin_s": 0.5, "tick_s": 0.5, "settle_s": 3}
        store = postgres.new_database(f"rayhead{int(with_redis)}")
        proof = HeadProof(folder, store, urls, list(BOXES), times, where)
        stack.callback(proof.close)
        proof.start()
        loss = proof.lose_head(2)
        proof.lose_actor()  # the supervisor knows the new head
        proof.stop()
        assert loss.ended == (0 if with_redis else 2)
        assert proof.violations() == []
        assert proof.count[0] > 0


def test_machines_come_and_go_with_the_definition(
    cluster: Any, cameras: CameraServer, postgres: Postgres, tmp_path: Path
) -> None:
    urls = {name: cameras.url(name) for name in ("gate", "yard")}
    store = postgres.new_database("rayapply")
    times = {"lease_s": 4, "margin_s": 0.5, "tick_s": 0.5, "settle_s": 1}

    def write(*machines: str) -> Path:
        boxes = {name: {"capacity": 1} for name in machines}
        return write_without_file(tmp_path, store, urls, boxes, **times)

    def apply(path: Path) -> str:
        fleet, config = read_fleet(path)
        with open_store(config, create=False) as database:
            return apply_fleet(fleet, Proposals(Ledger(database, fleet.config.name)))

    path = write("box-1")
    start_on_ray(path, "auto")
    try:
        eventually(lambda: watched(path) == 2, 120)
        assert apply(write("box-1", "box-2")) == "added machines box-2"
        eventually(lambda: [one.cameras for one in machines_of(path)] == [1, 1], 120)
        assert apply(write("box-1")) == "removed machines box-2"
        eventually(lambda: actor_pid("fleet proof on box-2") == 0, 120)
        eventually(lambda: [one.cameras for one in machines_of(path)] == [2], 120)
    finally:
        stop_on_ray(read_fleet(path)[0], "auto")


def test_a_machine_that_is_stopped_while_it_starts_keeps_no_lease(
    cameras: CameraServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("openvino")
    store = f"sqlite:///{tmp_path}/events.db"
    path = write_fleet(tmp_path, store, {"gate": cameras.url("gate")}, BOXES)
    monkeypatch.chdir(tmp_path)
    is_there, is_stopped = threading.Event(), threading.Event()

    def slow_to_start(*facts: Any, on_start: Callable[[Pipeline], object], **more: Any) -> None:
        def late(pipeline: Pipeline) -> None:
            is_there.set()
            assert is_stopped.wait(30)
            on_start(pipeline)

        run_machine(*facts, on_start=late, **more)

    monkeypatch.setattr(fleet_ray, "run_machine", slow_to_start)
    machine = fleet_ray._Machine(str(path), "box-1")
    assert is_there.wait(60)
    assert machines_of(path)[0].state == "up"
    stopping = threading.Thread(target=machine.stop)
    stopping.start()
    stopping.join(1)  # it waits for the pipeline
    is_stopped.set()
    stopping.join()
    machine._thread.join(30)
    assert not machine._thread.is_alive()
    assert all(one.state != "up" for one in machines_of(path))


def test_nodes_that_do_not_fit_are_refused(
    cluster: Any,
    cameras: CameraServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = f"sqlite:///{tmp_path}/events.db"
    boxes = {**BOXES, "box-9": {"capacity": 1}}
    path = write_fleet(tmp_path, store, {"gate": cameras.url("gate")}, boxes)
    with pytest.raises(ConfigError, match=r"'box-9': no Ray node .*box-1, box-2.*--node-name"):
        start_on_ray(path, "auto")
    path = write_fleet(tmp_path, store, {"gate": cameras.url("gate")}, BOXES)
    facts = fleet_ray._facts(str(path))
    monkeypatch.setattr(fleet_ray, "_facts", _other_facts)
    monkeypatch.setenv("ECOLITE_TEST_HERE", "1")
    with pytest.raises(ConfigError, match=f"node box-1 has Ray {facts['Ray']}, this machine 1.0"):
        start_on_ray(path, "auto")
    assert not (tmp_path / "events.db").exists()


def _other_facts(path: str) -> dict[str, str]:
    """An older Ray here; the nodes, where the variable is not set, have that which is installed."""
    import ray

    return {"Ray": "1.0" if "ECOLITE_TEST_HERE" in os.environ else str(ray.__version__)}
