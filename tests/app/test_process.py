"""`ecolite-stream` in a process of its own: signals, pipes and ports."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from ecolite_stream.model.bundle import Bundle
from tests.app.runs import Command, start, unused_port
from tests.conftest import installed
from tests.sinks.test_sinks import KEYS

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    "args",
    [
        ["--source", "pattern", "--realtime"],
        ["--source", "pattern", "--source", "pattern", "--engine", "mindspore"],
    ],
)
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_cleanly(bundle: Bundle, args: list[str], kind: signal.Signals) -> None:
    with start(bundle, *args) as process:
        assert process.stdout is not None
        assert " s  " in process.stdout.readline()
        process.send_signal(kind)
        _, err = process.communicate(timeout=5)
    assert (process.returncode, err) == (130, "")


@pytest.mark.parametrize("wait_s", [0.5, 0.8, 1.2, 2.0])
def test_an_interrupt_at_any_time_ends_without_a_word(bundle: Bundle, wait_s: float) -> None:
    """While the program, MindSpore, or the engine comes up too."""
    args = ["--source", "pattern", "--realtime", "--engine", installed("mindspore")]
    with start(bundle, *args) as process:
        time.sleep(wait_s)  # whatever it is at then
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) in [(130, ""), (-signal.SIGINT, "")]  # before Python is up


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_every_line_is_whole_when_a_busy_run_is_ended(
    bundle: Bundle, tmp_path: Path, kind: signal.Signals
) -> None:
    args = ["--every", "0.01", "--json", *["--source", "pattern"] * 3]
    path = tmp_path / "lines.jsonl"
    with path.open("w") as lines, start(bundle, *args, stdout=lines) as process:
        while path.stat().st_size < 10_000 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(kind)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "")
    out = path.read_text()
    assert out.endswith("\n")
    assert all(list(json.loads(line)) == KEYS for line in out.splitlines())


def test_metrics_of_a_live_run_are_served_to_this_machine_only(bundle: Bundle) -> None:
    port = unused_port()
    args = ["--source", "pattern", "--realtime", "--metrics", str(port)]
    with start(bundle, *args) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        process.terminate()
        process.communicate(timeout=10)
    assert re.search(
        r'^ecolite_predictions_total\{label="\w+",stream="pattern",view=""\} ', text, re.M
    )
    assert 'ecolite_stream_state{ecolite_stream_state="live",stream="pattern"} 1.0' in text
    assert "ecolite_stage_seconds_bucket" in text


def test_a_port_that_is_taken_leaves_no_files_behind(
    ecolite: Command, film: Path, tmp_path: Path
) -> None:
    run_folder, log = tmp_path / "run", tmp_path / "log.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        metrics = ("--metrics", taken.getsockname()[1])
        result = ecolite("--source", film, "--record", run_folder, "--json-file", log, *metrics)
    assert result.exit_code == 2 and "choose another port" in result.error
    assert not run_folder.exists() and not log.exists()


@pytest.mark.parametrize("args", [[], ["--json"]])
def test_a_reader_that_leaves(bundle: Bundle, args: list[str]) -> None:
    """As in `ecolite-stream ... | head -1`."""
    with start(bundle, "--source", "pattern", *args) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_ends_with_1(bundle: Bundle) -> None:
    with (
        Path("/dev/full").open("w") as full,
        start(bundle, "--source", "pattern", stdout=full) as process,
    ):
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert re.fullmatch(
        r"error: .*No space left on device; choose another place or make room\n", err
    )


def test_exit_codes_reach_the_shell(bundle: Bundle) -> None:
    for args, code in [(["--source", "pattern:seconds=1"], 0), (["--source", "none.mp4"], 3)]:
        with start(bundle, *args) as process:
            out, err = process.communicate(timeout=30)
        assert process.returncode == code
        assert bool(out) is (code == 0)
        assert len(err.splitlines()) == (code != 0)
