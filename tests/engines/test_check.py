"""The check of an engine against a bundle's golden numbers, here and in a process of its own."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.engines import Engine, check, installed_engines
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.types import FloatArray
from tests.conftest import installed
from tests.engines.expected import ENGINES, only, scaled


class WrongHead:
    """An engine whose features are right and whose logits are all zero, without an error."""

    name = "silent"
    precision = "f32"

    def __init__(self, bundle: Bundle) -> None:
        self._features = list(bundle.golden().features)
        self._classes = len(bundle.spec.labels)
        self.is_closed = False

    def encode(self, images: FloatArray) -> FloatArray:
        return np.stack([self._features.pop(0) for _ in images])

    def classify(self, features: FloatArray) -> FloatArray:
        return np.zeros((len(features), self._classes), np.float32)

    def close(self) -> None:
        self.is_closed = True


def test_a_check_measures_and_times(engine: Engine, bundle: Bundle) -> None:
    found = check.check_engine(engine, bundle)
    assert found.name == engine.name
    assert max(found.feature_error, found.logit_error) <= check.TOLERANCES["f32"]
    assert found.same_label
    assert min(found.encode_ms, found.classify_ms) > 0


def test_a_check_refuses_what_is_off(engine: Engine, bundle: Bundle, tmp_path: Path) -> None:
    wrong = scaled(bundle, tmp_path / "wrong", 2)
    assert check.measure(engine, wrong).feature_error == pytest.approx(0.5)
    with pytest.raises(EngineError) as caught:
        check.check_engine(engine, wrong)
    assert str(caught.value) == (
        f"engine {engine.name} disagrees with the bundle on this processor ({platform.machine()}): "
        "its features are off by 5.0e-01, at most 1e-03 is allowed in f32; use another engine: "
        + " or ".join(name for name in installed_engines() if name != engine.name)
    )


def test_an_opened_engine_has_given_the_golden_numbers(
    engine: Engine, bundle: Bundle, tmp_path: Path
) -> None:
    check.open_checked(engine.name, bundle).close()
    with pytest.raises(EngineError, match=r"its features are off by 5\.0e-01"):
        check.open_checked(engine.name, scaled(bundle, tmp_path / "wrong", 2))


def test_wrong_logits_are_noticed_where_features_are_right(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = WrongHead(bundle)
    monkeypatch.setattr(check, "open_engine", lambda *_: silent)
    with pytest.raises(EngineError, match=r"its logits are off by 1\.0e\+00"):
        check.open_checked("silent", bundle)
    assert silent.is_closed


@pytest.mark.parametrize(
    ("found", "error"),
    [([1.0, 2.5], 0.25), ([1.0, np.nan], np.inf), ([1.0, np.inf], np.inf), ([1.0], np.inf)],
)
def test_relative_error(found: list[float], error: float) -> None:
    assert check.relative_error(np.array(found), np.array([1.0, 2.0])) == error


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ENGINES)
def test_a_check_in_a_process_of_its_own(name: str, bundle: Bundle, tmp_path: Path) -> None:
    agreeing = check.check_apart(installed(name), bundle, "cpu")
    assert (agreeing.engine, agreeing.state, agreeing.detail) == (name, "agrees", "")
    assert agreeing.check and agreeing.check.same_label
    off = check.check_apart(name, scaled(bundle, tmp_path / "wrong", 2))
    assert off.state == "disagrees"
    assert off.check and off.check.feature_error == pytest.approx(0.5)
    assert "its features are off by 5.0e-01" in str(off)


def test_a_check_that_needs_no_process(bundle: Bundle) -> None:
    outcome = check.check_apart("openvino", only(bundle, "mindir"))
    assert (outcome.state, outcome.check) == ("cannot run it", None)
    assert "has no encoder graph of format onnx" in str(outcome)
    assert check.check_apart("openvino", bundle, "ascend").state == "cannot run it"


def test_a_check_that_fails_is_an_outcome(bundle: Bundle, tmp_path: Path) -> None:
    assert check.check_here("tpu", str(bundle.path)).state == "failed"
    outcome = check.check_here("openvino", str(tmp_path))
    assert outcome.state == "failed"
    assert "is not a bundle" in outcome.detail


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "engine x: crashed (signal 11)",
        ),
        ("import time; time.sleep(60)", "engine x: no answer in 1 s"),
        (
            "import sys; sys.exit('cannot import y')",
            "engine x gave no answer, exit code 1: cannot import y",
        ),
        ("print('{}')", "engine x gave no answer, exit code 0: "),
        ("", "engine x gave no answer, exit code 0: "),
        (
            'print("chatter"); print(\'{"check": null, "state": "failed", "detail": "no y"}\')',
            "no y",
        ),
    ],
)
@pytest.mark.timeout(60)
def test_a_process_that_ends_badly(code: str, line: str) -> None:
    outcome = check.run_apart(
        "x", [sys.executable, "-c", code], timeout_s=1 if "sleep" in code else 30
    )
    assert str(outcome) == line
    assert outcome.check is None


def test_what_a_failed_engine_said_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import sys; print('numpy is missing', file=sys.stderr); sys.exit(1)"
    check.run_apart("x", [sys.executable, "-c", code], timeout_s=30)
    assert capfd.readouterr().err == "numpy is missing\n"


def test_a_process_that_does_not_start(tmp_path: Path) -> None:
    outcome = check.run_apart("x", [str(tmp_path / "nothing")], timeout_s=30)
    assert outcome.state == "failed"
    assert "engine x cannot be started" in str(outcome)
