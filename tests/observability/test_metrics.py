"""What a run counts, and how others get to see it."""

from __future__ import annotations

import dataclasses
import re
import socket
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from ecolite_stream.app.build import stream_inputs
from ecolite_stream.config.address import parse_address
from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.observability.metrics import STAGES, Metrics
from ecolite_stream.observability.metrics_server import serve
from ecolite_stream.pipeline.delivery import SinkWorker
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import opened
from ecolite_stream.types import Event, Prediction, Sample
from ecolite_stream.version import __version__
from tests.fakes import ListSink, ListSource, NumberEngine, frames, spec_of
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(30)


def prediction(arrived_s: float | None = None) -> Prediction:
    return Prediction("door", 3, 1.0, "a", 0.9, (("a", 0.9),), 0.75, arrived_s=arrived_s)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9464", ("127.0.0.1", 9464)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("door-box:9464", ("door-box", 9464)),
        ("[::1]:9464", ("::1", 9464)),
        ("0", ("127.0.0.1", 0)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "door", "70000", ":1", "a:b", "::1:9464", "-1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected PORT or HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize("address", ["no.such.host.invalid:0", "192.0.2.1:0"])
def test_a_host_that_is_not_this_machine(address: str) -> None:
    with (
        pytest.raises(ConfigError, match=r"name a host or address of this machine"),
        serve(Metrics(), address),
    ):
        pass


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=rf"cannot be served at 127\.0\.0\.1:{port}: .*"),
            serve(Metrics(), str(port)),
        ):
            pass


def test_names_follow_the_conventions() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    for metric in registry.collect():
        assert metric.documentation
        if metric.name.startswith("process_"):  # named by prometheus_client
            continue
        assert re.fullmatch(r"ecolite_[a-z_]+", metric.name)
        if metric.type in ("histogram", "gauge"):
            assert metric.name.endswith(("_seconds", "_ratio", "_state"))


def test_the_age_of_the_newest_label_grows_until_the_next() -> None:
    now_s = [10.0]
    metrics = Metrics(clock=lambda: now_s[0])
    metrics.predicted(prediction(arrived_s=9.5))

    def age_s() -> float | None:
        return metrics.registry.get_sample_value(
            "ecolite_label_age_seconds", {"stream": "door", "view": ""}
        )

    assert age_s() == 0.5
    now_s[0] = 70.0
    assert age_s() == 60.5
    metrics.predicted(prediction(arrived_s=69.75))
    assert age_s() == 0.25


def test_process_figures_and_the_version() -> None:
    value = Metrics().registry.get_sample_value
    for name in ("resident_memory_bytes", "cpu_seconds_total", "open_fds", "start_time_seconds"):
        assert (value(f"process_{name}") or 0) > 0
    assert value("ecolite_build_info", {"version": __version__}) == 1


def test_switches_count_for_the_new_label_of_each_stream() -> None:
    metrics = Metrics()
    for stream, label in ["xa", "xa", "ya", "xb", "yb", "xa", "xb", "xb"]:
        metrics.predicted(dataclasses.replace(prediction(), stream=stream, label=label))

    def switches(stream: str, label: str) -> float | None:
        labels = {"stream": stream, "view": "", "label": label}
        return metrics.registry.get_sample_value("ecolite_label_switches_total", labels)

    assert switches("x", "a") == 1
    assert switches("x", "b") == 2
    assert switches("y", "a") is None
    assert switches("y", "b") == 1


def series(metrics: Metrics, *names: str) -> dict[tuple[str, str], float]:
    """Values by (name without `ecolite_`, view), over all labels of actions."""
    found: dict[tuple[str, str], float] = {}
    for metric in metrics.registry.collect():
        for sample in metric.samples:
            key = (sample.name.removeprefix("ecolite_"), sample.labels.get("view", "-"))
            if key[0] in names:
                found[key] = found.get(key, 0) + sample.value
    return found


def test_views_are_counted_each_and_subjects_together() -> None:
    metrics = Metrics(clock=lambda: 10.0)
    for number in range(1000):
        seen = dataclasses.replace(prediction(9.0), view=f"subject-{number}", known=number % 2 == 0)
        metrics.predicted(seen)
        metrics.abstained(seen)
        if number < 999:
            metrics.view_ended(seen.key)
    metrics.predicted(dataclasses.replace(prediction(8.0), view="till"))
    metrics.spared(Sample("door", 1, 1.0, None, None, False, view="till"))
    metrics.began(Event("id", "door", "a", 0.0, None, 0.9, 0.9, "start", view="subject-7"))
    names = ("predictions_total", "unknown_predictions_total", "abstentions_total")
    assert series(metrics, *names, "events_total", "frames_spared_total") == {
        ("predictions_total", "subjects"): 1000,
        ("predictions_total", "till"): 1,
        ("unknown_predictions_total", "subjects"): 500,
        ("abstentions_total", "subjects"): 1000,
        ("events_total", "subjects"): 1,
        ("frames_spared_total", "till"): 1,
    }
    ages = {("label_age_seconds", "subjects"): 1.0, ("label_age_seconds", "till"): 2.0}
    assert series(metrics, "label_age_seconds") == ages
    metrics.view_ended(("door", "subject-999"))
    metrics.view_ended(("door", "subject-1000"))  # it never had a prediction
    assert series(metrics, "label_age_seconds") == {("label_age_seconds", "till"): 2.0}
    assert series(metrics, "memory_fill_ratio") == {("memory_fill_ratio", "till"): 0.75}


