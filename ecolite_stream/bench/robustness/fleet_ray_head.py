"""The head of a Ray cluster is lost under a fleet, and comes back: the proof of docs/fleet.md.

    python -m ecolite_stream.bench.robustness.fleet_ray_head [ROUNDS] [--minutes M] [--redis]
        [--store postgresql+psycopg://...]

A head without a machine and a node for each machine, all on this computer, as `ray start --block`
makes them; each is started again when it ends, as a service is. At random moments all processes of
the head are killed, and it is started again after a random time.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ecolite_stream.app.entry import run
from ecolite_stream.app.extras import require_extra
from ecolite_stream.app.fleet_run import open_store, read_fleet
from ecolite_stream.bench.robustness import postgres
from ecolite_stream.bench.robustness.fleet_cameras import CameraServer
from ecolite_stream.bench.robustness.fleet_chaos import TIMES
from ecolite_stream.bench.robustness.fleet_machines import wait_until
from ecolite_stream.bench.robustness.fleet_proof import Checks
from ecolite_stream.bench.robustness.ray_nodes import OWN_FOLDER, Node, free_port, redis
from ecolite_stream.errors import EcoliteError
from ecolite_stream.fleet.leases import SUPERVISOR

_LIMIT_S = 300.0
_AGAIN_S = 2.0


@dataclass(frozen=True)
class Loss:
    """Effects of one loss of the head.

    Attributes:
        away_s: seconds between the loss and the next start of the head.
        ended: how many of the processes that watched have ended.
        watched_s: seconds after the loss until the last prediction of those; 0 if none ended.
        unwatched_s: the longest time between two predictions of a camera, in seconds.
        whole_s: seconds from the start of the head until the fleet was whole again.
    """

    away_s: float
    ended: int
    watched_s: float
    unwatched_s: float
    whole_s: float


class HeadProof(Checks):
    """A fleet on a Ray cluster of its own that loses its head. Close it in the end.

    Args:
        folder: an empty folder with a short path.
        store: URL of an empty PostgreSQL database.
        cameras: URL by name.
        machines: names.
        times: of the leases.
        redis: HOST:PORT of the Redis that keeps the state of Ray; None keeps it in the head.
    """

    def __init__(
        self,
        folder: Path,
        store: str,
        cameras: Mapping[str, str],
        machines: Sequence[str],
        times: Mapping[str, float],
        redis: str | None = None,
    ) -> None:
        super().__init__(folder, store, cameras, machines, times)
        nodes = folder / "nodes"
        nodes.mkdir()
        (nodes / "sitecustomize.py").write_text(OWN_FOLDER)
        self._ray_folder = nodes / "head"
        port, client_port = free_port(), free_port()
        self._address = f"127.0.0.1:{port}"
        as_head = (
            *("--head", "--port", str(port), "--ray-client-server-port", str(client_port)),
            *("--include-dashboard", "false"),
        )
        env = {} if redis is None else {"RAY_REDIS_ADDRESS": redis}
        self._head = Node("head", as_head, nodes, self._folder, env)
        as_node = ("--address", self._address, "--dashboard-agent-listen-port", "0")
        self._nodes = [Node(name, as_node, nodes, self._folder) for name in machines]
        self._services: list[Node] = []
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Start the cluster and the fleet; wait until every camera is watched."""
        self._start_head()
        self._services += self._nodes
        self._keeper.start()
        self._start_fleet()
        self._wait_for_whole()

    def close(self) -> None:
        """End all processes."""
        self._ended.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for node in (*self._nodes, self._head):
            node.kill()

    def stop(self) -> None:
        """Stop the fleet with its command.

        Raises:
            EcoliteError: that fails.
        """
        self._note_ended()
        said = ""

        def has_stopped() -> bool:
            nonlocal said
            code, said = self._command("stop")
            return not code or "does not run in this cluster" in said

        if not wait_until(has_stopped, _LIMIT_S):  # the head may have ended once more
            raise EcoliteError(f"fleet stop failed: {said}")

    def lose_head(self, away_s: float) -> Loss:
        """Kill the head, start it again, and start the fleet as docs/fleet.md says.

        Raises:
            EcoliteError: the fleet does not recover.
        """
        before = self._watching()
        lost_ms = _now_ms()
        self._services.remove(self._head)
        self._head.kill()
        time.sleep(away_s)
        back_ms = self._start_head()
        self._start_fleet()
        self._wait_for_whole()
        ended = before & self._note_ended()
        last_ms = max(map(self._observer.last_ms, ended), default=lost_ms)
        whole_ms = self._observer.last_gap_end_ms(lost_ms)
        return Loss(
            away_s=round(away_s, 1),
            ended=len(ended),
            watched_s=(last_ms - lost_ms) / 1000,
            unwatched_s=self._observer.longest_gap_ms(lost_ms) / 1000,
            whole_s=max(0, whole_ms - back_ms) / 1000,
        )

    def lose_actor(self) -> None:
        """Kill a process that watches, and wait until its node has another.

        Raises:
            EcoliteError: Ray does not start another.
        """
        victim = sorted(self._watching())[0]
        node, pid, _ = victim.rsplit("-", 2)
        before = self._processes()
        os.kill(int(pid), signal.SIGKILL)

        def has_another() -> bool:
            return any(one.startswith(f"{node}-") for one in self._processes() - before)

        if not wait_until(has_another, _LIMIT_S):
            raise EcoliteError(f"{node} has no other process after {_LIMIT_S:g} s; {self._logs()}")
        self._wait_for_whole()

    def _start_head(self) -> int:
        """Start the head; return when, in ms since 1970."""
        # Nodes on this computer would pass for a head that runs: on its own machine there are none.
        (self._ray_folder / "ray_current_cluster").unlink(missing_ok=True)
        self._head.start()
        self._services.append(self._head)
        return _now_ms()

    def _start_fleet(self) -> None:
        """Run the command until the fleet runs.

        Raises:
            EcoliteError: it does not.
        """
        said = ""

        def runs() -> bool:
            nonlocal said
            code, said = self._command()
            click.echo(f"{time.strftime('%X')} {said}", err=True)
            return not code or "runs in this cluster already" in said

        if not wait_until(runs, _LIMIT_S):
            raise EcoliteError(f"the fleet does not start: {said}; {self._logs()}")

    def _command(self, *more: str) -> tuple[int, str]:
        """The exit code and the words of `ecolite-stream fleet`."""
        words = [sys.executable, "-m", "ecolite_stream", "fleet", *more]
        done = subprocess.run(
            [*words, "--config", str(self.fleet_file), "--address", "auto"],
            env={**os.environ, "RAY_ADDRESS": self._address},
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
        )
        return done.returncode, (done.stdout + done.stderr).strip()[-500:]

    def _wait_for_whole(self) -> None:
        """Wait until each machine is up, one process supervises and each camera is watched."""

        def is_whole() -> bool:
            return self._supervises() and all(one.state == "up" for one in self._status())

        if not wait_until(is_whole, _LIMIT_S):
            raise EcoliteError(f"not whole after {_LIMIT_S:g} s; {self._status()}; {self._logs()}")
        self._wait_for_all(set())

    def _supervises(self) -> bool:
        """Whether a process holds the supervisor's lease."""
        from ecolite_stream.fleet.ledger import Ledger

        fleet, config = read_fleet(self.fleet_file)
        with (
            open_store(config, create=False) as database,
            Ledger(database, fleet.config.name).begin() as table,
        ):
            return any(not one.is_over(table.now_ms) for one in table.current(SUPERVISOR))

    def _watching(self) -> set[str]:
        self._observer.read()
        since_ms = _now_ms() - 2000
        return set().union(*(self._observer.watchers(one, since_ms) for one in self._cameras))

    def _processes(self) -> set[str]:
        """All processes of machines that there were, by the names of their folders."""
        return {path.parent.name for path in self._folder.glob("*/seen.jsonl")}

    def _note_ended(self) -> set[str]:
        """Note processes that have ended as killed; return them, by the names of their folders."""
        alive = {process.pid for node in self._nodes for process in node.processes()}
        ended = {name for name in self._processes() if int(name.split("-")[-2]) not in alive}
        self.killed += sorted(ended - set(self.killed))
        return ended

    def _keep(self) -> None:
        """Start nodes again that have ended, as a service does.

        One after the other: on one busy computer, a raylet waits 15 s for its agents and ends.
        """
        while not self._ended.wait(_AGAIN_S):
            for node in list(self._services):
                if node.has_ended and not any(one.is_starting for one in self._services):
                    click.echo(f"{time.strftime('%X')} {node.name} starts", err=True)
                    node.start()

    def _logs(self) -> str:
        nodes = [node for node in (self._head, *self._nodes) if node.starts]
        return " | ".join(f"{node.name}: {node.log.read_text()[-500:]}" for node in nodes)


