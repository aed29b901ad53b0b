"""Network namespaces that can be cut from the store."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ecolite_stream.bench.robustness import fleet_chaos, fleet_network
from ecolite_stream.bench.robustness.fleet_network import NamespaceNetwork, why_no_namespaces
from ecolite_stream.errors import ConfigError
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(100)
SERVE = "import socket; s = socket.create_server((%r, 7)); print('ready', flush=True)\n"
SERVE += "while True: s.accept()[0].close()"
CONNECT = "import socket; socket.create_connection((%r, 7), timeout=1)"


@pytest.fixture
def network() -> Iterator[NamespaceNetwork]:
    if reason := why_no_namespaces():
        pytest.skip(reason)
    network = NamespaceNetwork(["box-0", "box-1"], random.Random(0))
    words = [*network.hub, sys.executable, "-c", SERVE % network.hub_ip]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield network
        server.kill()
    network.close()


def reaches(network: NamespaceNetwork, machine: str) -> bool:
    words = [*network.command(machine), sys.executable, "-c", CONNECT % network.hub_ip]
    return subprocess.run(words, capture_output=True, timeout=30).returncode == 0


def test_a_machine_that_is_cut_off_reaches_nothing_until_it_is_healed(
    network: NamespaceNetwork,
) -> None:
    eventually(lambda: reaches(network, "box-0"), 20)
    for _ in range(4):  # both kinds of cut
        network.cut("box-0")
        assert not reaches(network, "box-0")
        eventually(lambda: reaches(network, "box-1"), 20)
        network.heal("box-0")
        eventually(lambda: reaches(network, "box-0"), 20)  # links take a moment to come up


def test_nothing_is_left_of_it() -> None:
    if reason := why_no_namespaces():
        pytest.skip(reason)
    NamespaceNetwork(["box-0"], random.Random(0)).close()
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert f"{fleet_network._prefix()}-box-0" not in listed


def test_without_root_it_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_network.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(fleet_network.shutil, "which", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(fleet_chaos.rtsp, "why_not", lambda: None)
    words = ["--namespaces"]
    with pytest.raises(ConfigError, match="network namespaces: needs root"):
        fleet_chaos.main.main(words, standalone_mode=False)
    with pytest.raises(ConfigError, match="leave out --store"):
        fleet_chaos.main.main([*words, "--store", "postgresql://x"], standalone_mode=False)
