"""`precision: auto`: bfloat16 where engine, processor and golden numbers allow it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ecolite_stream.engines import auto_precision, choose_engine
from ecolite_stream.engines.auto_precision import choose_precision
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from ecolite_stream.types import FloatArray
from tests.conftest import installed


class Rounding:
    """An engine that gives the golden numbers, off by a share of the largest."""

    name = "openvino"
    precision = "bf16"
    closed = 0

    def __init__(self, bundle: Bundle, off: float) -> None:
        self._golden = bundle.golden()
        self._off = np.float32(off)
        self._encoded = 0

    def encode(self, images: FloatArray) -> FloatArray:
        start, self._encoded = self._encoded, self._encoded + len(images)
        return self._golden.features[start : self._encoded]

    def classify(self, features: FloatArray) -> FloatArray:
        logits = self._golden.logits
        return np.asarray(logits + self._off * np.abs(logits).max())[None]

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def bundle() -> Bundle:
    installed("openvino")
    return read_bundle(demo_bundle_path())


Open = Callable[..., Rounding]


def patched(monkeypatch: pytest.MonkeyPatch, opened: Open) -> None:
    monkeypatch.setattr(auto_precision, "open_engine", opened)


def test_other_precisions_stay_as_they_are(bundle: Bundle) -> None:
    assert choose_precision("auto", bundle, None, None) is None
    assert choose_precision("auto", bundle, None, "f32") is None


def test_bf16_where_the_golden_numbers_agree(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def opened(*args: object) -> Rounding:
        asked.append((args[0], *args[2:]))
        return Rounding(bundle, 0.02)

    patched(monkeypatch, opened)
    before = Rounding.closed
    chosen = choose_precision("openvino", bundle, None, "auto")
    assert chosen is not None
    assert (chosen.precision, asked) == ("bf16", [("openvino", None, "bf16")])
    assert chosen.why == "bf16: engine openvino is off by 2.0e-02 of the golden numbers"
    assert Rounding.closed == before + 1


def test_the_default_where_they_do_not(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    patched(monkeypatch, lambda *args: Rounding(bundle, 0.04))
    before = Rounding.closed
    chosen = choose_precision("openvino", bundle, None, "auto")
    assert chosen is not None
    assert chosen.precision == "f32"
    assert chosen.why.startswith("f32: engine openvino disagrees with the bundle on this")
    assert "its logits are off by 4.0e-02" in chosen.why
    assert Rounding.closed == before + 1


def test_the_default_where_the_processor_lacks_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: object) -> Rounding:
        raise EngineError("engine openvino: this processor does not compute in bf16")

    patched(monkeypatch, refused)
    chosen = choose_precision("openvino", bundle, None, "auto")
    assert chosen is not None
    assert (chosen.precision, chosen.why[:28]) == ("f32", "f32: engine openvino: this p")


def test_the_default_of_an_engine_without_it(bundle: Bundle) -> None:
    installed("onnxruntime")
    chosen = choose_precision("onnxruntime", bundle, None, "auto")
    assert chosen is not None
    assert (chosen.precision, chosen.why) == (None, "f32: engine onnxruntime has no bf16 there")


def test_every_engine_can_do_auto(bundle: Bundle) -> None:
    assert choose_engine("openvino", bundle, None, "auto") == "openvino"