def test_views_do_not_switch_each_others_labels() -> None:
    metrics = Metrics()
    for view, label in [("x", "a"), ("y", "b"), ("x", "a"), ("y", "b"), ("y", "a")]:
        metrics.predicted(dataclasses.replace(prediction(), view=view, label=label))
    assert series(metrics, "label_switches_total") == {("label_switches_total", "y"): 1}


@pytest.mark.parametrize(("enter", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_abstentions_are_predictions_that_no_event_could_begin_with(
    enter: float, share: float
) -> None:
    metrics = Metrics()
    config = StreamConfig(events=EventConfig(enter=enter, ignore=()))
    source = ListSource("door", frames(100, 25, "door"))
    Pipeline([opened(source)], NumberEngine, spec_of(), [ListSink()], config, metrics).run()

    def total(name: str) -> float:
        samples = (s for metric in metrics.registry.collect() for s in metric.samples)
        return sum(sample.value for sample in samples if sample.name == name)

    predictions = total("ecolite_predictions_total")
    assert predictions > 5
    assert total("ecolite_abstentions_total") == share * predictions


def test_every_stage_is_timed_as_often_as_it_happens(tmp_path: Path) -> None:
    metrics, sink = Metrics(), ListSink()
    film = write_numbered_video(tmp_path / "film.mp4", 100)
    Pipeline(stream_inputs([str(film)]), NumberEngine, spec_of(), [sink], None, metrics).run()
    value = metrics.registry.get_sample_value
    due = value("ecolite_frames_due_total", {"stream": str(film)})
    counts = {
        stage: value("ecolite_stage_seconds_count", {"stage": stage}) or 0 for stage in STAGES
    }
    assert due is not None and 5 < due < 100
    assert (counts["decode"], counts["preprocess"], counts["wait"]) == (100, due, due)
    assert counts["classify"] == len(sink.predictions)
    assert counts["encode"] - counts["classify"] in (0, 1)  # the last frames lead to no label
    delivered = value("ecolite_sink_delivery_seconds_count", {"sink": "ListSink"})
    assert delivered == len(sink.predictions)
    for stage in ("decode", "preprocess", "wait"):
        assert (value("ecolite_stage_seconds_sum", {"stage": stage}) or 0) > 0


def test_a_sample_waits_until_it_is_taken() -> None:
    metrics = Metrics(clock=lambda: 12.0)
    image = frames(1, 25)[0].image.astype("float32")
    waits = [Sample("s", 0, 0.0, None, image, True, ready_s=since) for since in (11.9, 9.0, None)]
    metrics.taken(waits)
    value = metrics.registry.get_sample_value
    assert value("ecolite_stage_seconds_count", {"stage": "wait"}) == 2
    assert value("ecolite_stage_seconds_sum", {"stage": "wait"}) == pytest.approx(3.1)


def test_delivery_counts_from_the_queue_and_all_tries() -> None:
    now_s, tries = [100.0], []

    def fail_once() -> None:
        now_s[0] += 1.0
        tries.append(now_s[0])
        if len(tries) == 1:
            raise OSError("away")

    metrics = Metrics()
    sink = ListSink(fail_once)
    worker = SinkWorker(sink, metrics, retry_after_s=(0.0,), clock=lambda: now_s[0])
    worker.send(prediction())
    worker.end()
    assert worker.join(10)
    value = metrics.registry.get_sample_value
    assert value("ecolite_sink_delivery_seconds_sum", {"sink": "ListSink"}) == 2.0


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


def watch_and(look: Callable[[], None]) -> None:
    """Watch a stream, and look while it is live."""
    looked = threading.Event()
    source = ListSource("door", frames(100, 25, "door"), at_end=lambda: looked.wait(20))
    metrics = Metrics()
    with serve(metrics, "0") as port:
        watching = Pipeline([opened(source)], NumberEngine, spec_of(), [ListSink()], None, metrics)
        thread = threading.Thread(target=watching.run)
        thread.start()
        try:
            ports.append(port)
            look()
        finally:
            looked.set()
            thread.join(20)
            assert not thread.is_alive()
            ports.append(port)


ports: list[int] = []


def test_a_live_run_can_be_scraped() -> None:
    found: dict[str, float] = {}

    def look() -> None:
        for _ in range(2000):
            found.update(scrape(ports[-1]))
            if found.get('ecolite_frames_read_total{stream="door"}') == 100:
                return

    watch_and(look)
    assert found['ecolite_frames_read_total{stream="door"}'] == 100
    assert found['ecolite_stream_state{ecolite_stream_state="live",stream="door"}'] == 1
    assert found['ecolite_frames_due_total{stream="door"}'] > 7
    assert 'ecolite_stage_seconds_count{stage="encode"}' in found
