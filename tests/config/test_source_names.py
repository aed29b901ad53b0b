"""What streams are called, and that nothing secret becomes a name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecolite_stream.app import cli
from ecolite_stream.app.build import stream_inputs
from ecolite_stream.app.entry import run
from ecolite_stream.config.names import LONGEST_NAME
from ecolite_stream.config.source_names import NamedSource, named_source
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.model.bundle import Bundle

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        ("camera", None, "camera"),
        ("gate=camera:1", "gate", "camera:1"),
        ("gate=rtsp://me:hush@host/a?b=c", "gate", "rtsp://me:hush@host/a?b=c"),
        ("Front door (2)=-", "Front door (2)", "-"),
        ("大门=a=b.mp4", "大门", "a=b.mp4"),
        ("Su\u0308d=pattern:fps=5,seconds=2", "Süd", "pattern:fps=5,seconds=2"),
        ("rtsp://me:hu=sh@host/a", None, "rtsp://me:hu=sh@host/a"),
        ("rtsp://host/?next=http://other", None, "rtsp://host/?next=http://other"),
        ("rtsp:/me:hush@host/user=a", None, "rtsp:/me:hush@host/user=a"),
        ("pattern:fps=5", None, "pattern:fps=5"),
        ("./a=b.mp4", None, "./a=b.mp4"),
        ("C:\\a=b.mp4", None, "C:\\a=b.mp4"),
    ],
)
def test_what_is_a_name_and_what_is_not(text: str, name: str | None, url: str) -> None:
    assert named_source(text) == NamedSource(url, name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is 0 characters long"),
        ("a" * (LONGEST_NAME + 1), "is 65 characters long"),
        ("a/b", "has / in it"),
        ("rtsp://me:hush@host/a", "has / : @ in it"),
        ("a+b#", "has # + in it"),
        (" hush", "cannot be seen"),
        ("hu\nsh", "cannot be seen"),
        ("hush\x1b[31m", "cannot be seen"),
        ("hush\u200b", "cannot be seen"),
        ("hush\udcff", "cannot be seen"),
        ("...", "neither letter nor digit"),
    ],
)
def test_what_no_name_can_be_is_not_repeated(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"^the name of a source ") as caught:
        NamedSource("camera", name)
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_slip_in_a_name_is_not_taken_for_a_file() -> None:
    for text in ("me:hush=rtsp://host/a", "hush@host/a=rtsp://host/a", "=rtsp://me:hush@host"):
        with pytest.raises(ConfigError) as caught:
            named_source(text)
        assert "hush" not in str(caught.value)


def test_names_are_kept_and_the_others_are_as_before() -> None:
    specs = ["gate=rtsp://me:hush@a/1", "rtsp://me:hush@a/1", NamedSource("a.mp4", "film"), "a.mp4"]
    streams = stream_inputs([*specs, "rtsp://me:hush@a/1"])
    names = ["gate", "rtsp://a/1", "film", "a.mp4", "rtsp://a/1#2"]
    assert [stream.name for stream in streams] == names


@pytest.mark.parametrize(
    "specs", [["gate=camera", "gate=camera:1"], ["camera=pattern", "camera"], ["a=-", "stdin", "-"]]
)
def test_two_streams_of_one_name(specs: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"two streams are named|standard input"):
        stream_inputs(specs)


def test_no_representation_has_the_url() -> None:
    assert "hush" not in repr(named_source("gate=rtsp://me:hush@host/a"))


def test_an_error_names_stream_and_file() -> None:
    (stream,) = stream_inputs(["gate=none.mp4"])
    with pytest.raises(SourceError, match=r"^gate \(none\.mp4\): no such file"):
        stream.open()


def test_all_outputs_of_a_run_have_the_names(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("source: [{name: Front door, url: 'pattern:seconds=2'}]\n")
    videos = tmp_path / "videos"
    args = ["--config", config, "--json", "--video", videos, "--record"]
    with pytest.raises(SystemExit) as ended:
        run(cli.stream, ["--bundle", str(bundle.path), *map(str, [*args, tmp_path / "record"])])
    assert ended.value.code == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines and {line["stream"] for line in lines} == {"Front door"}
    assert [path.name for path in videos.iterdir()] == ["Front%20door.mp4"]
    assert json.loads((tmp_path / "record/run.json").read_text())["streams"] == ["Front door"]


@pytest.mark.parametrize("source", ["~/films/x.mp4", "gate=~/films/x.mp4"])
def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert named_source(source).url == "/home/me/films/x.mp4"
    assert NamedSource("~/x.mp4", "gate").url == "/home/me/x.mp4"
    assert named_source("./~/x.mp4").url == "./~/x.mp4"
    assert named_source("rtsp://cam/~/x").url == "rtsp://cam/~/x"
