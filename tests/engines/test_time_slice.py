from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from ecolite_stream.engines import time_slice
from ecolite_stream.engines.time_slice import SLICE_S, ask_for_short_slices, time_slice_s
from tests.conftest import ROOT

IMPORTS_TRAINER = "import trainer"
OPENS_AN_ENGINE = """
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from ecolite_stream.engines import open_engine
open_engine("mindspore", read_bundle(demo_bundle_path()))
"""


def in_a_thread(call: Callable[[], float | None]) -> float | None:
    """So that the slice of the thread that runs the tests stays what it is."""
    results: list[float | None] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def slice_asked_for(slice_s: float) -> float | None:
    ask_for_short_slices(slice_s)
    return time_slice_s()


@pytest.fixture
def has_slices() -> None:
    if in_a_thread(lambda: slice_asked_for(0.0002)) != 0.0002:
        pytest.skip("time slices can be chosen on Linux 6.12 and later only")


@pytest.mark.usefixtures("has_slices")
def test_threads_started_later_have_the_slice_too() -> None:
    before = time_slice_s()

    def start() -> float | None:
        assert ask_for_short_slices(0.0003)
        return in_a_thread(time_slice_s)

    assert in_a_thread(start) == 0.0003
    assert time_slice_s() == before


@pytest.mark.usefixtures("has_slices")
@pytest.mark.parametrize("start", [IMPORTS_TRAINER, OPENS_AN_ENGINE])
def test_mindspore_runs_in_short_slices(start: str) -> None:
    code = f"import os\nbefore = os.nice(3) - 3\n{start}\n" + (
        "from ecolite_stream.engines.time_slice import time_slice_s\n"
        "print(time_slice_s(), os.nice(0) - before)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == [str(SLICE_S), "3"]


def test_a_system_without_the_call_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_slice, "_CALLS", {})
    assert time_slice_s() is None
    assert not ask_for_short_slices()
