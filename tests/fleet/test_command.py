"""`ecolite-stream fleet`: what it refuses, in one line, before anything begins."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ecolite_stream.app.fleet_reload import FleetReloader
from ecolite_stream.app.fleet_run import PipelineStreams, read_fleet, run_machine
from ecolite_stream.app.versions import add_version, use_version
from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.config import load_fleet, make_fleet
from ecolite_stream.fleet.ledger import Holder, Ledger
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.store.database import Database
from tests.app.bundles import renamed
from tests.app.runs import Command, unused_port
from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(60)

SOURCES = [
    {"name": "gate", "url": "rtsp://me:hush@10.0.0.7/live"},
    {"name": "yard", "url": "rtsp://10.0.0.8/live", "every_s": 1.0},
]
BOXES: dict[str, Any] = {
    "box-1": {"capacity": 2, "site": "north"},
    "box-2": {"capacity": 1, "devices": ["cpu", "ascend"]},
}


def write(folder: Path, stream: dict[str, Any] | None = None, **fleet: Any) -> Path:
    store = {"url": f"sqlite:///{folder}/events.db"}
    (folder / "stream.yaml").write_text(
        json.dumps({"source": SOURCES, "store": store, "engine": "openvino", **(stream or {})})
    )
    path = folder / "fleet.yaml"
    path.write_text(
        json.dumps({"name": "shop", "config": "stream.yaml", "machines": BOXES, **fleet})
    )
    return path


@pytest.mark.parametrize(
    ("stream", "fleet", "message"),
    [
        ({}, {"machines": {}}, "machines: none is named"),
        ({}, {"machines": {"box-1": {"capacity": 0}}}, "capacity is 0"),
        ({}, {"name": "a/b"}, "name"),
        ({}, {"lease_s": 3}, "lease_s is 3; expected at least margin_s"),
        ({}, {"cameras": {"gate": {"on": ["box-3"]}}}, "'gate': there is no machine 'box-3'"),
        ({}, {"cameras": {"gate": {"sites": ["south"]}}}, "no machine has site 'south'"),
        ({}, {"cameras": {"gate": {"device": "gpu"}}}, "'gate': no machine may watch it"),
        (
            {},
            {"cameras": {"gate": {"on": ["box-2"], "sites": ["north"]}}},
            "'gate': no machine may watch it; change on, sites",
        ),
        ({}, {"cameras": {"door": {}}}, "no source named 'door'"),
        ({}, {"cameras": {"gate": {"load": -1}}}, "load is -1"),
        ({}, {"mashines": {}}, "unknown key 'mashines'; did you mean 'machines'"),
        ({}, {"config": "other.yaml"}, "other.yaml does not exist"),
        ({"store": {}}, {}, "set store.url; the fleet keeps its leases there"),
        ({"source": []}, {}, "no source; name the cameras"),
        ({"source": ["rtsp://me:hush@10.0.0.7/live"]}, {}, "rtsp://10.0.0.7/live has no name"),
        ({"source": [{"name": "film", "url": "film.mp4"}]}, {}, "film is a recording"),
        ({"record": {"folder": "run"}}, {}, "record"),
    ],
)
def test_what_is_refused(
    ecolite: Command,
    tmp_path: Path,
    stream: dict[str, Any],
    fleet: dict[str, Any],
    message: str,
) -> None:
    path = write(tmp_path, stream, **fleet)
    before = sorted(tmp_path.iterdir())
    for options in (["--check-config"], ["--machine", "box-1"]):
        run = ecolite("fleet", "--config", path, *options)
        assert run.exit_code == 2
        assert re.search(message, run.error), run.error
        assert "hush" not in run.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_machine_that_is_not_in_the_fleet(ecolite: Command, tmp_path: Path) -> None:
    run = ecolite("fleet", "--config", write(tmp_path), "--machine", "box-7")
    assert (run.exit_code, run.error) == (
        2,
        "fleet 'shop' has no machine 'box-7'; use --machine with one of box-1, box-2, or name it "
        "under machines",
    )
    assert not (tmp_path / "events.db").exists()


def test_a_store_that_does_not_answer(ecolite: Command, tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://me:hush@127.0.0.1:{unused_port()}/none"
    path = write(tmp_path, {"store": {"url": url}, "json_file": {"path": str(tmp_path / "lines")}})
    run = ecolite("fleet", "--config", path, "--machine", "box-1")
    assert run.exit_code == 2 and "127.0.0.1" in run.error and "hush" not in run.error
    assert not (tmp_path / "lines").exists()


def test_an_address_without_the_extra_and_one_that_does_not_answer(
    ecolite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecolite_stream.app import extras

    path = write(tmp_path)
    address = f"ray://127.0.0.1:{unused_port()}"
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    run = ecolite("fleet", "--config", path, "--address", address)
    assert (run.exit_code, run.error) == (
        2,
        "fleet --address needs ray, which is not installed; "
        "run pip install 'ecolite-stream[fleet]'",
    )
    monkeypatch.setattr(extras, "find_spec", lambda name: True)
    run = ecolite("fleet", "--config", path, "--address", address)
    assert run.exit_code == 2 and "does not answer" in run.error
    run = ecolite("fleet", "--config", path, "--address", "ray://8.8.8.8:10001")
    assert run.exit_code == 2 and "not on a private network" in run.error
    assert not (tmp_path / "events.db").exists()


def test_the_configuration_in_the_instructions_loads(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "fleet.md").read_text()
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in blocks] == ["fleet.yaml", "stream.yaml"]
    for name, block in blocks:
        (tmp_path / name).write_text(block)
    fleet = load_fleet(tmp_path / "fleet.yaml")
    cameras = make_fleet(fleet, dict.fromkeys(fleet.cameras, "")).cameras
    needs = {camera.name: camera.needs for camera in cameras}
    assert needs["vault"].on == ("box-3",) and needs["gate"].sites == ("north",)


def test_a_configuration_is_described(ecolite: Command, tmp_path: Path) -> None:
    cameras = {"gate": {"on": ["box-1"], "load": 5}, "yard": {"device": "ascend"}}
    run = ecolite("fleet", "--config", write(tmp_path, cameras=cameras), "--check-config")
    assert run.exit_code == 0, run.err
    lines = run.out.splitlines()
    assert lines[:3] == [
        "fleet shop: 2 machines with room for 3; 2 cameras with a load of 6; leases of 8 s; "
        "too little room: rates fall to 50% or less",
        "gate: only on box-1",
        "yard: only with ascend",
    ]
    assert "hush" not in run.out
    assert not (tmp_path / "events.db").exists()


def test_the_status_of_a_fleet(ecolite: Command, tmp_path: Path) -> None:
    path = write(tmp_path)
    run = ecolite("fleet", "status", "--config", path)
    assert run.exit_code == 2 and "does not exist" in run.error
    fleet, _ = read_fleet(path)
    database = Database(f"sqlite:///{tmp_path}/events.db", create=True)
    with Ledger(database, "shop").begin() as table:
        for kind, name in (("machine", "box-1"), ("camera", "gate")):
            assert table.acquire(kind, name, Holder("box-1", "p"), 60_000)
    database.close()
    run = ecolite("fleet", "status", "--config", path)
    assert run.exit_code == 0
    _, first, second, last = run.out.splitlines()
    assert first.split()[:5] == ["box-1", "up", "1", "2", "100%"]
    assert second.split()[:3] == ["box-2", "never", "seen"]
    assert last == "not watched: yard"
    facts = json.loads(ecolite("fleet", "status", "--config", path, "--json").out)
    assert facts["not_watched"] == ["yard"]
    assert [one["cameras"] for one in facts["machines"]] == [1, 0]
    assert len(fleet.cameras) == 2


def test_an_apply_without_a_fleet(ecolite: Command, tmp_path: Path) -> None:
    assert ecolite("fleet", "apply").exit_code == 2
    path = write(tmp_path)
    run = ecolite("fleet", "apply", "--config", path)
    assert run.exit_code == 2 and "does not exist" in run.error
    Database(f"sqlite:///{tmp_path}/events.db", create=True).prepare()
    run = ecolite("fleet", "apply", "--config", path)
    assert (run.exit_code, run.error) == (
        2,
        "fleet 'shop' has not run in this store with this version of ecolite-stream; start it "
        "with ecolite-stream fleet",
    )


def test_the_digest_is_that_of_the_definition_without_passwords(tmp_path: Path) -> None:
    first = read_fleet(write(tmp_path))[0].digest
    other = [{**SOURCES[0], "url": "rtsp://me:changed@10.0.0.7/live"}, SOURCES[1]]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert read_fleet(write(elsewhere, {"source": other}))[0].digest == first
    assert read_fleet(write(tmp_path, lease_s=9))[0].digest != first
    assert read_fleet(write(tmp_path, {"source": SOURCES[:1]}))[0].digest != first


def test_a_share_of_the_rate_makes_the_period_longer(tmp_path: Path) -> None:
    class Pipeline:
        streams: dict[str, Any] = {}  # noqa: RUF012

        def add(self, stream: Any) -> None:
            self.streams[stream.name] = stream.settings.every_s

    _, config = read_fleet(write(tmp_path))
    pipeline, streams = Pipeline(), PipelineStreams(config)
    streams.attach(pipeline, lambda stream: stream)  # type: ignore[arg-type]
    streams.add("gate", 0.5)
    streams.add("yard", 0.8)
    assert streams.names() == {"gate": 1.0, "yard": 1.25}


def test_changed_settings_of_streams_are_applied_and_other_changes_are_not(
    tmp_path: Path,
) -> None:
    fleet, config = read_fleet(path := write(tmp_path))
    done: list[Any] = []
    bundle = read_bundle(demo_bundle_path())
    reloader = FleetReloader(
        *(fleet, "box-1", config, lambda: read_fleet(path), lambda: bundle.spec),
        *(lambda config: done.append(config.every_s), done.append),
    )
    assert reloader.reload() == "nothing changed"
    assert done == [config.every_s, []]
    done.clear()
    write(tmp_path, {"every_s": 2.0, "json_file": {"path": "lines.jsonl"}})
    assert reloader.reload() == "changed gate; restart to apply json_file"  # yard has its own
    assert done == [2.0, ["gate"]]
    done.clear()
    password = [{**SOURCES[0], "url": "rtsp://me:changed@10.0.0.7/live"}, SOURCES[1]]
    write(tmp_path, {"every_s": 2.0, "source": password})
    assert reloader.reload().startswith("changed gate")
    done.clear()
    for stream, more, message in (
        (
            {"source": SOURCES[:1]},
            {},
            "change them on all machines with ecolite-stream fleet apply",
        ),
        ({}, {"lease_s": 9}, "change them on all machines with ecolite-stream fleet apply"),
        ({"every_s": -1}, {}, "every_s"),
        ({"memory": {"num_segments": 99}}, {}, "num_segments"),
    ):
        write(tmp_path, stream, **more)
        with pytest.raises(ConfigError, match=message):
            reloader.reload()
    assert done == []


def test_a_machine_uses_the_current_version_and_chooses_the_precision(tmp_path: Path) -> None:
    bundle, models = renamed(tmp_path / "mine"), tmp_path / "models"
    add_version(bundle.path, models)
    use_version(bundle.digest, models)
    settings = {
        "models": str(models),
        "precision": "auto",
        "json_file": {"path": str(tmp_path / "lines.jsonl")},
    }
    fleet, config = read_fleet(write(tmp_path, settings))
    opened: list[Any] = []

    class EnoughError(Exception):
        pass

    def open_and_stop(pipeline: Pipeline) -> None:
        opened.append(pipeline._models.by_number[0].digest)
        pipeline._engine_thread._open_engine().close()
        raise EnoughError

    with pytest.raises(EnoughError):
        run_machine(fleet, config, "box-1", on_start=open_and_stop)
    assert opened == [bundle.digest]
