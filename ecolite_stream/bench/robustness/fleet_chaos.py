"""Faults of a fleet at random moments: the proof of docs/fleet.md.

    python -m ecolite_stream.bench.robustness.fleet_chaos [ROUNDS] [--minutes M] [--rtsp]
        [--namespaces] [--store postgresql+psycopg://...]

Real processes on this machine, real cameras and a real PostgreSQL. Each machine reaches the
database through a proxy of its own, which can be cut; with `--namespaces`, database and cameras
through a network of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ecolite_stream.app.entry import run
from ecolite_stream.bench.robustness import postgres, rtsp
from ecolite_stream.bench.robustness.fleet_cameras import CameraServer, rtsp_cameras
from ecolite_stream.bench.robustness.fleet_network import (
    NETWORK,
    NamespaceNetwork,
    Network,
    ProxyNetwork,
    why_no_namespaces,
)
from ecolite_stream.bench.robustness.fleet_proof import FAULTS, Proof, schedule
from ecolite_stream.errors import ConfigError, EcoliteError

TIMES = {"lease_s": 8, "margin_s": 1, "tick_s": 1, "settle_s": 10}


@dataclass(frozen=True)
class Place:
    """The store, network and cameras of a fleet that is tried.

    Attributes:
        store: URL of an empty PostgreSQL database, as this process reaches it.
        network: between machines, store and cameras.
        cameras: URL by name.
    """

    store: str
    network: Network
    cameras: Mapping[str, str]


@contextlib.contextmanager
def place(
    folder: Path,
    store: str | None,
    cameras: Sequence[str],
    machines: Sequence[str],
    with_rtsp: bool,
) -> Iterator[Place]:
    """Cameras and proxies on loopback; a PostgreSQL of its own where no store is given.

    Raises:
        ConfigError: this machine lacks a program.
    """
    with contextlib.ExitStack() as stack:
        if store is None:
            server = stack.enter_context(postgres.running())
            store = server.new_database("fleet")
        network = ProxyNetwork(store, machines)
        stack.callback(network.close)
        source: CameraServer | rtsp.RtspServer
        source = rtsp_cameras(cameras, folder) if with_rtsp else CameraServer()
        stack.enter_context(source)
        yield Place(store, network, {name: source.url(name) for name in cameras})


@contextlib.contextmanager
def place_in_namespaces(
    folder: Path, cameras: Sequence[str], machines: Sequence[str], chance: random.Random
) -> Iterator[Place]:
    """RTSP cameras, a PostgreSQL and each machine in network namespaces.

    Raises:
        ConfigError: this machine lacks a program, or cannot make namespaces.
    """
    if reason := why_no_namespaces():
        raise ConfigError(reason)
    with contextlib.ExitStack() as stack:
        network = NamespaceNetwork(machines, chance)
        stack.callback(network.close)
        hub, ip = network.hub, network.hub_ip
        server = stack.enter_context(postgres.running(ip, hub, NETWORK))
        network.set_store(server.new_database("fleet"))
        source = stack.enter_context(rtsp_cameras(cameras, folder, ip, hub))
        urls = {name: source.url(name) for name in cameras}
        yield Place(server.socket_url("fleet"), network, urls)


def cause_faults(
    proof: Proof, faults: Iterable[str], until_s: float
) -> Iterator[tuple[str, float]]:
    """Cause faults one after the other; yield each with the seconds until all was watched again.

    Args:
        proof: the fleet.
        faults: their kinds.
        until_s: `time.monotonic()` after which none begins.

    Raises:
        EcoliteError: the fleet did not recover.
    """
    for number, fault in enumerate(faults):
        if time.monotonic() > until_s:
            return
        passed_s = proof.fault(fault)
        load = os.getloadavg()[0]  # what else runs here is the usual cause of a long one
        click.echo(f"{number + 1}: {fault}: {passed_s:.1f} s, load {load:.1f}", err=True)
        yield fault, passed_s


@dataclass(frozen=True)
class Outcome:
    """The result of a run.

    Attributes:
        times_s: seconds until every camera was watched again, by kind of fault.
        events: how many were reported.
        lost: how many of these were in the memory of killed processes.
        violations: what must not happen; a line each.
    """

    times_s: Mapping[str, Sequence[float]]
    events: int
    lost: int
    violations: Sequence[str]


def tried(proof: Proof, faults: Iterable[str], minutes: float | None) -> Outcome:
    """Start a fleet, cause faults, stop it and check what it did.

    Raises:
        EcoliteError: it did not start.
    """
    times_s: dict[str, list[float]] = defaultdict(list)
    found: list[str] = []
    proof.start()
    until_s = math.inf if minutes is None else time.monotonic() + 60 * minutes
    try:
        for fault, passed_s in cause_faults(proof, faults, until_s):
            times_s[fault].append(passed_s)
    except EcoliteError as error:  # what went well before is worth a report, too
        found.append(str(error))
    proof.stop()
    found += proof.violations()
    return Outcome(times_s, *proof.count, found)


@click.command()
@click.argument("rounds", type=click.IntRange(1), default=20)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Instead of ROUNDS.")
@click.option("--store", help="URL of an empty PostgreSQL database. [one of its own]")
@click.option("--rtsp", "with_rtsp", is_flag=True, help="Cameras of a real RTSP server.")
@click.option(
    "--namespaces",
    is_flag=True,
    help="Cut the network between network namespaces. Needs root; implies --rtsp.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the moments.")
@click.option("--cameras", type=click.IntRange(1), default=6, show_default=True)
@click.option("--machines", type=click.IntRange(2, 200), default=3, show_default=True)
@click.option("--fault", "faults", multiple=True, type=click.Choice(FAULTS), help="[all]")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="Keep logs and predictions of all processes in this new folder.",
)
def main(
    rounds: int,
    minutes: float | None,
    store: str | None,
    with_rtsp: bool,
    namespaces: bool,
    seed: int,
    cameras: int,
    machines: int,
    faults: Sequence[str],
    keep: Path | None,
) -> None:
    """Cause faults at random moments; print times, exit 1 after a violation.

    Each kind of fault comes ROUNDS times, or for --minutes, each in its turn.
    """
    if namespaces and store is not None:
        raise ConfigError("--namespaces has a PostgreSQL of its own; leave out --store")
    if (with_rtsp or namespaces) and (reason := rtsp.why_not()):
        raise ConfigError(reason)
    chance = random.Random(seed)
    names = [f"camera-{number}" for number in range(cameras)]
    boxes = [f"box-{number}" for number in range(machines)]
    kinds = faults or FAULTS
    moments = schedule(kinds, chance)
    if minutes is None:
        moments = itertools.islice(moments, rounds * len(kinds))
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=keep is None)
        here = stack.enter_context(
            place_in_namespaces(folder, names, boxes, chance)
            if namespaces
            else place(folder, store, names, boxes, with_rtsp)
        )
        proof = Proof(folder, here.store, here.network, here.cameras, boxes, TIMES, chance)
        stack.callback(proof.close)
        outcome = tried(proof, moments, minutes)
    report(outcome)


def report(outcome: Outcome) -> None:
    """Print an outcome.

    Raises:
        EcoliteError: there was a violation.
    """
    for fault, seconds in outcome.times_s.items():
        median = statistics.median(seconds)
        click.echo(f"{fault:10}  {len(seconds):3} times  {median:5.1f} s  {max(seconds):5.1f} s")
    found = outcome.violations
    click.echo(
        f"{outcome.events} events; {outcome.lost} lost with killed processes; "
        f"{len(found)} violations"
    )
    if found:
        raise EcoliteError("; ".join(found[:10]))


if __name__ == "__main__":
    run(main)
