"""The MindSpore Lite engine's own module on the real runtime, which takes a CPython 3.7.

It runs in an environment with mindspore-lite 2.0.0 in the folder for temporary files, made once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from ecolite_stream import Recognizer, demo_bundle_path, open_engine, open_source, read_bundle
from ecolite_stream.bundle import Bundle
from ecolite_stream.engines import mslite
from ecolite_stream.engines.base import Engine
from ecolite_stream.engines.check import relative_error
from ecolite_stream.preprocess import preprocess
from ecolite_stream.types import FloatArray
from tests.conftest import installed

pytestmark = pytest.mark.timeout(400)

RUNTIME = "mindspore-lite==2.0.0"
DRIVER = Path(__file__).parent / "mslite_driver.py"
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


class LiteInAnotherPython:
    """An engine whose graphs run in a process of `DRIVER`."""

    name = "mslite"

    def __init__(self, inputs: IO[bytes], outputs: IO[bytes]) -> None:
        self._inputs, self._outputs = inputs, outputs

    def encode(self, images: FloatArray) -> FloatArray:
        return self._run(0, images)

    def classify(self, features: FloatArray) -> FloatArray:
        return self._run(1, features)

    def close(self) -> None:
        pass

    def _run(self, number: int, batch: FloatArray) -> FloatArray:
        self._inputs.write(struct.pack(f"<{2 + batch.ndim}I", number, batch.ndim, *batch.shape))
        self._inputs.write(np.ascontiguousarray(batch, np.float32).tobytes())
        self._inputs.flush()
        answer, dimensions = struct.unpack("<2I", self._outputs.read(8))
        assert answer == number
        shape = struct.unpack(f"<{dimensions}I", self._outputs.read(4 * dimensions))
        values = self._outputs.read(4 * int(np.prod(shape)))
        return np.frombuffer(values, np.float32).reshape(shape)


@contextlib.contextmanager
def lite(folder: Path, cached: Path) -> Iterator[Engine]:
    """The 2D graphs of a folder on the real runtime."""
    graphs = [folder / "encoder_2d.onnx", folder / "head_2d.onnx"]
    command = [python_with_runtime(), DRIVER, mslite.__file__, cached, *graphs]
    with (
        (cached.parent / "stderr").open("w") as log,
        subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        assert process.stdin and process.stdout
        try:
            yield LiteInAnotherPython(process.stdin, process.stdout)
        finally:
            process.kill()


def labels(engine: Engine, video: Path) -> list[str]:
    """What the demo model says of a video, frame after frame."""
    recognizer = Recognizer(engine, read_bundle(demo_bundle_path()).spec)
    with open_source(str(video)) as source:
        seen = (recognizer.observe(frame) for frame in source)
        return [prediction.label for prediction in seen if prediction]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The embedded bundle with the 2D graphs of its own weights."""
    from trainer.export import add_planar

    copy = tmp_path_factory.mktemp("bundle") / "demo"
    shutil.copytree(demo_bundle_path(), copy)
    return add_planar(copy)


def test_the_demo_bundle_gives_the_golden_numbers(demo: Bundle, tmp_path: Path) -> None:
    bundle = demo
    golden, how = bundle.golden(), bundle.spec.preprocessing
    with lite(bundle.path, tmp_path / "cache") as engine:
        features = engine.encode(np.stack([preprocess(image, how) for image in golden.images]))
        logits = engine.classify(features[None])[0]
    assert relative_error(features, golden.features) < 1e-4
    assert relative_error(logits, golden.logits) < 1e-4
    assert len(list((tmp_path / "cache").iterdir())) == 2  # and nothing half made


def test_the_labels_of_a_drawn_video_are_mindspores(demo: Bundle, tmp_path: Path) -> None:
    from trainer.figures.drawing import draw_sequence, write_video

    parts = [("walk", 3.0), ("wave2", 3.0), ("jack", 3.0)]
    frames, _ = draw_sequence(parts, np.random.default_rng(3), fps=25.0, size=(180, 144))
    write_video(tmp_path / "drawn.avi", frames, 25.0)
    with lite(demo.path, tmp_path / "cache") as engine:
        found = labels(engine, tmp_path / "drawn.avi")
    mindspore = open_engine(installed("mindspore"), read_bundle(demo_bundle_path()))
    expected = labels(mindspore, tmp_path / "drawn.avi")
    assert found == expected
    assert len(expected) > 10 and len(set(expected)) > 1


@pytest.mark.parametrize(
    ("architecture", "num_segments", "image_size", "width"),
    [("eco_lite", 4, 224, 1.0), ("eco_lite", 8, 224, 1.0), ("eco_full", 4, 112, 0.25)],
)
def test_untrained_networks(
    architecture: str, num_segments: int, image_size: int, width: float, tmp_path: Path
) -> None:
    from trainer.checkpoint import network_from
    from trainer.deploy import export_planar
    from trainer.export import make_golden, untrained
    from trainer.network import NetworkConfig

    config = NetworkConfig(architecture, num_segments, image_size, 101, width)
    checkpoint = untrained(config)
    golden = make_golden(network_from(checkpoint), checkpoint.spec)
    export_planar(checkpoint, golden, tmp_path)
    how = checkpoint.spec.preprocessing
    with lite(tmp_path, tmp_path / "cache") as engine:
        features = engine.encode(np.stack([preprocess(image, how) for image in golden.images]))
        logits = engine.classify(features[None])[0]
    assert relative_error(logits, golden.logits) < 1e-3
