"""What goes wrong: one line on stderr, and the exit code."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from ecolite_stream.app.entry import run
from ecolite_stream.engines import Engine
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import FILES, Bundle
from ecolite_stream.types import FloatArray
from tests.app.runs import Command, use
from tests.fakes import DrawnNumberEngine

pytestmark = pytest.mark.timeout(60)


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
    assert "bundle has 4 segments, memory.num_segments is 16; edit memory.num" in result.error


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
