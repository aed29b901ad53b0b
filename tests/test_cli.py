"""`ecolite-stream` as people run it: what is on stdout, on stderr, and the exit code."""

from __future__ import annotations

import json
import logging
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from ecolite_stream import cli
from ecolite_stream.bundle import FILES, Bundle
from ecolite_stream.commands import run
from ecolite_stream.config import MemoryConfig, StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.errors import EngineError
from ecolite_stream.sources.camera import CAMERA_SYSTEMS, CameraSystem
from ecolite_stream.types import FloatArray
from tests.conftest import ROOT, installed
from tests.fakes import DrawnNumberEngine
from tests.test_sinks import KEYS
from tests.videos import packet_places, write_numbered_video

pytestmark = pytest.mark.timeout(60)


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    exit_code: int
    out: str
    err: str

    @property
    def predictions(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        """The only line on stderr, which is an error."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")


Command = Callable[..., Result]


@pytest.fixture
def ecolite(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs `ecolite-stream` in this process, with the small bundle if none is given."""
    handlers = logging.root.handlers[:]

    def ecolite(*args: object) -> Result:
        words = [str(arg) for arg in args]
        if "--bundle" not in words:
            words += ["--bundle", str(bundle.path)]
        with pytest.raises(SystemExit) as ended:
            run(cli.stream, words)
        return Result(ended.value.code, *capsys.readouterr())  # type: ignore[arg-type]

    yield ecolite
    logging.root.handlers[:] = handlers


def use(monkeypatch: pytest.MonkeyPatch, make: Callable[[Bundle], Engine]) -> None:
    """Put another engine in the place of the bundle's."""
    monkeypatch.setattr(cli, "open_engine", lambda name, bundle, device, precision: make(bundle))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_numbered_video(tmp_path / "film.mp4", 75)


# What comes out


def test_labels_as_text(ecolite: Command, film: Path) -> None:
    result = ecolite("--source", film)
    assert (result.exit_code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) == 5
    for line in lines:
        assert re.fullmatch(
            r" +\d+\.\d\d s  (bend|idle|jump|walk|wave) +\d+% #+ +( \| \w+ \d+%){2}", line
        )


def test_states_are_logged_where_they_are_asked_for(ecolite: Command, film: Path) -> None:
    said = ecolite("--source", f"gate={film}", "--verbose").err
    assert said.splitlines() == [
        f"info: gate: {state}" for state in ("connecting", "live", "ended")
    ]
    logging.getLogger("ecolite_stream").setLevel(logging.NOTSET)
    assert ecolite("--source", f"gate={film}").err == ""


def test_labels_as_json_lines(ecolite: Command, film: Path, bundle: Bundle) -> None:
    result = ecolite("--source", film, "--json")
    assert (result.exit_code, result.err) == (0, "")
    assert [p["frame"] for p in result.predictions] == [12, 25, 37, 50, 62]
    for prediction in result.predictions:
        assert list(prediction) == KEYS
        assert prediction["stream"] == str(film)
        assert prediction["time_s"] == prediction["frame"] / 25
        assert [prediction["label"], prediction["score"]] == prediction["top"][0]
        assert {label for label, _ in prediction["top"]} == set(bundle.spec.labels)
        assert 0 <= prediction["memory_fill"] <= 1
        assert prediction["latency_ms"] > 0


def test_events(ecolite: Command, film: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("events: {enter: 0, leave: 0, min_fill: 0, ignore: []}")
    result = ecolite("--source", film, "--config", path, "--events")
    assert (result.exit_code, result.err) == (0, "")
    assert re.fullmatch(
        r"    0\.5 s  (\w+) began\n    2\.5 s  \1 ended after 2\.0 s, peak \d+%\n", result.out
    )
    lines = ecolite("--source", film, "--config", path, "--events", "--json").predictions
    assert [(line["event"], line["kind"]) for line in lines] == [
        (f"{film}@0.480", "start"),
        (f"{film}@0.480", "end"),
    ]


def test_files_and_web_servers_get_events_too(ecolite: Command, film: Path, tmp_path: Path) -> None:
    """A web server that is down does not end the run."""
    path, lines = tmp_path / "c.yaml", tmp_path / "out.jsonl"
    path.write_text("events: {enter: 0, leave: 0, min_s: 0.5, min_fill: 0, ignore: []}")
    url = f"http://127.0.0.1:{unused_port()}/hook"
    result = ecolite(
        "--source", film, "--config", path, "--json", "--json-file", lines, "--webhook", url
    )
    assert result.exit_code == 0
    assert all(list(line) == KEYS for line in result.predictions)
    assert f"warning: WebhookSink failed: {url}: Connection refused" in result.err
    kinds = [json.loads(line).get("kind") for line in lines.read_text().splitlines()]
    assert kinds == [None, None, "start", None, None, None, "end"]


def test_a_run_can_be_repeated(ecolite: Command, film: Path) -> None:
    def lines() -> list[dict[str, Any]]:
        return [{**p, "latency_ms": None} for p in ecolite("--source", film, "--json").predictions]

    assert lines() == lines()


def test_options_and_configuration_files(ecolite: Command, film: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"source: {film}\nevery_s: 1\njson: true\ntop: 2\nmemory: {{policy: paper}}")
    assert [p["frame"] for p in ecolite("--config", path).predictions] == [12, 37, 62]
    result = ecolite("--config", path, "--every", 0.2, "--top", 1)
    assert [p["frame"] for p in result.predictions] == [5, *range(10, 75, 5)]
    assert all(len(p["top"]) == 1 for p in result.predictions)


def test_options_win_over_the_configuration() -> None:
    config = StreamConfig(memory=MemoryConfig("paper", gap_s=2), every_s=2, top=3)
    options = {"source": ("a",), "memory": "window", "span": 3.0, "every": 1.0, "smoothing": 0.0}
    options |= {"bundle": None, "engine": None, "top": None, "realtime": None, "json": True}
    memory = MemoryConfig("window", span_s=3.0, gap_s=2)
    assert cli.merge(config, options) == StreamConfig(
        source=("a",), memory=memory, every_s=1.0, smoothing=0.0, top=3, json=True
    )
    assert cli.merge(config, dict.fromkeys(options)) == config


@pytest.mark.parametrize("policy", ["window", "paper", "pyramid"])
@pytest.mark.parametrize("engine", ["mindspore", "openvino"])
def test_every_engine_and_policy(ecolite: Command, policy: str, engine: str) -> None:
    result = ecolite(
        "--source", "pattern:seconds=1.1", "--memory", policy, "--engine", installed(engine)
    )
    assert (result.exit_code, result.err) == (0, "")
    assert len(result.out.splitlines()) == 2


def test_help_and_version(ecolite: Command) -> None:
    assert "Exit codes: 0 done" in ecolite("--help").out
    assert re.search(r", version \d+\.\d+\.\d+$", ecolite("--version").out)


# Exit codes


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "no source; try --source camera"),
        (["--source", "pattern", "--every", "0"], "every_s is 0.0; expected at least 0.01"),
        (["--source", "pattern", "--every", "nan"], "every_s is nan"),
        (["--source", "pattern", "--span", "-1"], "span_s is -1.0"),
        (["--source", "pattern", "--smoothing", "1"], "smoothing is 1.0"),
        (["--source", "pattern", "--top", "0"], "top is 0"),
        (["--source", "pattern", "--webhook", "host"], "webhook is 'host'; expected a URL"),
        (["--source", "pattern", "--mqtt", "host"], "mqtt is 'host'; expected a URL"),
        (["--source", "pattern", "--json-file", "no/a"], "no/a: cannot be written"),
        (["--config", "none.yaml"], "configuration file none.yaml does not exist"),
    ],
)
def test_usage_and_configuration_end_with_2(ecolite: Command, args: list[str], words: str) -> None:
    result = ecolite(*args)
    assert result.exit_code == 2
    assert words in result.error


