"""Check an engine on this machine against a bundle's golden numbers.

`check_apart` runs it in a separate process, so an engine may hang or crash.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.engines import installed_engines, open_engine, require_graphs
from ecolite_stream.engines.base import Engine, GraphEngine
from ecolite_stream.errors import EcoliteError, EngineError, one_line
from ecolite_stream.model.bundle import Bundle, read_bundle
from ecolite_stream.model.golden import Golden
from ecolite_stream.model.preprocess import preprocess
from ecolite_stream.types import FloatArray

TOLERANCES = {"f32": 1e-3, "f16": 1e-2, "bf16": 3e-2, "int8": 5e-2}
"""Largest allowed error, relative to the largest expected value, by precision. float16 has three
digits: the embedded model loses 0.8e-3 in it, others more
(`trainer.reference.half`). bfloat16 has two: 4.8e-3 (`ecolite-bench engines --precision bf16`)."""

REPETITIONS = 5
TIMEOUT_S = 300.0
AGREES, DISAGREES, FAILED, CANNOT_RUN = "agrees", "disagrees", "failed", "cannot run it"


@dataclass(frozen=True)
class Check:
    """Result of the golden numbers on one engine.

    Attributes:
        name: of the engine.
        feature_error: `relative_error` of all features.
        logit_error: `relative_error` of the logits.
        same_label: whether the label with the highest score is the golden one.
        encode_ms: the median time to encode one frame, in milliseconds.
        classify_ms: the median time to classify one clip, in milliseconds.
        precision: one of `TOLERANCES`.
    """

    name: str
    feature_error: float
    logit_error: float
    same_label: bool
    encode_ms: float
    classify_ms: float
    precision: str = "f32"

    @property
    def tolerance(self) -> float:
        """Its value in `TOLERANCES`."""
        return TOLERANCES[self.precision]

    def require(self) -> None:
        """Check that features and logits are within `tolerance`.

        Raises:
            EngineError: they are not.
        """
        for what, error in (("features", self.feature_error), ("logits", self.logit_error)):
            if not error <= self.tolerance:
                others = [name for name in installed_engines() if name != self.name]
                raise EngineError(
                    f"engine {self.name} disagrees with the bundle on this processor "
                    f"({platform.machine()}): its {what} are off by {error:.1e}, at most "
                    f"{self.tolerance:.0e} is allowed in {self.precision}; use another engine"
                    + (f": {' or '.join(others)}" if others else "")
                )


@dataclass(frozen=True)
class Outcome:
    """Outcome of a check in a separate process.

    Attributes:
        engine: its name.
        state: `AGREES`, `DISAGREES`, `FAILED`, `CANNOT_RUN`, `crashed (signal 11)` or
            `no answer in 300 s`.
        check: the numbers, if the engine computed them.
        detail: one line, or empty.
    """

    engine: str
    state: str
    check: Check | None = None
    detail: str = ""

    def __str__(self) -> str:
        """One line, for errors."""
        return self.detail or f"engine {self.engine}: {self.state}"


def check_engine(engine: GraphEngine, bundle: Bundle) -> Check:
    """Run a bundle's golden input on an engine.

    Raises:
        BundleError: the bundle has no golden numbers.
        EngineError: the engine cannot compute them, or is off by more than its tolerance.
    """
    check = measure(engine, bundle)
    check.require()
    return check


def open_checked(
    name: str,
    bundle: Bundle,
    device: str | None = None,
    precision: str | None = None,
    reuse: bool = False,
) -> GraphEngine:
    """Open an engine as `open_engine` does and check it against the golden numbers.

    Every command that computes labels opens its engine with this function: a library can compute
    wrong numbers on a processor without an error. The check costs about one clip.

    Raises:
        ConfigError: there is no such device.
        BundleError: the bundle has no golden numbers.
        EngineError: it cannot be opened or is off by more than its tolerance.
    """
    engine: GraphEngine | None = None
    try:
        engine = open_engine(name, bundle, device, precision, reuse)
        compare(engine, bundle, engine.precision).require()
        return engine
    except BaseException as error:
        if engine is not None:
            engine.close()
        if isinstance(error, MemoryError):
            raise EngineError(f"{bundle.path}: memory is full; free some and try again") from error
        raise


def measure(engine: GraphEngine, bundle: Bundle) -> Check:
    """Compute what `check_engine` checks: all frames in one batch, then the times."""
    golden = bundle.golden(engine.precision)
    inputs = _inputs(golden, bundle)
    features = engine.encode(inputs)
    return dataclasses.replace(
        _compared(engine, golden, features, engine.precision),
        encode_ms=_median_ms(lambda: engine.encode(inputs[:1])),
        classify_ms=_median_ms(lambda: engine.classify(features[None])),
    )


def compare(engine: Engine, bundle: Bundle, precision: str = "f32") -> Check:
    """Run the golden input frame by frame, as from a camera, untimed.

    Single frames are cheaper here than a batch: `warm_up` has run one, and libraries prepare
    themselves anew for each shape.

    Raises:
        BundleError: the bundle has no golden numbers.
        EngineError: the engine cannot compute them.
    """
    golden = bundle.golden(precision)
    features = [engine.encode(frame[None]) for frame in _inputs(golden, bundle)]
    return _compared(engine, golden, np.concatenate(features), precision)


def _inputs(golden: Golden, bundle: Bundle) -> FloatArray:
    """The golden images, (N, 3, S, S)."""
    return np.stack([preprocess(image, bundle.spec.preprocessing) for image in golden.images])


def _compared(engine: Engine, golden: Golden, features: FloatArray, precision: str) -> Check:
    """The untimed check of features (N, *feature_shape) and the logits that they give."""
    logits = engine.classify(features[None])[0]
    return Check(
        engine.name,
        relative_error(features, golden.features),
        relative_error(logits, golden.logits),
        int(logits.argmax()) == int(golden.logits.argmax()),
        encode_ms=0.0,
        classify_ms=0.0,
        precision=precision,
    )


def relative_error(found: FloatArray, expected: FloatArray) -> float:
    """Largest difference, relative to the largest expected value.

    NaN and another shape count as infinite.
    """
    if found.shape != expected.shape:
        return np.inf
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    return error if np.isfinite(error) else np.inf


def check_apart(
    name: str,
    bundle: Bundle,
    device: str | None = None,
    precision: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Outcome:
    """Check one engine in a separate process with a time limit.

    Args:
        name: of the engine.
        bundle: the model; read again from its folder.
        device, precision: as for `open_engine`.
        timeout_s: limit of opening and checking, in seconds.

    Raises:
        ConfigError: there is no such device.
    """
    try:
        require_graphs(name, bundle, device, precision)
    except EngineError as error:
        return Outcome(name, CANNOT_RUN, detail=one_line(error))
    words = [name, str(bundle.path.resolve()), device or "", precision or ""]
    return run_apart(name, [sys.executable, "-m", __name__, *words], timeout_s)


def run_apart(name: str, command: Sequence[str], timeout_s: float) -> Outcome:
    """Run a command whose last line on stdout is an outcome as JSON; see `check_apart`."""
    root = str(Path(__file__).parents[2])  # the same program as this one
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(name, f"no answer in {timeout_s:g} s")
    except OSError as error:
        return Outcome(name, FAILED, detail=f"engine {name} cannot be started: {error}")
    if done.returncode < 0:
        return Outcome(name, f"crashed (signal {-done.returncode})")
    outcome = _outcome(name, done)
    if outcome.state == FAILED:  # a detail may name what was said before
        sys.stderr.write(done.stderr)
    return outcome


def _outcome(name: str, done: subprocess.CompletedProcess[str]) -> Outcome:
    with contextlib.suppress(ValueError, LookupError, TypeError):
        answer = json.loads(done.stdout.splitlines()[-1])
        check = Check(**answer["check"]) if answer["check"] else None
        return Outcome(name, answer["state"], check, answer["detail"])
    last = done.stderr.strip().splitlines()[-1:]
    detail = f"engine {name} gave no answer, exit code {done.returncode}: {' '.join(last)}"
    return Outcome(name, FAILED, detail=detail)


def check_here(name: str, path: str, device: str = "", precision: str = "") -> Outcome:
    """Open and check an engine in this process; errors are part of the outcome."""
    check = None
    try:
        bundle = read_bundle(path)
        engine = open_engine(name, bundle, device or None, precision or None)
        check = measure(engine, bundle)
        engine.close()
        check.require()
    except EcoliteError as error:
        return Outcome(name, DISAGREES if check else FAILED, check, one_line(error))
    return Outcome(name, AGREES, check)


def _median_ms(call: Callable[[], Any]) -> float:
    call()
    times_s = []
    for _ in range(REPETITIONS):
        start_s = time.perf_counter()
        call()
        times_s.append(time.perf_counter() - start_s)
    return 1000 * float(np.median(times_s))


if __name__ == "__main__":
    print(json.dumps(asdict(check_here(*sys.argv[1:]))))
