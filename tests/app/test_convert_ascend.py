"""What converts a bundle for an Ascend 310, with a stand-in for the vendor's tools."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecolite_stream.app.convert_ascend import Conversion, aipp_settings, convert, input_of, main
from ecolite_stream.engines import require_graphs
from ecolite_stream.errors import BundleError, ConfigError, EngineError
from ecolite_stream.model.bundle import CONV2D_ONLY_PARTS, PARTS, Bundle, read_bundle
from ecolite_stream.model.preprocess import Preprocessing
from tests.conftest import ROOT


def script(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "scripts" / "convert_310.sh", *words]
    env = {**os.environ, "ECOLITE_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=60, env=env, check=False
    )


@pytest.fixture
def converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `converter_lite` on the path that copies its input, unless there is a file `refuse`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    tool = folder / "converter_lite"
    tool.write_text(
        "#!/bin/bash\n"
        f"[ ! -e {folder}/refuse ] || exit 3\n"
        "for word; do case $word in --modelFile=*) from=${word#*=};;"
        " --outputFile=*) to=${word#*=};;"
        ' --configFile=*) [ -s "${word#*=}" ] || exit 4;; esac; done\n'
        'echo CONVERTED; cp "$from" "$to.mindir"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_converter_lites_command(bundle: Bundle, tmp_path: Path) -> None:
    words = Conversion().command(bundle, "head", tmp_path)
    assert words[:3] == [
        "converter_lite",
        "--fmk=ONNX",
        f"--modelFile={bundle.path / 'head_2d.onnx'}",
    ]
    assert "--inputShape=features_BNCHW:1,4,24,8,8" in words
    assert "--optimize=ascend_oriented" in words
    settings = Conversion(aipp=True).settings(bundle.spec, tmp_path)
    aipp_line = f"insert_op_config_file_path={tmp_path / 'aipp.cfg'}"
    assert aipp_line in settings["encoder-converter.cfg"]
    assert aipp_line not in settings["head-converter.cfg"]
    assert "precision_mode=enforce_fp16" in settings["head-converter.cfg"]


def test_atcs_command(bundle: Bundle, tmp_path: Path) -> None:
    how = Conversion("atc", "Ascend310P3", aipp=True)
    words = how.command(bundle, "encoder", tmp_path)
    assert words[:2] == ["atc", "--framework=5"]
    assert words[-3:] == [
        "--input_shape=images_KCHW:1,3,64,64",
        "--soc_version=Ascend310P3",
        f"--insert_op_conf={tmp_path / 'aipp.cfg'}",
    ]
    assert how.command(bundle, "head", tmp_path)[-1] == "--soc_version=Ascend310P3"


def test_the_names_of_inputs_are_the_graphs(bundle: Bundle) -> None:
    for part in PARTS:
        name, _ = input_of(bundle.spec, part)
        assert name.encode() in bundle.file(f"{CONV2D_ONLY_PARTS[part]}.onnx").read_bytes()


@pytest.mark.parametrize(("order", "swap"), [("BGR", "false"), ("RGB", "true")])
def test_the_device_prepares_as_the_bundle_says(order: str, swap: str, bundle: Bundle) -> None:
    how = Preprocessing(112, mean=(104.0, 117.5, 128.0), scale=0.0172, channel_order=order)
    text = aipp_settings(dataclasses.replace(bundle.spec, preprocessing=how))
    for line in (
        "src_image_size_h: 112",
        f"rbuv_swap_switch: {swap}",
        "min_chn_0: 104",
        "min_chn_1: 117.5",
        "var_reci_chn_2: 0.0172",
    ):
        assert f"    {line}\n" in text


def test_the_script_prints_what_it_would_run(bundle: Bundle, tmp_path: Path) -> None:
    done = script(bundle.path, "--out", tmp_path / "out", "--print", "--aipp")
    assert (done.returncode, done.stderr) == (0, "")
    assert "aipp_op {" in done.stdout
    assert done.stdout.count("\nconverter_lite --fmk=ONNX ") == 2
    assert not (tmp_path / "out").exists()


def test_a_chip_is_for_atc_alone(bundle: Bundle, tmp_path: Path) -> None:
    words = [str(bundle.path), "--out", str(tmp_path / "out"), "--print", "--soc", "Ascend310P3"]
    with pytest.raises(ConfigError, match="--soc is for atc, not converter_lite"):
        main(words, standalone_mode=False)


def test_the_script_without_a_tool(bundle: Bundle, tmp_path: Path) -> None:
    done = script(bundle.path, "--out", tmp_path / "out", "--tool", "atc")
    assert done.returncode == 5
    assert "error: atc is not on the path" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_converted_bundle_is_one_for_the_engine(
    bundle: Bundle, converter: Path, tmp_path: Path
) -> None:
    done = script(bundle.path, "--out", tmp_path / "new" / "bundle")
    assert (done.returncode, done.stdout) == (0, "")
    converted = read_bundle(tmp_path / "new" / "bundle")
    files = [graph.file for graph in require_graphs("mslite", converted, "ascend:0")]
    assert files == ["encoder.mindir", "head.mindir"]
    assert converted.golden().logits.tolist() == bundle.golden().logits.tolist()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["bundle"]
    left = {path.name for path in converted.path.iterdir()}
    assert left == {"bundle.json", "golden.npz", *files}


def test_a_conversion_that_fails_leaves_nothing(
    bundle: Bundle, converter: Path, tmp_path: Path
) -> None:
    (converter / "refuse").touch()
    with pytest.raises(EngineError, match="did not convert the encoder, exit code 3; see above"):
        convert(bundle, Conversion(), tmp_path / "new" / "bundle")
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(BundleError, match="exists already"):
        convert(bundle, Conversion(), tmp_path)
