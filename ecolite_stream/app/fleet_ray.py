"""A fleet on a Ray cluster: Ray starts and restarts the processes; leases decide who watches.

One named, detached actor supervises, and starts an actor on the node of each machine. Ray restarts
the supervisor wherever there is a node; the supervisor restarts the others.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import logging
import os
import platform
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ecolite_stream.app.fleet_run import open_store, read_fleet, run_machine
from ecolite_stream.archive.ray_workers import address_parts, connected
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import ConfigError, EcoliteError, one_line
from ecolite_stream.fleet.config import Fleet
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.version import __version__

_log = logging.getLogger(__name__)

_NAMESPACE = "ecolite-stream"
_ANSWER_S = 60.0
_STOP_S = 15.0
_MACHINE_STOP_S = 60.0  # a machine without processor time takes long, and loses nothing by it
_ENSURE_S = 2.0
_RETRY_S = 5.0
# Ray gives actors a niceness of 15: other work would take the processor, and leases would end.
_PRIORITY = {"runtime_env": {"env_vars": {"RAY_worker_niceness": "0"}}}


def check_private(address: str, i_know: bool) -> None:
    """Refuse a cluster that is not on a private network: Ray runs whatever reaches its ports.

    Raises:
        ConfigError: an address of the host is public, or the text is no address.
    """
    parts = address_parts(address)
    if parts is None or i_know:
        return
    try:
        found = socket.getaddrinfo(*parts, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"{parts[0]} cannot be found: {error.strerror}") from error
    for *_, where in found:
        ip = ipaddress.ip_address(str(where[0]).partition("%")[0])
        if not ip.is_private:
            raise ConfigError(
                f"{parts[0]} is not on a private network, and Ray runs whatever code reaches its "
                "ports; use a private address, or --i-know"
            )


def start_on_ray(path: Path, address: str) -> None:
    """Start a fleet on a cluster; it goes on when this process ends.

    Args:
        path: the fleet's file, which every node has at the same path.
        address: of the cluster.

    Raises:
        ConfigError: the cluster does not answer or does not fit; nothing was started.
    """
    fleet, config = read_fleet(path)
    ray = connected(address)
    try:
        if _actor(ray, _supervisor_name(fleet.config.name)) is not None:
            raise ConfigError(
                f"fleet {fleet.config.name!r} runs in this cluster already; run ecolite-stream "
                "fleet stop first, or give this one another name"
            )
        nodes = node_ids(ray)
        _check_nodes(ray, path, fleet, nodes)
        _check_store(fleet, config)
        supervisor = (
            ray.remote(_Supervisor)
            .options(
                name=_supervisor_name(fleet.config.name),
                namespace=_NAMESPACE,
                lifetime="detached",
                num_cpus=0,
                max_restarts=-1,
                max_concurrency=2,
                **_PRIORITY,
            )
            .remote(str(path))
        )
        _answer(ray, supervisor.ready.remote(), "the supervisor")
    finally:
        ray.shutdown()


def stop_on_ray(fleet: Fleet, address: str) -> None:
    """Stop a fleet on a cluster: first its supervisor, then its machines.

    Raises:
        ConfigError: no cluster answers, or the fleet does not run there.
    """
    ray = connected(address)
    try:
        name = fleet.config.name
        supervisor = _actor(ray, _supervisor_name(name))
        if supervisor is None:
            raise ConfigError(f"fleet {name!r} does not run in this cluster")
        with contextlib.suppress(ray.exceptions.RayError):
            ray.get(supervisor.stop.remote(), timeout=_STOP_S)
        ray.kill(supervisor)
        found = {one: _actor(ray, _machine_name(name, one)) for one in fleet.config.machines}
        _stop_machines(ray, {one: actor for one, actor in found.items() if actor is not None})
    finally:
        ray.shutdown()


def _stop_machines(ray: Any, actors: Mapping[str, Any]) -> None:
    """Stop the actors of machines, all at once, then kill them."""
    stopping = {one: actor.stop.remote() for one, actor in actors.items()}
    if stopping:
        ray.wait([*stopping.values()], num_returns=len(stopping), timeout=_MACHINE_STOP_S + _STOP_S)
    for one, answer in stopping.items():
        try:
            has_stopped = bool(ray.get(answer, timeout=0))
        except ray.exceptions.RayError:  # it has died, or does not answer
            has_stopped = False
        if not has_stopped:
            _log.warning("machine %s: did not stop in time; its leases end by themselves", one)
        ray.kill(actors[one])


def node_ids(ray: Any) -> dict[str, str]:
    """Id of each node that is alive, by its name and by its host name."""
    found: dict[str, str] = {}
    for node in ray.nodes():
        if node["Alive"]:
            found.setdefault(node["NodeManagerHostname"], node["NodeID"])
    for node in ray.nodes():
        if node["Alive"]:
            found[node["NodeName"]] = node["NodeID"]
    return found


def _check_nodes(ray: Any, path: Path, fleet: Fleet, nodes: Mapping[str, str]) -> None:
    """Check that each machine has a node of the same versions and with the same files."""
    here = _facts(str(path))
    for name, machine in fleet.config.machines.items():
        wanted = machine.node or name
        if wanted not in nodes:
            raise ConfigError(
                f"machine {name!r}: no Ray node has the name {wanted!r}; there are "
                f"{', '.join(sorted(nodes))}; run ray start --node-name {wanted}, or set node"
            )
        ask = ray.remote(_facts).options(**_on(ray, nodes[wanted]))
        there = _answer(ray, ask.remote(str(path)), f"node {wanted}")
        for what, value in here.items():
            if there[what] != value:
                raise ConfigError(
                    f"node {wanted} has {what} {there[what]}, this machine {value}; "
                    "they must be the same"
                )


def _check_store(fleet: Fleet, config: StreamConfig) -> None:
    from ecolite_stream.fleet.ledger import Ledger
    from ecolite_stream.fleet.versions import define

    with (
        open_store(config, create=True) as database,
        Ledger(database, fleet.config.name).begin() as table,
    ):
        define(table, fleet)


def _facts(path: str) -> dict[str, str]:
    """Versions and digest of this node; all nodes need the same."""
    import ray

    try:
        digest = read_fleet(Path(path))[0].digest[:12]
    except EcoliteError as error:
        digest = f"an error: {one_line(error)}"
    return {
        "Python": platform.python_version(),
        "Ray": str(ray.__version__),
        "ecolite-stream": __version__,
        "a fleet with digest": digest,
    }


def _answer(ray: Any, ref: Any, who: str) -> Any:
    try:
        return ray.get(ref, timeout=_ANSWER_S)
    except ray.exceptions.RayTaskError as error:
        raise ConfigError(f"{who}: {one_line(error.cause or error)[:300]}") from error
    except Exception as error:  # of Ray, gRPC and pickle: no two versions raise the same
        what = (one_line(error) or type(error).__name__).partition(". ")[0][:300]
        raise ConfigError(
            f"{who} cannot run this: {what}; install the same versions of Python, Ray and "
            "ecolite-stream there"
        ) from error


def _on(ray: Any, node_id: str) -> dict[str, Any]:
    """Options of an actor or a task that runs on this node or nowhere."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {
        "num_cpus": 0,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id=node_id, soft=False),
    }


