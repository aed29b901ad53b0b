"""What Ray adds on a machine of a fleet: time to start, and memory.

    python -m ecolite_stream.bench.speed.ray_node [ROUNDS]

Each round starts a head and a node on this computer, and an actor on the node that does nothing.
The actor is compared with a process that imports the same module without Ray. Memory is the
proportional set size: of what processes share, each counts its part.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psutil

import ecolite_stream
from ecolite_stream.app.entry import run
from ecolite_stream.app.extras import missing_extra
from ecolite_stream.bench.measuring.machine import machine_facts

_STORE_BYTES = 80_000_000
_SETTLE_S = 5.0
_PLAIN = "import ecolite_stream.bench.speed.ray_node; print('ready', flush=True); input()"


@dataclass(frozen=True)
class Cost:
    """What it takes to start something, and to have it run.

    Attributes:
        start_s: until it answers, in seconds.
        cpu_s: processor time of its processes until then and for the next 5 s.
        memory_mb: of its processes, in 10^6 bytes.
        processes: how many there are.
    """

    start_s: float
    cpu_s: float
    memory_mb: float
    processes: int


class Probe:
    """An actor that does nothing."""

    def pid(self) -> int:
        """Its process."""
        return os.getpid()


def ray_costs() -> dict[str, Cost]:
    """Costs of a head, of a node and of an actor there; Ray is stopped again."""
    import ray
    from ray.cluster_utils import Cluster
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    options = {"num_cpus": 1, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    found: dict[str, Cost] = {}
    cluster: Any = None
    try:
        with _measured(found, "head"):
            cluster = Cluster(initialize_head=True, head_node_args=options)
        del options["include_dashboard"]
        with _measured(found, "node"):
            node = cluster.add_node(node_name="box", **options)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        place = NodeAffinitySchedulingStrategy(node_id=node.node_id, soft=False)
        probe: Any = ray.remote(Probe).options(num_cpus=0, scheduling_strategy=place)
        began_s = time.perf_counter()
        actor = probe.remote()  # it lives as long as this name
        process = psutil.Process(ray.get(actor.pid.remote()))
        found["actor"] = _cost([process], time.perf_counter() - began_s)
    finally:
        ray.shutdown()
        if cluster is not None:
            cluster.shutdown()
    return found


def plain_cost() -> Cost:
    """Cost of a process that imports this module, without Ray."""
    began_s = time.perf_counter()
    words = [sys.executable, "-c", _PLAIN]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            return _cost([psutil.Process(process.pid)], time.perf_counter() - began_s)
        finally:
            process.kill()


@contextlib.contextmanager
def _measured(found: dict[str, Cost], name: str) -> Iterator[None]:
    """Note the cost of all processes that the block starts."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    began_s = time.perf_counter()
    yield
    passed_s = time.perf_counter() - began_s
    children = psutil.Process().children(recursive=True)
    found[name] = _cost([one for one in children if one.pid not in before], passed_s)


def _cost(processes: list[psutil.Process], start_s: float) -> Cost:
    time.sleep(_SETTLE_S)
    cpu_s, memory_mb, count = 0.0, 0.0, 0
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has ended
            memory_mb += process.memory_full_info().pss / 1e6
            cpu_s += sum(process.cpu_times()[:2])
            count += 1
    return Cost(start_s, cpu_s, memory_mb, count)


def _median(costs: list[Cost], of: Callable[[Cost], float]) -> float:
    return statistics.median(map(of, costs))


@click.command()
@click.argument("rounds", type=click.IntRange(1), default=5)
def main(rounds: int) -> None:
    """Measure what Ray adds on a machine; print medians."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    root = str(Path(ecolite_stream.__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join([root, *os.environ.get("PYTHONPATH", "").split(":")])
    costs: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(rounds):
        costs["process"].append(plain_cost())
        try:
            for name, cost in ray_costs().items():
                costs[name].append(cost)
        except ModuleNotFoundError as error:
            raise missing_extra("ray_node", error.name or "ray", "fleet") from error
    click.echo(f"{machine_facts()}, {rounds} rounds")
    for name, some in costs.items():
        click.echo(
            f"{name:8} {_median(some, lambda c: c.start_s):6.2f} s until it answers  "
            f"{_median(some, lambda c: c.cpu_s):6.2f} s of processor  "
            f"{_median(some, lambda c: c.memory_mb):6.0f} MB in "
            f"{_median(some, lambda c: c.processes):.0f} processes"
        )


if __name__ == "__main__":
    run(main)
