"""Peak memory: of a process and of what it has started."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ecolite_stream.bench.measuring.peak import Peak, peak_apart
from ecolite_stream.engines import Engine
from ecolite_stream.model.bundle import Bundle
from tests.fakes import NumberEngine

CHILD_MB = 200


class InAnotherProcess(NumberEngine):
    """An engine that keeps `CHILD_MB` in a process that it starts."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        code = f"x = bytearray({CHILD_MB} * 10**6); print(flush=True); input()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def close(self) -> None:
        self.process.communicate(b"\n", timeout=10)
        super().close()


class Here(NumberEngine):
    """The same without it."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()


@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
def test_an_engine_in_another_process_is_measured_whole(bundle: Bundle) -> None:
    def engine_mb(make: type[Engine]) -> float:
        peak = peak_apart(make, bundle)
        assert isinstance(peak, Peak)
        return peak.peak_mb - peak.before_mb

    assert engine_mb(InAnotherProcess) - engine_mb(Here) > CHILD_MB