def _now_ms() -> int:
    return round(1000 * time.time())


def tried(
    proof: HeadProof, moments: Iterable[tuple[float, float]], minutes: float | None
) -> tuple[list[Loss], list[str]]:
    """Start a fleet, lose the head at these moments, stop the fleet and check what it did.

    Args:
        proof: the fleet.
        moments: seconds before a loss, and until the head is started again.
        minutes: after which the head is lost no more; None is no limit.

    Returns:
        What each loss did, and what must not happen.

    Raises:
        EcoliteError: the fleet did not start.
    """
    losses: list[Loss] = []
    found: list[str] = []
    proof.start()
    until_s = math.inf if minutes is None else time.monotonic() + 60 * minutes
    try:
        for wait_s, away_s in moments:
            if time.monotonic() > until_s:
                break
            time.sleep(wait_s)
            losses.append(proof.lose_head(away_s))
            click.echo(f"{len(losses)}: {losses[-1]}, load {os.getloadavg()[0]:.1f}", err=True)
        proof.lose_actor()
    except EcoliteError as error:  # what went well before is worth a report, too
        found.append(str(error))
    proof.stop()
    return losses, found + proof.violations()


@click.command()
@click.argument("rounds", type=click.IntRange(1), default=20)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="At most.")
@click.option("--redis", "with_redis", is_flag=True, help="Keep Ray's state in a Redis.")
@click.option("--away", "away_s", default=20.0, show_default=True, help="Longest, in seconds.")
@click.option("--store", help="URL of an empty PostgreSQL database. [one of its own]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the moments.")
@click.option("--cameras", type=click.IntRange(1), default=4, show_default=True)
@click.option("--machines", type=click.IntRange(2, 20), default=2, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Keep logs in this new folder.")
def main(
    rounds: int,
    minutes: float | None,
    with_redis: bool,
    away_s: float,
    store: str | None,
    seed: int,
    cameras: int,
    machines: int,
    keep: Path | None,
) -> None:
    """Lose the head of a Ray cluster at random moments; print times, exit 1 after a violation."""
    require_extra("fleet_ray_head", "ray", "fleet")
    chance = random.Random(seed)
    moments = (
        (chance.uniform(0, 8), chance.uniform(0, away_s)) for _ in itertools.repeat(None, rounds)
    )
    names = [f"camera-{number}" for number in range(cameras)]
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eco-")))
        folder.mkdir(parents=True, exist_ok=keep is None)
        where = stack.enter_context(redis(folder)) if with_redis else None
        if store is None:
            store = stack.enter_context(postgres.running()).new_database("fleet")
        server = stack.enter_context(CameraServer())
        urls = {name: server.url(name) for name in names}
        boxes = [f"box-{number}" for number in range(machines)]
        proof = HeadProof(folder, store, urls, boxes, TIMES, where)
        stack.callback(proof.close)
        losses, found = tried(proof, moments, minutes)
        events, lost = proof.count
    for what in ("ended", "watched_s", "unwatched_s", "whole_s"):
        values = [getattr(loss, what) for loss in losses] or [math.nan]
        click.echo(
            f"{what:12} {len(losses):3} times  {statistics.median(values):6.1f}  {max(values):6.1f}"
        )
    click.echo(f"{events} events; {lost} lost with killed processes; {len(found)} violations")
    if found:
        raise EcoliteError("; ".join(found[:10]))


if __name__ == "__main__":
    run(main)
