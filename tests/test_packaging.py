"""What is built contains what a user needs, and only that."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
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


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def packages(*requirements: Iterable[str]) -> set[str]:
    """Names of packages; an extra of our own stands for what it brings."""
    found: set[str] = set()
    for requirement in (line for lines in requirements for line in lines):
        name = re.split(r"[^\w-]", requirement)[0]
        if name != "ecolite-stream":
            found.add(name)
            continue
        inside = re.search(r"\[(.*)\]", requirement)
        assert inside is not None
        found |= packages(*(EXTRAS[extra.strip()] for extra in inside[1].split(",")))
    return found


def test_mindspore_comes_with_two_extras_only() -> None:
    assert "mindspore" not in packages(PROJECT["dependencies"])
    with_it = {name for name, lines in EXTRAS.items() if "mindspore" in packages(lines)}
    assert with_it == {"mindspore", "train"}
    assert packages(EXTRAS["train"]) == {"mindspore", "numpy", "matplotlib"}
    assert packages(EXTRAS["figures"]) == packages(EXTRAS["plots"]) == {"matplotlib"}


def test_every_version_that_the_scripts_install_is_pinned() -> None:
    pins = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in pins if not line.startswith("#")}
    assert packages(PROJECT["dependencies"], *EXTRAS.values()) == pinned


# Commands without their extra

HIDDEN = """
import runpy, sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_others(name, path=None, target=None):
    return None if name in {"mindspore", "matplotlib", "torch"} else find(name, path, target)

PathFinder.find_spec = find_others
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
INTERNAL = ROOT / "trainer/teaching/attached.py"  # runs other modules; nobody calls it by hand
COMMANDS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for path in (ROOT / "trainer").rglob("*.py")
    if path != INTERNAL and '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)
NEED_MINDSPORE = (
    *("checkpoints", "cross_validate", "evaluate", "export", "train"),
    *("reference.benchmark", "reference.continual", "reference.half", "reference.heads"),
    "reference.training",
)
NEED_IT_LATER = ("trainer.launch", "trainer.reference.busy", "trainer.reference.workers")
"""Their --help works without it."""


def without_extras(module: str, *args: str) -> subprocess.CompletedProcess[str]:
    """A command of a base install."""
    command = [sys.executable, "-c", HIDDEN, module, *args]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_of_the_trainer_names_the_extra_it_lacks(module: str) -> None:
    needs_it = module.removeprefix("trainer.") in NEED_MINDSPORE
    done = without_extras(module, "--help")
    if needs_it:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"error: python -m {module} needs mindspore, which is not installed; "
            "run pip install 'ecolite-stream[train]'\n"
        )
    else:
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", NEED_IT_LATER)
def test_a_command_that_starts_trainings_names_the_extra_it_lacks(module: str) -> None:
    done = without_extras(module)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "run pip install 'ecolite-stream[train]'" in done.stderr


def test_a_base_install_draws_people_and_labels_them(tmp_path: Path) -> None:
    clip = tmp_path / "drawn.mp4"
    words = ["sequence", "--out", str(clip), "--part", "walk:3"]
    assert without_extras("trainer.synthetic", *words).returncode == 0
    done = without_extras("ecolite_stream", "--source", str(clip), "--engine", "openvino")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") > 2
