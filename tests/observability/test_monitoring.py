"""What is in configs/monitoring, against what a run really counts and a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from ecolite_stream.observability.metrics import Metrics
from tests.conftest import ROOT, installed
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)

FOLDER = ROOT / "configs" / "monitoring"
ALERTS = FOLDER / "alerts.yml"
ENDINGS = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
}


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus)")
    return found


def panels() -> dict[str, list[str]]:
    """Queries of the dashboard by the title of their panel."""
    board = json.loads((FOLDER / "dashboard.json").read_text())
    return {panel["title"]: [t["expr"] for t in panel["targets"]] for panel in board["panels"]}


def alerts() -> dict[str, str]:
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return {rule["alert"]: rule["expr"] for rule in rules}


QUERIES = [query for queries in panels().values() for query in queries] + list(alerts().values())


def fleet_metrics() -> list[Metric]:
    pytest.importorskip("sqlalchemy")
    from ecolite_stream.fleet.metrics import FleetMetrics

    return list(FleetMetrics("shop", Never().read).describe())


class Never:
    """A store that nobody asks."""

    def read(self) -> Any:
        raise AssertionError("the store was asked")


def exposed() -> set[str]:
    """Every name that Prometheus gets to see."""
    names = {metric.name for metric in fleet_metrics()}
    for metric in Metrics().registry.collect():
        names |= {metric.name + ending for ending in ENDINGS.get(metric.type, ("",))}
    return names


def named(text: str) -> set[str]:
    """The metrics in a query; a selector in braces may repeat the name as that of a label."""
    return set(re.findall(r"\b(?:ecolite|process)_\w+", re.sub(r"\{.*?\}", "", text)))


@pytest.mark.parametrize("query", QUERIES)
def test_queries_ask_for_what_is_counted(query: str) -> None:
    assert named(query) or query == 'up{job="ecolite"} == 0'
    assert named(query) <= exposed()


def test_all_that_is_counted_is_on_the_dashboard() -> None:
    shown = {name for queries in panels().values() for query in queries for name in named(query)}
    for metric in Metrics().registry.collect():
        if metric.name.startswith("ecolite_"):
            assert {n for n in shown if n.startswith(metric.name)}, metric.name


def test_panels_have_places_of_their_own() -> None:
    board = json.loads((FOLDER / "dashboard.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


def test_every_alert_is_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    for alert in alerts():
        assert f"`{alert}`" in text


def test_every_metric_is_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    for metric in Metrics().registry.collect():
        if metric.name.startswith("ecolite_"):
            ending = {"counter": "_total", "info": "_info"}.get(metric.type, "")
            assert f"`{metric.name.removeprefix('ecolite_')}{ending}`" in text, metric.name


def test_every_metric_of_a_fleet_is_explained() -> None:
    text = (ROOT / "docs" / "fleet.md").read_text()
    for metric in fleet_metrics():
        assert f"`{metric.name.removeprefix('ecolite_fleet_')}`" in text, metric.name


def test_promtool_takes_the_configuration() -> None:
    check = [program("promtool"), "check", "config", FOLDER / "prometheus.yml"]
    result = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


STATE = 'ecolite_stream_state{{instance="i", stream="s", ecolite_stream_state="{}"}}'
CASES = [
    ("EcoliteDown", {'up{job="ecolite", instance="i"}': "1x5 0x10"}, "7m", "15m"),
    (
        "EcoliteRestarts",
        {'process_start_time_seconds{job="ecolite", instance="i"}': "1x30 2 3 4 5x60"},
        "30m",
        "40m",
    ),
    (
        "EcoliteStreamLost",
        {STATE.format("live"): "1x5 0x20", STATE.format("waiting"): "0x5 1x20"},
        "8m",
        "15m",
    ),
    ("EcoliteStreamFailed", {STATE.format("failed"): "0x5 1x9"}, "4m", "9m"),
    (
        "EcoliteStreamFlaps",
        {'ecolite_stream_reconnects_total{instance="i", stream="s"}': "0x30 0+1x30"},
        "30m",
        "60m",
    ),
    (
        "EcoliteLabelsOld",
        {
            'ecolite_label_age_seconds{instance="i", stream="s"}': "1x5 40+60x9",
            STATE.format("live"): "1x20",
        },
        "5m",
        "10m",
    ),
    (
        "EcoliteOverloaded",
        {
            'ecolite_frames_due_total{instance="i", stream="s"}': "0+60x60",
            'ecolite_frames_dropped_total{instance="i", stream="s"}': "0x20 0+30x40",
        },
        "20m",
        "50m",
    ),
    (
        "EcoliteSinkFails",
        {'ecolite_sink_failures_total{instance="i", sink="k"}': "0x10 0+1x40"},
        "10m",
        "40m",
    ),
    (
        "EcoliteCameraUnwatched",
        {
            'ecolite_fleet_stream_up{fleet="f", stream="s", machine="box-1"}': "1x5 stale",
            'ecolite_fleet_stream_up{fleet="f", stream="s"}': "_x5 0x20",
            'ecolite_fleet_stream_up{fleet="f", stream="lost", machine="box-1"}': "0x30",
        },
        "6m",
        "12m",
    ),
    (
        "EcoliteMachineLost",
        {'ecolite_fleet_machine_up{fleet="f", machine="box-1"}': "1x5 0x20"},
        "9m",
        "15m",
    ),
    ("EcoliteFleetStoreAway", {'ecolite_fleet_store_up{fleet="f"}': "1x5 0x20"}, "6m", "10m"),
    (
        "EcoliteFilesRunOut",
        {
            'process_open_fds{job="ecolite", instance="i"}': "50x10 900x20",
            'process_max_fds{job="ecolite", instance="i"}': "1024x30",
        },
        "10m",
        "25m",
    ),
    (
        "EcoliteMemoryGrows",
        {
            'process_resident_memory_bytes{job="ecolite", instance="i"}': "1e9+1e6x700",
            'process_start_time_seconds{job="ecolite", instance="i"}': "0x700",
        },
        "6h",
        "10h",
    ),
]


def test_there_is_a_case_for_every_alert() -> None:
    assert {case[0] for case in CASES} == set(alerts())


@pytest.mark.parametrize(
    ("alert", "series", "quiet", "loud"), CASES, ids=[case[0] for case in CASES]
)
def test_alerts_in_time(
    tmp_path: Path, alert: str, series: dict[str, str], quiet: str, loud: str
) -> None:
    """Quiet while all is well, and loud when it has not been for long enough."""
    firing = f"count(ALERTS{{alertname='{alert}', alertstate='firing'}}) or vector(0)"
    checks = [
        {
            "expr": firing,
            "eval_time": at,
            "exp_samples": [{"labels": "{}", "value": value}],
        }
        for at, value in ((quiet, 0), (loud, 1))
    ]
    content = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": s, "values": v} for s, v in series.items()],
                "promql_expr_test": checks,
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(content))
    result = subprocess.run(
        [program("promtool"), "test", "rules", path], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stdout + result.stderr


# A real Prometheus beside a live run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(*args: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [str(arg) for arg in args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


class Asked:
    """A Prometheus to be asked."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/{path}", timeout=10) as answer:
            content = json.load(answer)
        assert content["status"] == "success"
        return content["data"]

    def query(self, query: str) -> list[float]:
        result = self.get(f"query?query={urllib.parse.quote(query)}")["result"]
        return [float(sample["value"][1]) for sample in result]

    def wait_for(self, query: str) -> None:
        """Until it has an answer above zero."""

        def is_answered() -> bool:
            with suppress(urllib.error.URLError, ConnectionError):
                return any(value > 0 for value in self.query(query))
            return False

        try:
            eventually(is_answered)
        except AssertionError as error:
            raise AssertionError(f"no answer above zero to {query}: {error}") from error


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    prometheus, folder = program("prometheus"), tmp_path_factory.mktemp("prometheus")
    installed("openvino")
    metrics_port, port = free_port(), free_port()
    config = (FOLDER / "prometheus.yml").read_text()
    config = config.replace("9464", str(metrics_port)).replace("15s", "1s")
    (folder / "prometheus.yml").write_text(config.replace("alerts.yml", str(ALERTS)))
    source = ("--source", "pattern:fps=5,size=160x120", "--realtime", "--every", 1)
    server = (
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    run = (sys.executable, "-m", "ecolite_stream", *source, "--metrics", metrics_port)
    with running(*run), running(prometheus, *server):
        asked = Asked(port)
        asked.wait_for("rate(ecolite_predictions_total[10s])")
        yield asked


MAY_BE_EMPTY = (
    *("dropped", "failures", "events", "reconnects", "abstentions", "switches"),
    *("spared", "unknown", "not_followed"),
)


@pytest.mark.parametrize("title", panels())
def test_a_panel_of_a_live_run(asked: Asked, title: str) -> None:
    for query in panels()[title]:
        asking = re.sub(r"\$(instance|stream)\b", ".*", query).replace("$__rate_interval", "10s")
        answers = asked.query(asking)
        assert answers or any(word in query for word in MAY_BE_EMPTY), asking


def test_figures_of_a_live_run(asked: Asked) -> None:
    assert asked.query('up{job="ecolite"}') == [1]
    assert asked.query('ecolite_stream_state{ecolite_stream_state="live"}') == [1]
    (rate,) = asked.query("rate(ecolite_frames_read_total[10s])")
    assert 0 < rate < 10
    (age_s,) = asked.query("ecolite_label_age_seconds")
    assert 0 < age_s < 60


def test_the_rules_are_evaluated_and_all_is_well(asked: Asked) -> None:
    (group,) = asked.get("rules")["groups"]
    assert {rule["name"] for rule in group["rules"]} == set(alerts())
    assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
    assert [rule["name"] for rule in group["rules"] if rule["state"] == "firing"] == []
