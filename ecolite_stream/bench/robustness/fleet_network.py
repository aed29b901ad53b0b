"""The network between the machines of a fleet, their store and their cameras; it can be cut."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import make_url

from ecolite_stream.bench.robustness.cut_proxy import CutProxy

_HUB_IP = "10.231.0.1"
NETWORK = "10.231.0.0/24"
"""Addresses in the namespaces; nothing outside them sees these."""


class Network(Protocol):
    """Connects each machine with the store and the cameras."""

    def store_url(self, machine: str) -> str:
        """URL of the store, as this machine reaches it."""

    def command(self, machine: str) -> Sequence[str]:
        """Words before the command of this machine's process."""

    def cut(self, machine: str) -> None:
        """Let nothing through, in either direction."""

    def heal(self, machine: str) -> None:
        """Let everything through again."""

    def close(self) -> None:
        """Take it down."""


class ProxyNetwork:
    """Each machine reaches the store through a proxy of its own. Cameras are never cut off.

    Args:
        store: URL of a PostgreSQL database.
        machines: their names.
    """

    def __init__(self, store: str, machines: Sequence[str]) -> None:
        self._parts = make_url(store)
        host, port = self._parts.host or "", self._parts.port or 5432
        self._proxies = {name: CutProxy(host, port) for name in machines}

    def store_url(self, machine: str) -> str:
        """See `Network`."""
        url = self._parts.set(host="127.0.0.1", port=self._proxies[machine].port)
        return url.render_as_string(hide_password=False)

    def command(self, machine: str) -> Sequence[str]:
        """See `Network`."""
        return ()

    def cut(self, machine: str) -> None:
        """See `Network`; connections stay open."""
        self._proxies[machine].cut()

    def heal(self, machine: str) -> None:
        """See `Network`; what waits goes through as well."""
        self._proxies[machine].heal()

    def close(self) -> None:
        """See `Network`."""
        for proxy in self._proxies.values():
            proxy.close()


class NamespaceNetwork:
    """A network namespace for each machine, and one for store and cameras, joined by a bridge.

    Only root can make it. Addresses and routes of this machine itself stay as they are. A cut is,
    at random, a cable that is pulled (the machine's link goes down) or a switch that drops all
    (its link stays up).

    Args:
        machines: their names.
        chance: random numbers.

    Attributes:
        hub: words before a command that runs beside store and cameras.
        hub_ip: their address.
    """

    def __init__(self, machines: Sequence[str], chance: random.Random) -> None:
        self._chance = chance
        self._prefix = _prefix()
        self._ports = {name: f"port{number}" for number, name in enumerate(machines)}
        self._store = ""
        self.hub: Sequence[str] = ("ip", "netns", "exec", self._prefix)
        self.hub_ip = _HUB_IP
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def set_store(self, url: str) -> None:
        """Set the URL of the store, at `hub_ip`."""
        self._store = url

    def store_url(self, machine: str) -> str:
        """See `Network`."""
        return self._store

    def command(self, machine: str) -> Sequence[str]:
        """See `Network`."""
        return ("ip", "netns", "exec", self._namespace(machine))

    def cut(self, machine: str) -> None:
        """See `Network`."""
        self._port(machine, *self._chance.choice((("down",), ("nomaster",))))

    def heal(self, machine: str) -> None:
        """See `Network`."""
        self._port(machine, "up", "master", "bridge")

    def close(self) -> None:
        """See `Network`; interfaces go with their namespaces."""
        for name in (*map(self._namespace, self._ports), self._prefix):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "delete", name)

    def _make(self) -> None:
        _ip("netns", "add", self._prefix)
        hub = ("-n", self._prefix)
        _ip(*hub, "link", "set", "lo", "up")
        _ip(*hub, "link", "add", "bridge", "type", "bridge")
        _ip(*hub, "address", "add", f"{_HUB_IP}/24", "dev", "bridge")
        _ip(*hub, "link", "set", "bridge", "up")
        for number, (machine, port) in enumerate(self._ports.items()):
            name = self._namespace(machine)
            _ip("netns", "add", name)
            peer = ("peer", "name", "eth0", "netns", name)
            _ip(*hub, "link", "add", port, "type", "veth", *peer)
            box = ("-n", name)
            _ip(*box, "link", "set", "lo", "up")
            _ip(*box, "address", "add", f"10.231.0.{number + 2}/24", "dev", "eth0")
            _ip(*box, "link", "set", "eth0", "up")
            self.heal(machine)

    def _port(self, machine: str, *words: str) -> None:
        _ip("-n", self._prefix, "link", "set", self._ports[machine], *words)

    def _namespace(self, machine: str) -> str:
        return f"{self._prefix}-{machine}"


def why_no_namespaces() -> str | None:
    """Why this machine cannot make network namespaces, or None."""
    missing = [name for name in ("ip", "setpriv") if shutil.which(name) is None]
    if missing:
        return f"there is no {' and no '.join(missing)} (Debian: iproute2 util-linux)"
    if os.geteuid() != 0:
        return "network namespaces: needs root"
    try:
        NamespaceNetwork(["probe"], random.Random(0)).close()
    except subprocess.CalledProcessError as error:
        return f"network namespaces cannot be made here: {error.stderr.strip()[:200]}"
    return None


def _prefix() -> str:
    return f"ecolite-{os.getpid()}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=20)
