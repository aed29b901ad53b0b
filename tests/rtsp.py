"""A real RTSP server for tests, where this machine has what it takes."""

from __future__ import annotations

import pytest

from ecolite_stream.bench.robustness.rtsp import RtspServer as RtspServer
from ecolite_stream.bench.robustness.rtsp import why_not


def skip_without_rtsp() -> None:
    """Skip the test where there is no such server."""
    if reason := why_not():
        pytest.skip(reason)
