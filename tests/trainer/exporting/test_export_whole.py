"""The whole network in one file, by the published flags."""

from __future__ import annotations

from pathlib import Path

import mindspore as ms
import mindspore.nn as nn
import numpy as np
import pytest

from ecolite_stream.app.entry import run
from ecolite_stream.model.bundle import read_bundle
from tests.checkpoint_files import LABELS, SIZE, small, spec_of
from trainer import export
from trainer.weights.checkpoint import load_checkpoint, network_from, save_checkpoint

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "last.ckpt"
    network = small()
    save_checkpoint(path, network, spec_of(network))
    return path


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        run(export.main, list(map(str, words)))
    return int(ended.value.code or 0)


def clip() -> np.ndarray:
    rng = np.random.default_rng(0)
    segments = spec_of(small()).num_segments
    return rng.standard_normal((1, segments, 3, SIZE, SIZE)).astype(np.float32)


@pytest.mark.parametrize("name", ["eco", "eco.mindir"])
def test_mindir_computes_the_same(checkpoint: Path, tmp_path: Path, name: str) -> None:
    words = ("--checkpoint_path", checkpoint, "--file_format", "MINDIR", "--file_name")
    assert call(*words, tmp_path / name) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["eco.mindir"]
    graph = nn.GraphCell(ms.load(str(tmp_path / "eco.mindir")))
    expected = network_from(load_checkpoint(checkpoint))(ms.Tensor(clip())).asnumpy()
    np.testing.assert_allclose(graph(ms.Tensor(clip())).asnumpy(), expected, rtol=1e-5, atol=1e-6)


def test_onnx_computes_the_same(checkpoint: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    assert call(checkpoint, "--file_format", "ONNX", "--file_name", tmp_path / "eco") == 0
    session = onnxruntime.InferenceSession(str(tmp_path / "eco.onnx"))
    (found,) = session.run(None, {session.get_inputs()[0].name: clip()})
    expected = network_from(load_checkpoint(checkpoint))(ms.Tensor(clip())).asnumpy()
    assert found.shape == (1, len(LABELS))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "begins_with"), [("eco ö.mindir", b"\n"), ("eco ö.ONNX", b"\x08")], ids=str
)
def test_writes_the_format_of_the_suffix_into_a_folder_of_any_name(
    checkpoint: Path,
    tmp_path: Path,
    name: str,
    begins_with: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(checkpoint, "--file_name", f"Büro 2/{name}") == 0
    [written] = (tmp_path / "Büro 2").iterdir()
    assert written.name == name and written.read_bytes().startswith(begins_with)


def test_a_folder_is_no_file_name(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(checkpoint, "--file_name", ".") == 2
    assert "error: . is a folder; name a file in it" in capsys.readouterr().err


def test_writes_a_bundle_into_a_folder_of_any_name(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Büro 2" / "my bundle"
    assert call(checkpoint, "--bundle", folder) == 0
    assert read_bundle(folder).spec.labels == LABELS


def test_air_is_refused_where_there_is_no_ascend(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(checkpoint, "--file_format", "AIR", "--file_name", tmp_path / "eco") == 5
    assert "AIR is written on an Ascend only" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--file_name", "a"], "give one of CHECKPOINT"),
        (["a.ckpt"], "give either --bundle, or --file_name"),
        (["a.ckpt", "--bundle", "b", "--file_name", "c"], "give either --bundle, or --file_name"),
        (["a.ckpt", "--bundle", "b", "--file_format", "ONNX"], "--file_format needs --file_name"),
        (["a.ckpt", "--checkpoint_path", "b.ckpt", "--bundle", "c"], "are the same"),
        (["--add-2d", "--file_name", "a"], "--add-2d needs --bundle"),
        (["a.ckpt", "--file_format", "CAFFE", "--file_name", "a"], "'CAFFE' is not one of"),
    ],
)
def test_flags_that_do_not_go_together(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*words) == 2
    assert message in capsys.readouterr().err
