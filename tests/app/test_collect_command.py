"""`ecolite-stream collect`, as people call it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.datasets.collected import read_collected
from ecolite_stream.media.h264 import INDEX_FIRST, Mp4Writer
from tests.conftest import ROOT
from tests.videos import write_numbered_video


def collect(*words: object, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ecolite_stream", "collect", *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, input=typed, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "long.mp4"
    writer = Mp4Writer(path, INDEX_FIRST)
    for number in range(100):
        writer.add(np.full((48, 64, 3), number, np.uint8), number / 20)
    writer.close()
    return path


def test_a_recording_is_cut_at_its_track_and_listed(recording: Path, tmp_path: Path) -> None:
    track = tmp_path / "t.csv"
    track.write_text("start_s,end_s,label\n0,2,fall\n2,4,sit\n4,4.1,sit\n")
    done = collect("--source", recording, "--track", track, "--into", tmp_path / "clips")
    assert done.returncode == 2
    assert "no clip: a clip of sit would last" in done.stderr
    assert "1 of 3 segments gave no clip" in done.stderr
    assert sorted(read_collected(tmp_path / "clips")) == [
        "fall/long-0.00.mp4",
        "sit/long-2.00.mp4",
    ]
    listed = collect("--list", tmp_path / "clips")
    assert listed.returncode == 0
    assert "2 clips of 2 actions" in listed.stdout


def test_the_first_seconds_of_a_recording(recording: Path, tmp_path: Path) -> None:
    done = collect(
        *("--source", f"door={recording}", "--label", "fall", "--into", tmp_path),
        *("--seconds", 2, "--box", "0,0,0.5,1"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    [row] = read_collected(tmp_path).values()
    assert (row.label, row.stream, row.view, row.start) == ("fall", "door", "0,0,0.5,1", "0.00")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--from-events, --list or --remove"),
        (("--source", "FILM", "--label", "fall", "--into", "INTO"), "is a recording"),
        (("--source", "FILM", "--label", "../up", "--into", "INTO", "--seconds", "2"), "one line"),
        (("--source", "FILM", "--label", "a\nb", "--into", "INTO", "--seconds", "2"), "one line"),
        (("--source", "FILM", "--track", "FILM", "--into", "INTO"), "label track"),
        (("--source", "FILM", "--label", "a", "--into", "INTO", "--seconds", "0.1"), "0.5"),
        (("--source", "FILM", "--label", "a", "--into", "INTO", "--box", "1,2"), "--box"),
        (("--list", "INTO"), "does not exist"),
        (("--from-events",), "--into DIR"),
        (("--from-events", "--into", "INTO", "--store", "sqlite:///no.db"), "--clips FOLDER"),
        (("--remove", "INTO"), "has no clips.csv"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: tuple[str, ...], says: str, recording: Path, tmp_path: Path
) -> None:
    places = {"FILM": str(recording), "INTO": str(tmp_path / "clips")}
    done = collect(*(places.get(word, word) for word in words))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "clips").exists()


def test_a_source_without_an_end_is_left_when_the_clip_is_there(tmp_path: Path) -> None:
    done = collect("--source", "pattern", "--label", "fall", "--into", tmp_path, "--seconds", 1)
    assert done.returncode == 0, done.stderr
    assert len(read_collected(tmp_path)) == 1


def test_corrected_events_are_collected_once_and_removed(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra `store` is not installed")
    from ecolite_stream.store import queries
    from ecolite_stream.store.database import Database
    from tests.web.history import history

    url, ids = history(tmp_path, 3)
    database = Database(url)
    with database.begin() as connection:
        for event_id in ids[:2]:
            queries.review(connection, event_id, "label", "fall")
    database.close()
    write_numbered_video(tmp_path / f"{ids[0]}.mp4", 50, codec="libx264")
    into = tmp_path / "mine"
    words = ("--from-events", "--store", url, "--clips", tmp_path, "--into", into)
    done = collect(*words)
    assert done.returncode == 2
    assert f"warning: event {ids[1]}: its clip {ids[1]}.mp4 is not in" in done.stderr
    assert "1 events collected; 0 were collected before" in done.stderr
    assert done.stdout.strip() == str(into / "fall" / f"event-{ids[0]}.mp4")
    write_numbered_video(tmp_path / f"{ids[1]}.mp4", 50, codec="libx264")
    done = collect(*words)
    assert (done.returncode, "1 were collected before" in done.stderr) == (0, True)
    done = collect("--remove", into)
    assert (done.returncode, done.stdout) == (0, f"deleted 2 clips of {into}\n")
    assert not into.exists()