def _supervisor_name(fleet: str) -> str:
    return f"fleet {fleet}"


def _machine_name(fleet: str, machine: str) -> str:
    return f"fleet {fleet} on {machine}"


def _actor(ray: Any, name: str) -> Any:
    """A named actor; None where there is none."""
    try:
        return ray.get_actor(name, namespace=_NAMESPACE)
    except ValueError:
        return None


class _Supervisor:
    """The actor that assigns cameras and keeps an actor on the node of each machine."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._ended = threading.Event()
        fleet, config = read_fleet(Path(path))
        self._current: Callable[[], Fleet] = lambda: fleet
        self._threads = [
            threading.Thread(target=self._assign, args=(fleet, config), daemon=True),
            threading.Thread(target=self._keep_actors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def ready(self) -> int:
        """The process."""
        return os.getpid()

    def stop(self) -> None:
        """Assign nothing and start nothing any more."""
        self._ended.set()
        for thread in self._threads:
            thread.join(_STOP_S / 2)

    def _assign(self, fleet: Fleet, config: StreamConfig) -> None:
        from ecolite_stream.fleet.ledger import Holder, Ledger
        from ecolite_stream.fleet.member import repeat
        from ecolite_stream.fleet.supervisor import Supervisor

        with open_store(config, create=True) as database:
            holder = Holder("", f"{platform.node()}/{secrets.token_hex(8)}/supervisor")
            supervisor = Supervisor(fleet, Ledger(database, fleet.config.name), holder)
            self._current = lambda: supervisor.fleet
            repeat(supervisor.tick, lambda: supervisor.fleet.config.tick_s, self._ended)
            with contextlib.suppress(EcoliteError):
                supervisor.resign()

    def _keep_actors(self) -> None:
        import ray

        pings: dict[str, Any] = {}
        while not self._ended.wait(_ENSURE_S / 4):
            fleet = self._current()
            try:
                nodes = node_ids(ray)
                for machine, config in fleet.config.machines.items():
                    node_id = nodes.get(config.node or machine)
                    if node_id is not None:
                        self._keep_actor(ray, fleet.config.name, machine, node_id, pings)
            except Exception as error:  # the head is away: try again
                _log.warning("fleet: %s", one_line(error)[:300])
            self._ended.wait(_ENSURE_S)

    def _keep_actor(
        self, ray: Any, fleet: str, machine: str, node_id: str, pings: dict[str, Any]
    ) -> None:
        """Start a machine's actor unless it lives; one that is frozen is left alone."""
        name = _machine_name(fleet, machine)
        actor = _actor(ray, name)
        if actor is not None and machine in pings:
            if not ray.wait([pings[machine]], timeout=0)[0]:
                return
            try:
                ray.get(pings.pop(machine))
            except ray.exceptions.RayError:
                return  # it has died; its name is free at the next look
        if actor is None:
            options = {**_on(ray, node_id), **_PRIORITY, "max_concurrency": 2, "max_restarts": 0}
            actor = (
                ray.remote(_Machine)
                .options(name=name, namespace=_NAMESPACE, lifetime="detached", **options)
                .remote(self._path, machine)
            )
        pings[machine] = actor.ready.remote()


class _Machine:
    """The actor that runs a machine's pipeline."""

    def __init__(self, path: str, machine: str) -> None:
        self._pipeline: Pipeline | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(path, machine), daemon=True)
        self._thread.start()

    def ready(self) -> int:
        """The process."""
        return os.getpid()

    def stop(self) -> bool:
        """Stop the pipeline and release the leases; return whether that is done."""
        self._stopping.set()
        if self._pipeline is not None:  # else it stops as soon as it is there
            self._pipeline.stop()
        self._thread.join(_MACHINE_STOP_S)
        return not self._thread.is_alive()

    def _run(self, path: str, machine: str) -> None:
        try:
            load = functools.partial(read_fleet, Path(path))
            run_machine(*load(), machine, supervises=False, on_start=self._started, load=load)
            if not self._stopping.is_set():  # the fleet does not name it any more
                os._exit(0)
        except Exception:
            if self._stopping.is_set():
                return
            _log.exception("machine %s: ended; it is started again", machine)
            time.sleep(_RETRY_S)
            os._exit(1)

    def _started(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        if self._stopping.is_set():
            pipeline.stop()
