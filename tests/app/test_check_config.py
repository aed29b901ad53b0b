"""`--check-config`: what would run, or what is wrong, and nothing opened."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from ecolite_stream.app import build, cli
from ecolite_stream.app.default_store import default_path
from ecolite_stream.app.entry import run
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import demo_bundle_path
from ecolite_stream.recording.sink import check_is_new
from ecolite_stream.sinks.kind import check_writable
from tests.config.test_includes import write
from tests.conftest import installed

Check = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """Runs `ecolite-stream --check-config`: exit code, lines of stdout, lines of stderr."""
    handlers = logging.root.handlers[:]
    monkeypatch.setattr(build, "watch", lambda config: pytest.fail("it ran"))

    def check(*args: object) -> tuple[int, list[str], list[str]]:
        with pytest.raises(SystemExit) as ended:
            run(cli.stream, ["--check-config", *map(str, args)])
        out, err = capsys.readouterr()
        return cast(int, ended.value.code), out.splitlines(), err.splitlines()

    yield check
    logging.root.handlers[:] = handlers


def test_a_line_for_each_stream_and_one_for_all(check: Check, tmp_path: Path) -> None:
    installed("openvino")
    pytest.importorskip("aiohttp", reason="the extra web is not installed")
    film, log = tmp_path / "film.mp4", tmp_path / "log.jsonl"
    film.write_bytes(b"not looked into")
    path = write(
        tmp_path,
        {
            "c.yaml": f"include: cameras/*.yaml\nsource: [{film}, pattern]\nengine: openvino\n"
            f"json_file: {{path: {log}}}\nwebhook: {{url: 'https://me:hush@host/hook'}}\n"
            "metrics: 9464\n".replace("9464", "'9464'")
            + "web: {address: 0.0.0.0:8080}",
            "cameras/door.yaml": "source: rtsp://me:hush@door/live",
            "cameras/gate.yaml": "source: [camera, 'rtsp://me:hush@door/live',\n"
            "  {name: gate, url: 'rtsp://me:hush@door/live'}, 'yard=camera:1']",
        },
    )
    code, out, err = check("--config", path)
    every = "a label every 0.5 s from 8 frames over 1.6 s, 5 frames/s encoded"
    assert (code, err) == (0, [])
    assert out == [
        f"{film}: a recording; {every}",
        f"pattern: a recording; {every}",
        f"rtsp://door/live: live, opened again when lost; {every}",
        f"camera: live, opened again when lost; {every}",
        f"rtsp://door/live#2: live, opened again when lost; {every}",
        f"gate (rtsp://door/live): live, opened again when lost; {every}",
        f"yard (camera:1): live, opened again when lost; {every}",
        f"all streams: bundle {demo_bundle_path()}, 11 labels; engine openvino; predictions to "
        f"stdout; all to {log}; events to https://host/hook; events to sqlite:///{default_path()}; "
        "metrics at 127.0.0.1:9464; "
        "page at 0.0.0.0:8080",
    ]
    assert not log.exists()


def test_masks_and_the_number_of_subjects_are_named(check: Check, tmp_path: Path) -> None:
    text = "{source: camera, views: [whole, {subjects: 3}], mask: [[0, 0, 0.5, 0.1]]}"
    (tmp_path / "c.yaml").write_text(text)
    code, out, _ = check("--config", str(tmp_path / "c.yaml"))
    assert code == 0
    assert "1 mask, where motion does not count; views whole, subjects (at most 3)" in out[0]


def test_a_period_a_little_longer_that_costs_less_is_advised(check: Check, tmp_path: Path) -> None:
    code, out, _ = check("--config", write(tmp_path, {"c.yaml": "source: pattern\nevery_s: 0.25"}))
    assert code == 0
    assert out[1].endswith("; every_s: 0.2 needs only 5 encoded frames/s per stream")


@pytest.mark.parametrize("more", ["every_s: 0.5", "every_s: 2", "memory: {policy: paper}"])
def test_what_costs_little_already_needs_no_advice(check: Check, tmp_path: Path, more: str) -> None:
    code, out, _ = check("--config", write(tmp_path, {"c.yaml": f"source: pattern\n{more}"}))
    assert code == 0
    assert "needs only" not in out[1]


def test_reused_activations_are_named_or_refused(check: Check, tmp_path: Path) -> None:
    installed("openvino")
    path = write(tmp_path, {"c.yaml": "source: pattern\nreuse: true\nengine: openvino"})
    code, out, _ = check("--config", path)
    assert code == 0
    assert "; engine openvino with activations reused; " in out[1]
    installed("onnxruntime")
    code, out, err = check("--config", path, "--engine", "onnxruntime")
    assert (code, out) == (5, [])
    assert err == [
        "error: engine onnxruntime cannot reuse activations; set reuse: false or engine: openvino"
    ]


def test_every_sink_is_named_and_none_is_opened(check: Check, tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt")
    path = write(
        tmp_path,
        {
            "c.yaml": f"source: pattern\nmqtt: {{url: 'mqtt://me:hush@broker'}}\n"
            f"clips: {{folder: {tmp_path}/a/clips}}\nvideo: {{path: {tmp_path}/v.mp4}}\n"
            f"record: {{folder: {tmp_path}/record}}"
        },
    )
    code, out, err = check("--config", path)
    assert (code, err) == (0, [])
    assert (
        f"predictions to stdout; events to mqtt://broker; clips to {tmp_path}/a/clips; "
        f"videos to {tmp_path}/v.mp4; events to sqlite:///{default_path()}; "
        f"a record to {tmp_path}/record"
    ) in out[1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.yaml"]


def test_a_folder_that_may_not_be_entered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(ConfigError, match=r"secret/log: cannot be written; choose another place"):
        check_writable(tmp_path / "secret" / "log")
    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(ConfigError, match=r"secret: Permission denied; record into another"):
        check_is_new(tmp_path / "secret")


@pytest.mark.parametrize("sink", ["clips: {folder: ", "video: {path: ", "record: {folder: "])
def test_a_place_that_cannot_be_written(check: Check, tmp_path: Path, sink: str) -> None:
    (tmp_path / "file").touch()
    path = write(tmp_path, {"c.yaml": f"source: pattern\n{sink}{tmp_path}/file/x}}"})
    code, _, (line,) = check("--config", path)
    assert code == 2 and "/file/x: cannot be written" in line


def test_what_must_be_new_is_looked_for(check: Check, tmp_path: Path) -> None:
    """A run would refuse it, and a service that ends so stays down."""
    (tmp_path / "v.mp4").touch()
    for args, words in (
        (["--video", tmp_path / "v.mp4"], "exists already"),
        (["--video", tmp_path / "w.mp4", "--source", "a=pattern"], "expected a folder for several"),
        (["--record", tmp_path], "is not empty; record into a new folder"),
    ):
        code, _, (line,) = check("--source", "pattern", *args)
        assert code == 2 and words in line


def test_the_page_could_be_served(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp", reason="the extra web is not installed")
    path = write(tmp_path, {"c.yaml": "source: pattern\nweb: {address: '8080', token: hush}"})
    code, _, (line,) = check("--config", path)
    assert code == 2 and "expected at least 16 letters" in line and "hush" not in line
    monkeypatch.setitem(sys.modules, "ecolite_stream.web.server", None)
    code, _, (line,) = check("--source", "pattern", "--web", "8080")
    assert code == 2 and "run pip install 'ecolite-stream[web]'" in line


def test_options_count_too(check: Check) -> None:
    args = ["--no-reconnect", "--memory", "paper", "--every", "1", "--events"]
    code, out, _ = check("--source", "rtsp://door/live", *args)
    assert code == 0
    assert "live, not opened again when lost; a label every 1 s from 8 frames (paper)" in out[0]
    assert "events to stdout" in out[1]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ([], 2, "no source; add --source camera, --source FILE or --source pattern, or name one"),
        (["--source", "a=pattern", "--source", "a=camera"], 2, "two streams are named 'a'"),
        (["--source", "a:hush=rtsp://b"], 2, "the name of a source has : in it"),
        (["--source", "gate=rtps://me:hush@door"], 2, "gate: rtps://door: unknown kind"),
        (["--source", "rtps://me:hush@door"], 2, "rtps://door: unknown kind of URL rtps://"),
        (["--source", "no.mp4", "--source", "camera:x"], 2, "no.mp4: no such file; check the"),
        (["--source", "no.mp4", "--source", "camera:x"], 2, "the camera is 'x'"),
        (["--source", "pattern:fps=0"], 2, "pattern: fps is 0"),
        (["--source", "pattern", "--metrics", "port"], 2, "address is 'port'"),
        (["--source", "pattern", "--web", "99999"], 2, "address is '99999'"),
        (["--source", "pattern", "--webhook", "me:hush@door"], 2, "webhook is "),
        (["--source", "pattern", "--json-file", "no/log"], 2, "no/log: cannot be written"),
        (["--source", "pattern", "--device", "abacus"], 2, "abacus"),
        (["--source", "pattern", "--bundle", "nowhere"], 4, "nowhere"),
        (["--config", "none.yaml"], 2, "none.yaml does not exist"),
    ],
)
def test_what_is_wrong_in_one_line(check: Check, args: list[str], code: int, words: str) -> None:
    ended, out, err = check(*args)
    assert (ended, out) == (code, [])
    (line,) = err
    assert line.startswith("error: ") and words in line
    assert "hush" not in line


def test_a_configuration_that_is_not_the_bundles(check: Check, tmp_path: Path) -> None:
    path = write(tmp_path, {"c.yaml": "source: pattern\nmemory: {num_segments: 5}"})
    code, _, (line,) = check("--config", path)
    assert code == 2
    assert "the bundle has 8 segments, memory.num_segments is 5" in line


def test_devices_that_decode(check: Check, tmp_path: Path) -> None:
    gate = "source: [{name: gate, url: 'rtsp://h/a', decode: vaapi}]"
    code, out, _ = check("--config", write(tmp_path, {"c.yaml": gate}))
    assert code == 0
    assert "decode vaapi" in out[0]
    wrong = {"c.yaml": gate.replace("vaapi", "gpu")}
    code, out, err = check("--config", write(tmp_path, wrong))
    assert (code, out) == (2, [])
    assert "source gate: decode is 'gpu'; expected none, auto, cuda, vaapi" in err[0]
