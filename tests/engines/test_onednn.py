from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from ecolite_stream.engines import onednn
from ecolite_stream.model.bundle import Bundle
from tests.conftest import ROOT

CAP = "ONEDNN_MAX_CPU_ISA"


@pytest.mark.parametrize(
    ("version", "avx512", "users", "capped"),
    [
        ((2, 8), True, {}, False),
        ((2, 9), True, {}, True),
        ((2, 10), True, {}, True),
        ((3, 0), True, {}, True),
        ((2, 10), False, {}, False),
        ((0, 0), True, {}, False),
        ((2, 10), True, {CAP: "AVX512_CORE"}, False),
        ((2, 10), True, {"DNNL_MAX_CPU_ISA": "ALL"}, False),
        ((2, 10), True, {CAP: ""}, False),
    ],
)
def test_the_cap_is_set_only_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
    version: tuple[int, int],
    avx512: bool,
    users: dict[str, str],
    capped: bool,
) -> None:
    environment = dict(users)
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(onednn, "mindspore_version", lambda: version)
    monkeypatch.setattr(onednn, "cpu_has_avx512", lambda: avx512)
    monkeypatch.delitem(sys.modules, "mindspore", raising=False)
    assert onednn.cap_cpu_isa() is capped
    assert environment == ({CAP: "AVX2"} if capped else users)


def test_too_late_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(onednn, "mindspore_version", lambda: (2, 10))
    monkeypatch.setattr(onednn, "cpu_has_avx512", lambda: True)
    monkeypatch.setitem(sys.modules, "mindspore", object())
    assert not onednn.cap_cpu_isa()
    assert "mindspore was imported before ecolite-stream" in caplog.text
    assert os.environ == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2.10.0", (2, 10)), ("2.9.0rc1", (2, 9)), ("2.10rc1", (2, 10)), ("nightly", (0, 0))],
)
def test_versions(monkeypatch: pytest.MonkeyPatch, text: str, expected: tuple[int, int]) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: text)
    assert onednn.mindspore_version() == expected


def test_no_mindspore(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert onednn.mindspore_version() == (0, 0)


def test_processors(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    assert onednn.cpu_has_avx512(cpuinfo)  # the system does not tell
    cpuinfo.write_text("flags : fpu avx2 avx512f avx512dq\n")
    assert onednn.cpu_has_avx512(cpuinfo)
    cpuinfo.write_text("flags : fpu avx2\n")
    assert not onednn.cpu_has_avx512(cpuinfo)


PRETEND = """
import os, sys
from ecolite_stream.engines import onednn
onednn.mindspore_version = lambda: (2, 10)  # whichever is installed
onednn.cpu_has_avx512 = lambda: True
"""
ENTRIES = {
    "import trainer": "import trainer; assert 'mindspore' not in sys.modules",
    "open the engine": """
from ecolite_stream.model.bundle import read_bundle
from ecolite_stream.engines import open_engine
open_engine("mindspore", read_bundle(sys.argv[1]))
assert "mindspore" in sys.modules
""",
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("users", [{}, {"DNNL_MAX_CPU_ISA": "AVX"}])
def test_every_entry_closes_the_trap(entry: str, users: dict[str, str], bundle: Bundle) -> None:
    """In a process of its own, for MindSpore reads the setting once."""
    clean = {k: v for k, v in os.environ.items() if k not in onednn.USER_SETTINGS}
    code = f"{PRETEND}{ENTRIES[entry]}\nprint(os.environ.get({CAP!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle.path)],
        cwd=ROOT,
        env={**clean, **users},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == ("None" if users else "AVX2")
