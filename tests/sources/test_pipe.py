"""Standard input as a source: nothing is lost, and what cannot be read is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ecolite_stream.app.build import stream_inputs
from ecolite_stream.errors import ConfigError
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(120)


def stream(*words: str, stdin: object = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ecolite_stream", "--json", *words],
        stdin=stdin,  # type: ignore[call-overload]
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("suffix", ["ts", "mkv", "avi"])
def test_a_piped_video_gives_the_labels_of_the_file(tmp_path: Path, suffix: str) -> None:
    video = tmp_path / f"video.{suffix}"
    write_numbered_video(video, 100)
    with subprocess.Popen(["cat", video], stdout=subprocess.PIPE) as writer:
        piped = stream("--source", "-", stdin=writer.stdout)
    assert piped.returncode == 0, piped.stderr
    lines = [json.loads(line) for line in piped.stdout.splitlines()]
    read = [json.loads(line) for line in stream("--source", str(video)).stdout.splitlines()]
    assert {line.pop("stream") for line in lines} == {"stdin"}
    for line in (*lines, *read):
        line.pop("latency_ms")
        line.pop("stream", None)
    assert lines == read and len(lines) > 3


def test_nothing_piped_in_is_said_at_once() -> None:
    ended = stream("--source", "-")
    assert ended.returncode == 3
    assert ended.stderr.startswith("error: stdin: nothing is piped in; as in: ffmpeg")


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no video " * 1000)
    with subprocess.Popen(["cat", tmp_path / "text"], stdout=subprocess.PIPE) as writer:
        ended = stream("--source", "-", stdin=writer.stdout)
    assert ended.returncode == 3
    assert ended.stderr.startswith("error: stdin: ") and ended.stderr.count("\n") == 1


def test_it_can_be_read_once() -> None:
    with pytest.raises(ConfigError, match="is a source twice"):
        stream_inputs(["-", "a.avi", "-"])
    assert [stream.name for stream in stream_inputs(["-", "a.avi"])] == ["stdin", "a.avi"]
