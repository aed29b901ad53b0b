"""Tests that wait say what for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, missing_parts
from tests.waiting import eventually


def test_waiting_gives_what_came() -> None:
    answers = iter([0, 0, 7])
    assert eventually(lambda: next(answers)) == 7


def test_waiting_in_vain_names_the_condition() -> None:
    light = "red"
    with pytest.raises(AssertionError, match=r'not within 0 s: .*light == "green"'):
        eventually(lambda: light == "green", limit_s=0)


def test_missing_parts_are_named_once_with_their_tests() -> None:
    reasons = ["mosquitto is not installed"] * 2 + ["this processor has no bfloat16"]
    assert missing_parts(reasons) == ["2 tests skipped: mosquitto is not installed"]


@pytest.mark.parametrize("ci", ["true", ""])
def test_a_real_part_that_is_missing_is_in_the_last_line(tmp_path: Path, ci: str) -> None:
    skipping = "import pytest\ndef test_it(): pytest.skip('mosquitto is not installed')\n"
    (tmp_path / "test_it.py").write_text(skipping)
    options = ("-q", "-p", "tests.conftest", "-p", "no:cacheprovider", f"--rootdir={tmp_path}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-c", "/dev/null", str(tmp_path)],
        env={**os.environ, "CI": ci},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    last = done.stdout.splitlines()[-1]
    assert (last == "1 tests skipped: mosquitto is not installed") == (ci == "true")
    assert done.returncode == 0 and "1 skipped" in done.stdout
