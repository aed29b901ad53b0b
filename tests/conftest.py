"""What all tests share: a small bundle with random weights, real footage, and settings."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from ecolite_stream.engines import installed_engines
from ecolite_stream.engines.onednn import cap_cpu_isa
from ecolite_stream.model.bundle import Bundle

# A shell's background jobs ignore interruptions, and so would the tests of them.
signal.signal(signal.SIGINT, signal.default_int_handler)
cap_cpu_isa()  # tests may import mindspore before trainer does it for them

# Clips that passed a check are remembered: not in the folder of whoever runs the tests.
# MindSpore cannot be imported after a library that loads the compiled protobuf, such as onnx.
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
os.environ["ECOLITE_CACHE"] = tempfile.mkdtemp(prefix="ecolite-tests-")
os.environ["XDG_STATE_HOME"] = os.environ["ECOLITE_CACHE"]

settings.register_profile("ecolite", deadline=None, max_examples=50)
settings.load_profile("ecolite")

ROOT = Path(__file__).parent.parent
SMALL_LABELS = ("bend", "idle", "jump", "walk", "wave")


_MISSING = re.compile(
    r"not installed|no chromium|no RTSP server|there is no /usr|no CPython|no environment with|"
    r"no footage|needs root|namespaces cannot"
)


def missing_parts(reasons: Iterable[str]) -> list[str]:
    """A line for each reason to skip tests that is a program or package this machine lacks."""
    counts = Counter(reason for reason in reasons if _MISSING.search(reason))
    return [f"{count} tests skipped: {reason}" for reason, count in sorted(counts.items())]


def pytest_unconfigure(config: pytest.Config) -> None:
    """With CI=true the last lines name the real parts that tests were skipped for."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or os.environ.get("CI") != "true":
        return
    skipped = (report.longrepr for report in reporter.stats.get("skipped", ()))
    reasons = (where[2].removeprefix("Skipped: ") for where in skipped if isinstance(where, tuple))
    for line in missing_parts(reasons):
        reporter.write_line(line)


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Bundle]:
    """N -> a bundle of a quarter of the network with random weights, 64 px, 5 labels, 1.6 s."""

    @cache
    def make(num_segments: int) -> Bundle:
        return export_small_bundle(num_segments, tmp_path_factory.mktemp("bundle") / "small")

    return make


@pytest.fixture(scope="session")
def bundle(small_bundle: Callable[[int], Bundle]) -> Bundle:
    """The small bundle with N = 4; not to be changed."""
    return small_bundle(4)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real footage: ECOLITE_DATA, or shared/data beside the checkout."""
    folder = Path(os.environ.get("ECOLITE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no footage: {folder} is no folder; set ECOLITE_DATA")
    return folder


def installed(name: str) -> str:
    """The name of an engine; the test is skipped where its library is not installed."""
    if name not in installed_engines():
        pytest.skip(f"engine {name} is not installed")
    return name


def export_small_bundle(num_segments: int, folder: Path) -> Bundle:
    import mindspore as ms

    from ecolite_stream.model.bundle import ModelSpec
    from ecolite_stream.model.preprocess import Preprocessing
    from trainer.export import export_bundle
    from trainer.network import NetworkConfig, build_network
    from trainer.weights.checkpoint import Checkpoint, parameters_of

    ms.set_seed(num_segments)
    config = NetworkConfig("eco_lite", num_segments, 64, len(SMALL_LABELS), width=0.25)
    network = build_network(config)
    spec = ModelSpec(
        architecture=config.architecture,
        width=config.width,
        num_segments=num_segments,
        feature_shape=network.feature_shape,
        labels=SMALL_LABELS,
        clip_seconds=1.6,
        preprocessing=Preprocessing(64, framing="whole"),
    )
    return export_bundle(Checkpoint(spec, parameters_of(network)), folder)