@pytest.mark.parametrize("args", [["--engine", "tpu"], ["--every", "fast"], ["--nonsense"], ["x"]])
def test_clicks_own_errors_end_with_2(ecolite: Command, args: list[str]) -> None:
    result = ecolite(*args)
    assert (result.exit_code, result.out) == (2, "")
    assert "Usage: " in result.err


def test_segments_that_are_not_the_bundles_end_with_2(ecolite: Command, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("memory: {num_segments: 16}")
    result = ecolite("--config", path, "--source", "pattern:seconds=1")
    assert result.exit_code == 2
    assert "bundle has 4 segments, the configuration says 16; edit memory.num" in result.error


def flip(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 4
    (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        *[
            (lambda folder, name=name: flip(folder, name), f"{name} is damaged: SHA-256 is")
            for name in FILES
        ],
        (lambda folder: flip(folder, "bundle.json"), "again"),
        (lambda folder: (folder / "head.mindir").unlink(), "head.mindir is missing"),
        (lambda folder: (folder / "bundle.json").unlink(), "is not a bundle"),
        (lambda folder: (folder / "bundle.json").write_text("{"), "bundle.json cannot be read"),
        (
            lambda folder: (folder / "bundle.json").write_text('{"schema_version": 99}'),
            "schema version is 99, this program reads",
        ),
        (shutil.rmtree, "is not a bundle"),
    ],
)
def test_a_bad_bundle_ends_with_4(
    ecolite: Command,
    bundle: Bundle,
    tmp_path: Path,
    damage: Callable[[Path], object],
    words: str,
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bundle.path, folder)
    damage(folder)
    result = ecolite("--source", "pattern:seconds=1", "--bundle", folder)
    assert result.exit_code == 4
    assert words in result.error


def test_a_missing_engine_ends_with_5(ecolite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    result = ecolite("--source", "pattern:seconds=1", "--engine", "openvino")
    assert result.exit_code == 5
    assert result.error == (
        "engine openvino is not installed; run pip install 'ecolite-stream[openvino]'"
    )


class Exhausted(DrawnNumberEngine):
    """Fails in the middle of a video, with an error of many lines."""

    def encode(self, images: FloatArray) -> FloatArray:
        if len(self.numbers) >= 6:
            raise EngineError("engine x failed:\n  out of memory\n")
        return super().encode(images)


def test_an_engine_that_fails_in_the_middle_ends_with_5(
    ecolite: Command, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, lambda bundle: Exhausted(bundle.spec))
    result = ecolite("--source", film, "--json")
    assert result.exit_code == 5
    assert result.err == "error: engine x failed: out of memory\n"
    assert len(result.predictions) == 2


def test_an_interruption_ends_with_130(ecolite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(bundle: Bundle) -> Engine:
        raise KeyboardInterrupt

    use(monkeypatch, interrupt)
    result = ecolite("--source", "pattern")
    assert (result.exit_code, result.out, result.err) == (130, "", "")


def test_click_groups_and_functions_that_return(capsys: pytest.CaptureFixture[str]) -> None:
    @click.group()
    def group() -> None:
        pass

    @group.command()
    def one() -> str:
        click.echo("done")
        return "nothing"

    with pytest.raises(SystemExit) as ended:
        run(group, ["one"])
    assert (ended.value.code, capsys.readouterr().out) == (0, "done\n")


# Videos of all kinds


def silent(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16_000))


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("none.mp4", lambda path: None, "no such file"),
        ("text.avi", lambda path: path.write_text("hello\n" * 100), "holds no video"),
        ("empty.mp4", lambda path: path.touch(), "the file is empty (0 bytes)"),
        ("sound.wav", silent, "holds sound but no video"),
        ("folder", lambda path: path.mkdir(), "is a directory"),
    ],
)
def test_what_is_no_video_ends_with_3(
    ecolite: Command, tmp_path: Path, name: str, make: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / name
    make(path)
    result = ecolite("--source", path)
    assert result.exit_code == 3
    assert result.error.startswith(f"{path}: ")
    assert words in result.error


def test_a_video_cut_off_in_the_middle(ecolite: Command, tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "film.avi", 250)
    size = int(path.stat().st_size * 0.6)
    whole = sum(start + length <= size for start, length in packet_places(path))
    path.write_bytes(path.read_bytes()[:size])
    result = ecolite("--source", path, "--json")
    assert result.exit_code == 0
    assert 0 < whole - result.predictions[-1]["frame"] < 14
    (line,) = result.err.splitlines()
    assert re.fullmatch(
        rf"warning: {path} ended at \d\.\d s of 10\.0 s: the file seems cut off", line
    )


def test_a_resolution_that_changes(ecolite: Command, tmp_path: Path) -> None:
    path = tmp_path / "film.ts"
    with path.open("wb") as file:
        for index, size in enumerate([(160, 120), (96, 64)]):
            part = tmp_path / f"{index}.ts"
            write_numbered_video(part, 25, size, codec="libx264", first=25 * index)
            file.write(part.read_bytes())
    result = ecolite("--source", path, "--json")
    assert result.exit_code == 0
    assert [p["frame"] for p in result.predictions] == [12, 25, 37]
    assert "Traceback" not in result.err


def test_a_variable_frame_rate(ecolite: Command, tmp_path: Path) -> None:
    """Labels come by time, not by frames."""
    times_s = [*(i / 50 for i in range(100)), *(2 + i / 5 for i in range(10))]
    path = write_numbered_video(tmp_path / "film.mkv", len(times_s), times_s=times_s)
    result = ecolite("--source", path, "--json", "--every", 1)
    assert (result.exit_code, result.err) == (0, "")
    found = [p["time_s"] for p in result.predictions]
    assert found == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.11)


