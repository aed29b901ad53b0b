"""What is built contains what a user needs, and only that."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from tests.conftest import ROOT

DEMO = read_bundle(demo_bundle_path())
NEEDED = {
    *(f"ecolite_stream/datasets/labels/{name}.txt" for name in ("ucf101", "hmdb51", "kinetics400")),
    *(f"ecolite_stream/bundles/demo/{graph.file}" for graph in DEMO.graphs),
    *(f"ecolite_stream/bundles/demo/{name}" for name in ("bundle.json", *DEMO.files)),
    "ecolite_stream/py.typed",
    *(f"ecolite_stream/web/static/{name}" for name in ("index.html", "page.js", "page.css")),
    "ecolite_stream/engines/openvino.py",
    "trainer/train.py",
    "trainer/network/eco_lite.py",
}


@pytest.mark.timeout(300)
def test_wheel_and_sdist_contain_the_bundle_and_the_labels(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(ROOT),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr

    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert names >= NEEDED
    assert not [name for name in names if name.startswith(("tests/", "runs/"))]
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert inside >= NEEDED | {"README.md", "pyproject.toml"}


def test_the_embedded_bundle_is_small() -> None:
    size = sum(file.stat().st_size for file in demo_bundle_path().iterdir())
    assert size <= 20e6
