"""Memory and start-up time that Ray adds to a machine."""

from __future__ import annotations

import sys

import pytest

from ecolite_stream.bench.speed import ray_node
from ecolite_stream.errors import ConfigError

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_node, "_SETTLE_S", 0.0)


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"needs ray.*pip install 'ecolite-stream\[fleet\]'"):
        ray_node.main.main(["1"], standalone_mode=False)


@pytest.mark.slow
def test_an_actor_takes_more_than_a_process(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    ray_node.main.main(["1"], standalone_mode=False)
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert rows.keys() == {"process", "head", "node", "actor"}
    memory_mb = {name: int(line.split(" MB")[0].split()[-1]) for name, line in rows.items()}
    assert 0 < memory_mb["process"] < memory_mb["actor"]
    assert all(not line.endswith(" 0 processes") for line in rows.values())