def phone(path: Path) -> Path:
    """A video whose display matrix asks for a quarter turn."""
    write_numbered_video(path, 30, (160, 96))
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    for offset, value in ((0, 0), (4, 1), (12, -1), (16, 0)):
        struct.pack_into(">i", data, matrix + offset, value << 16)
    path.write_bytes(data)
    return path


def test_a_rotated_phone_video(
    ecolite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network sees it upright: the number is read after turning it back."""

    class Turned(DrawnNumberEngine):
        def encode(self, images: FloatArray) -> FloatArray:
            return super().encode(np.rot90(images, axes=(2, 3)))  # counterclockwise

    engines: list[Turned] = []

    def make(bundle: Bundle) -> Turned:
        engines.append(Turned(bundle.spec))
        return engines[-1]

    use(monkeypatch, make)
    result = ecolite("--source", phone(tmp_path / "phone.mp4"), "--json")
    assert (result.exit_code, result.err) == (0, "")
    assert [p["frame"] for p in result.predictions] == [12, 25]
    assert {12, 25} <= set(engines[0].numbers)


@pytest.mark.parametrize(
    ("pixel_format", "size"), [("gray", (160, 120)), ("gray", (51, 37)), ("yuv444p", (161, 1))]
)
def test_grey_and_odd_sizes(
    ecolite: Command, tmp_path: Path, pixel_format: str, size: tuple[int, int]
) -> None:
    path = write_numbered_video(
        tmp_path / "film.mkv", 30, size, codec="ffv1", pixel_format=pixel_format
    )
    result = ecolite("--source", path, "--json")
    assert (result.exit_code, result.err) == (0, "")
    assert len(result.predictions) == 2


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_a_very_short_video_gets_one_label(
    ecolite: Command, tmp_path: Path, num_frames: int
) -> None:
    path = write_numbered_video(tmp_path / "film.mp4", num_frames, codec="libx264")
    result = ecolite("--source", path, "--json")
    assert (result.exit_code, result.err) == (0, "")
    (only,) = result.predictions
    assert only["frame"] == num_frames - 1


def test_a_name_that_is_no_text(ecolite: Command, film: Path, tmp_path: Path) -> None:
    """File names are bytes."""
    path = tmp_path / "caf\udce9 %s.mp4"
    film.rename(path)
    for args in ([], ["--json"]):
        result = ecolite("--source", path, "--source", path, *args)
        assert (result.exit_code, result.err) == (0, "")
        assert len(result.out.splitlines()) == 10


# Files lose nothing, live sources drop


class Slow:
    """Engines that take `seconds` a frame; they are kept."""

    def __init__(self, seconds: float) -> None:
        self.made: list[DrawnNumberEngine] = []
        self._seconds = seconds

    def __call__(self, bundle: Bundle) -> DrawnNumberEngine:
        engine = DrawnNumberEngine(bundle.spec, lambda: time.sleep(self._seconds))
        self.made.append(engine)
        return engine


def test_a_file_loses_no_frame_to_a_slow_engine(
    ecolite: Command, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(0.005)
    use(monkeypatch, slow)
    result = ecolite("--source", film, "--every", 0.04)
    assert (result.exit_code, result.err) == (0, "")
    assert slow.made[0].numbers == list(range(75))


def virtual_camera(monkeypatch: pytest.MonkeyPatch, rate: int, seconds: float) -> None:
    """FFmpeg's test picture at the pace of a camera; the shift tells cameras apart."""
    location = f"testsrc=size=64x48:rate={rate}:duration={seconds},realtime,setpts=PTS+{{}}"
    system = CameraSystem("lavfi", location.format)
    monkeypatch.setitem(CAMERA_SYSTEMS, sys.platform, system)  # type: ignore[misc]


def test_a_camera(ecolite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    virtual_camera(monkeypatch, 25, 1.2)
    result = ecolite("--source", "camera:1", "--json", "--no-reconnect")
    assert result.exit_code == 0
    assert {p["stream"] for p in result.predictions} == {"camera:1"}
    times_s = [p["time_s"] for p in result.predictions]
    assert 0 < times_s[0] <= 1
    assert times_s == sorted(times_s)


def test_a_camera_drops_what_a_slow_engine_cannot_take(
    ecolite: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blank(DrawnNumberEngine):
        def encode(self, images: FloatArray) -> FloatArray:
            time.sleep(0.15)
            self.numbers += range(len(images))
            return np.zeros((len(images), *self._spec.feature_shape), np.float32)

    engines: list[Blank] = []

    def make(bundle: Bundle) -> Blank:
        engines.append(Blank(bundle.spec))
        return engines[-1]

    use(monkeypatch, make)
    virtual_camera(monkeypatch, 50, 1)
    result = ecolite("--source", "camera", "--json", "--every", 0.01, "--no-reconnect")
    assert result.exit_code == 0
    *_, line = result.err.splitlines()
    said = re.fullmatch(r"warning: camera: (\d+) due frames were dropped to keep up", line)
    assert said is not None
    assert int(said[1]) + len(engines[0].numbers) == 50
    assert result.predictions[-1]["frame"] == 49


def unused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def test_a_stream_that_is_refused_ends_with_3_where_it_is_not_waited_for(
    ecolite: Command,
) -> None:
    result = ecolite("--source", f"tcp://127.0.0.1:{unused_port()}", "--no-reconnect")
    assert result.exit_code == 3
    assert "connection refused; check host and port" in result.error


@pytest.mark.parametrize("spec", ["gopher://host/a", "camera:first"])
def test_what_can_never_be_opened_ends_with_3_at_once(ecolite: Command, spec: str) -> None:
    result = ecolite("--source", spec)
    assert result.exit_code == 3
    assert spec.partition(":")[0] in result.error


def test_a_stream_that_is_refused_is_waited_for(bundle: Bundle) -> None:
    """Which is the default."""
    name = f"tcp://127.0.0.1:{unused_port()}"
    with start(bundle, "--source", name) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert re.fullmatch(
        rf"warning: {name}: lost \(connection refused\); trying again in [\d.]+ s\n", line
    )
    assert (process.returncode, out, err) == (130, "", "")


# Several sources


def test_two_files_are_as_each_alone(ecolite: Command, film: Path, tmp_path: Path) -> None:
    other = write_numbered_video(tmp_path / "other.avi", 60, fps=10, first=500)

    def facts(result: Result, stream: Path) -> list[tuple[Any, ...]]:
        assert (result.exit_code, result.err) == (0, "")
        return [(p["frame"], p["top"]) for p in result.predictions if p["stream"] == str(stream)]

    both = ecolite("--source", film, "--source", other, "--json")
    for path in (film, other):
        alone = facts(ecolite("--source", path, "--json"), path)
        assert len(alone) >= 5
        assert facts(both, path) == alone


def test_the_same_file_twice(ecolite: Command, film: Path) -> None:
    result = ecolite("--source", film, "--source", film, "--json")
    assert {p["stream"] for p in result.predictions} == {str(film), f"{film}#2"}
    assert len(result.predictions) == 10
    text = ecolite("--source", film, "--source", film).out
    assert all(line.startswith(f"{film}") for line in text.splitlines())


def test_a_broken_file_among_good_ones(ecolite: Command, film: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.avi"
    bad.write_text("no video")
    result = ecolite("--source", film, "--source", bad, "--source", film, "--json")
    assert result.exit_code == 3
    assert len(result.predictions) == 10
    first, last = result.err.splitlines()
    assert first.startswith(f"error: {bad}: holds no video")
    assert last.startswith(f"error: 1 of 3 sources could not be watched to their ends: {bad}")


# In a process of its own


def start(bundle: Bundle, *args: str, stdout: Any = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ecolite_stream", "--bundle", str(bundle.path), *args],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "args",
    [
        ["--source", "pattern", "--realtime"],
        ["--source", "pattern", "--source", "pattern", "--engine", "mindspore"],
    ],
)
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_cleanly(bundle: Bundle, args: list[str], kind: signal.Signals) -> None:
    with start(bundle, *args) as process:
        assert process.stdout is not None
        assert " s  " in process.stdout.readline()
        process.send_signal(kind)
        _, err = process.communicate(timeout=5)
    assert (process.returncode, err) == (130, "")


@pytest.mark.parametrize("wait_s", [0.5, 0.8, 1.2, 2.0])
def test_an_interrupt_at_any_time_ends_without_a_word(bundle: Bundle, wait_s: float) -> None:
    """While the program, MindSpore, or the engine comes up too."""
    args = ["--source", "pattern", "--realtime", "--engine", installed("mindspore")]
    with start(bundle, *args) as process:
        time.sleep(wait_s)  # whatever it is at then
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) in [(130, ""), (-signal.SIGINT, "")]  # before Python is up


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_every_line_is_whole_when_a_busy_run_is_ended(
    bundle: Bundle, tmp_path: Path, kind: signal.Signals
) -> None:
    args = ["--every", "0.01", "--json", *["--source", "pattern"] * 3]
    path = tmp_path / "lines.jsonl"
    with path.open("w") as lines, start(bundle, *args, stdout=lines) as process:
        while path.stat().st_size < 10_000 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(kind)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "")
    out = path.read_text()
    assert out.endswith("\n")
    assert all(list(json.loads(line)) == KEYS for line in out.splitlines())


def test_metrics_of_a_live_run_are_served_to_this_machine_only(bundle: Bundle) -> None:
    port = unused_port()
    args = ["--source", "pattern", "--realtime", "--metrics", str(port)]
    with start(bundle, *args) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        process.terminate()
        process.communicate(timeout=10)
    assert re.search(r'^ecolite_predictions_total\{label="\w+",stream="pattern"\} ', text, re.M)
    assert 'ecolite_stream_state{ecolite_stream_state="live",stream="pattern"} 1.0' in text
    assert "ecolite_stage_seconds_bucket" in text


def test_a_port_that_is_taken_leaves_no_files_behind(
    ecolite: Command, film: Path, tmp_path: Path
) -> None:
    run_folder, log = tmp_path / "run", tmp_path / "log.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        metrics = ("--metrics", taken.getsockname()[1])
        result = ecolite("--source", film, "--record", run_folder, "--json-file", log, *metrics)
    assert result.exit_code == 2 and "choose another port" in result.error
    assert not run_folder.exists() and not log.exists()


@pytest.mark.parametrize("args", [[], ["--json"]])
def test_a_reader_that_leaves(bundle: Bundle, args: list[str]) -> None:
    """As in `ecolite-stream ... | head -1`."""
    with start(bundle, "--source", "pattern", *args) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_ends_with_1(bundle: Bundle) -> None:
    with (
        Path("/dev/full").open("w") as full,
        start(bundle, "--source", "pattern", stdout=full) as process,
    ):
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert re.fullmatch(r"error: .*No space left on device\n", err)


def test_exit_codes_reach_the_shell(bundle: Bundle) -> None:
    for args, code in [(["--source", "pattern:seconds=1"], 0), (["--source", "none.mp4"], 3)]:
        with start(bundle, *args) as process:
            out, err = process.communicate(timeout=30)
        assert process.returncode == code
        assert bool(out) is (code == 0)
        assert len(err.splitlines()) == (code != 0)
