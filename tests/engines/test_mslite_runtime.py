"""The MindSpore Lite engine on the real runtime, which takes a CPython 3.7.

It runs in an environment with mindspore-lite 2.0.0 in the folder for temporary files, made once.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream import Recognizer, demo_bundle_path, open_engine, open_source, read_bundle
from ecolite_stream.engines.base import Engine
from ecolite_stream.engines.check import relative_error
from ecolite_stream.engines.lite_process import PYTHON, LiteProcess
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.model.preprocess import preprocess
from tests.conftest import ROOT, installed

pytestmark = pytest.mark.timeout(400)

RUNTIME = "mindspore-lite==2.0.0"
ENVIRONMENT = Path(tempfile.gettempdir()) / f"ecolite-mslite-2.0.0-{os.getuid()}"


def python37() -> Path:
    """A CPython 3.7: ECOLITE_PYTHON37, on the path, or pyenv's."""
    told, on_path = os.environ.get("ECOLITE_PYTHON37"), shutil.which("python3.7")
    installed_here = (Path.home() / ".pyenv" / "versions").glob("3.7*/bin/python")
    for found in filter(None, (told, on_path, *installed_here)):  # pyenv's shims are no Python
        with contextlib.suppress(OSError):
            if subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
                return Path(found)
    pytest.skip("no CPython 3.7, for which alone mindspore-lite is on the package index")


@cache
def python_with_runtime() -> Path:
    """A Python 3.7 that has mindspore-lite."""
    python, ready = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "ready"
    if not ready.exists():
        commands = (
            [python37(), "-m", "venv", "--clear", ENVIRONMENT],
            [python, "-m", "pip", "install", "--quiet", RUNTIME, "numpy"],
        )
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                pytest.skip(f"no environment with {RUNTIME}: {done.stderr.strip()[-200:]}")
        ready.touch()
    return python


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lets engine mslite run in that Python, and keep what it converts in this folder."""
    monkeypatch.setenv(PYTHON, str(python_with_runtime()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ecolite-stream" / "mslite"


def labels(engine: Engine, video: Path) -> list[str]:
    """What the demo model says of a video, frame after frame."""
    recognizer = Recognizer(engine, read_bundle(demo_bundle_path()).spec)
    with open_source(str(video)) as source:
        seen = (recognizer.observe(frame) for frame in source)
        return [prediction.label for prediction in seen if prediction]


def command(module: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of three actions."""
    from trainer.synthetic.drawing import draw_sequence, write_video

    parts = [("walk", 3.0), ("wave2", 3.0), ("jack", 3.0)]
    frames, _ = draw_sequence(parts, np.random.default_rng(3), fps=25.0, size=(180, 144))
    path = tmp_path_factory.mktemp("drawn") / "drawn.avi"
    write_video(path, frames, 25.0)
    return path


@pytest.fixture(scope="module")
def demo() -> Bundle:
    """The embedded bundle."""
    return read_bundle(demo_bundle_path())


def test_the_demo_bundle_gives_the_golden_numbers(demo: Bundle, cached: Path) -> None:
    golden, how = demo.golden(), demo.spec.preprocessing
    with closing(open_engine("mslite", demo)) as engine:
        features = engine.encode(np.stack([preprocess(image, how) for image in golden.images]))
        logits = engine.classify(features[None])[0]
    assert relative_error(features, golden.features) < 1e-4
    assert relative_error(logits, golden.logits) < 1e-4
    # The encoder for one frame and for four, the head, and nothing half made.
    assert len(list(cached.iterdir())) == 3


def test_the_labels_of_a_drawn_video_are_mindspores(
    demo: Bundle, cached: Path, drawn: Path
) -> None:
    with closing(open_engine("mslite", demo)) as engine:
        found = labels(engine, drawn)
    mindspore = open_engine(installed("mindspore"), read_bundle(demo_bundle_path()))
    expected = labels(mindspore, drawn)
    assert found == expected
    assert len(expected) > 10 and len(set(expected)) > 1


def test_the_commands_run_it(demo: Bundle, cached: Path, drawn: Path) -> None:
    checked = command("ecolite_stream.bench.cli", "engines", "--bundle", demo.path)
    assert checked.returncode == 0, checked.stderr
    assert "mslite" in checked.stdout
    words = ("--source", drawn, "--bundle", demo.path, "--json", "--engine")
    lite, other = (command("ecolite_stream", *words, name) for name in ("mslite", "mindspore"))
    assert lite.returncode == 0, lite.stderr
    labels_of = [
        [json.loads(line)["label"] for line in ended.stdout.splitlines()] for ended in (lite, other)
    ]
    assert labels_of[0] == labels_of[1] and len(labels_of[0]) > 10


def test_the_published_script_scores_every_video(
    demo: Bundle, cached: Path, tmp_path: Path
) -> None:
    from trainer.synthetic.drawing import draw_sequence, write_video

    for label in ("walk", "jack"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for group in (1, 2, 9):  # the last is no test group of split 1
            frames, _ = draw_sequence(
                [(label, 2.0)], np.random.default_rng(group), fps=25.0, size=(180, 144)
            )
            write_video(tmp_path / "data" / label / f"v_{label}_g{group:02d}_c01.avi", frames, 25.0)
    ended = subprocess.run(
        [ROOT / "scripts" / "run_infer_310.sh", demo.path, tmp_path / "data", "cpu", "16"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "ECOLITE_VENV": sys.prefix, "ECOLITE_VENV_READY": "1"},
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    last = (tmp_path / "acc.log").read_text().splitlines()[-1]
    assert re.fullmatch(r"Total data: 4, top1 accuracy: [\d.]+, top5 accuracy: [\d.]+", last)


def test_a_process_that_dies_is_an_error_in_one_line(demo: Bundle, cached: Path) -> None:
    with closing(open_engine("mslite", demo)) as engine:
        engine._runtime._process.kill()  # type: ignore[attr-defined]
        with pytest.raises(EngineError, match=r"the process of MindSpore Lite, \S+, ended with"):
            engine.encode(np.zeros((1, 3, 112, 112), np.float32))


@pytest.mark.parametrize(
    ("architecture", "num_segments", "image_size", "width"),
    [
        ("eco_lite", 4, 224, 1.0),
        pytest.param("eco_lite", 8, 224, 1.0, marks=pytest.mark.slow),
        ("eco_full", 4, 112, 0.25),
    ],
)
def test_untrained_networks(
    architecture: str, num_segments: int, image_size: int, width: float, tmp_path: Path
) -> None:
    from trainer.export import make_golden, untrained
    from trainer.exporting.deploy import export_conv2d_only
    from trainer.network import NetworkConfig
    from trainer.weights.checkpoint import network_from

    config = NetworkConfig(architecture, num_segments, image_size, 101, width)
    checkpoint = untrained(config)
    golden = make_golden(network_from(checkpoint), checkpoint.spec)
    export_conv2d_only(checkpoint, golden, tmp_path)
    how = checkpoint.spec.preprocessing
    images = np.stack([preprocess(image, how) for image in golden.images])
    with closing(LiteProcess(str(python_with_runtime()), cache=tmp_path / "cache")) as runtime:
        encode, classify = (
            runtime.load(tmp_path / f"{part}_2d.onnx") for part in ("encoder", "head")
        )
        logits = classify(encode(images)[None])[0]
    assert relative_error(logits, golden.logits) < 1e-3
