"""The folder of an archive: what is kept, resumed and refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ecolite_stream.archive.folder import MANIFEST, ArchiveFolder
from ecolite_stream.archive.tasks import Results, Task, task_of
from ecolite_stream.errors import ConfigError

SETTINGS: dict[str, Any] = {"bundle": "ab", "every_s": 0.5}
RESULTS = Results(b'{"label": "jump"}\n', b"")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    (tmp_path / "a.mp4").write_bytes(b"video")
    return task_of(tmp_path / "a.mp4", SETTINGS)


@pytest.fixture
def out(tmp_path: Path, task: Task) -> Path:
    """An archive of one finished recording."""
    with ArchiveFolder(tmp_path / "out", SETTINGS) as folder:
        assert not folder.is_finished(task)
        folder.write(task, RESULTS)
        assert folder.is_finished(task)
    return tmp_path / "out"


def is_finished(out: Path, task: Task) -> bool:
    with ArchiveFolder(out, SETTINGS) as folder:
        return folder.is_finished(task)


def test_what_is_finished_stays_finished(out: Path, task: Task) -> None:
    assert is_finished(out, task)
    with ArchiveFolder(out, SETTINGS) as folder:
        assert folder.path(task, "predictions").read_bytes() == RESULTS.predictions
        assert folder.path(task, "events").read_bytes() == b""
    assert sorted(p.name for p in out.iterdir()) == [MANIFEST, "results"]


def test_results_that_are_damaged_or_gone_are_made_again(out: Path, task: Task) -> None:
    (path,) = out.glob("results/*.predictions.jsonl")
    path.write_bytes(b'{"label": "jum"}\n')
    assert not is_finished(out, task)
    path.unlink()
    assert not is_finished(out, task)


def test_a_recording_that_has_changed_is_recognized_again(out: Path, task: Task) -> None:
    task.path.write_bytes(b"another")
    assert not is_finished(out, task_of(task.path, SETTINGS))


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_costs_one_recording(
    out: Path, task: Task, tmp_path: Path, cut: int
) -> None:
    other = tmp_path / "b.mp4"
    other.write_bytes(b"v")
    second = task_of(other, SETTINGS)
    with ArchiveFolder(out, SETTINGS) as folder:
        folder.write(second, RESULTS)
    manifest = out / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:-cut])
    with ArchiveFolder(out, SETTINGS) as folder:
        assert (folder.is_finished(task), folder.is_finished(second)) == (True, False)
        folder.write(second, RESULTS)
    assert is_finished(out, second)


def test_what_a_killed_run_left_half_written_is_removed(out: Path, task: Task) -> None:
    part = out / "results" / ".a.12345678.part"
    part.touch()
    assert is_finished(out, task)
    assert not part.exists()


def test_two_recordings_of_one_name_have_results_of_their_own(tmp_path: Path) -> None:
    with ArchiveFolder(tmp_path / "out", SETTINGS) as folder:
        paths = [
            folder.path(Task(Path(name), name, 1, 1, "0" * 32), "events")
            for name in ("/a/x.mp4", "/b/x.mp4", "/a/" + 80 * "é" + ".mp4", "/a/caf\udce9.mp4")
        ]
        for path in paths:
            path.touch()
    assert len(set(paths)) == 4
    assert all(path.name.isascii() for path in paths)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"notes.txt": "x"}, "is not empty and holds no manifest.jsonl"),
        ({MANIFEST: "{}\n"}, "manifest.jsonl is damaged"),
        ({MANIFEST: "no json\n"}, "manifest.jsonl is damaged"),
        ({MANIFEST: '{"ecolite_archive": 1, "settings": 3}\n'}, "manifest.jsonl is damaged"),
        ({MANIFEST: '{"ecolite_archive": 9, "settings": {}}\n'}, "of another version"),
        (
            {MANIFEST: json.dumps({"ecolite_archive": 1, "settings": {**SETTINGS, "top": 3}})},
            None,  # without its end of line it was never whole: the folder is new
        ),
        (
            {MANIFEST: '{"ecolite_archive": 1, "settings": {"bundle": "cd", "every_s": 0.5}}\n'},
            "is another archive: it was made with another bundle; choose another folder",
        ),
    ],
)
def test_folders_of_something_else(
    tmp_path: Path, content: dict[str, str], message: str | None
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name, text in content.items():
        (out / name).write_text(text)
    if message is None:
        ArchiveFolder(out, SETTINGS).close()
        return
    with pytest.raises(ConfigError, match=message):
        ArchiveFolder(out, SETTINGS)
    assert {path.name: path.read_text() for path in out.iterdir()} == content


def test_a_file_in_its_place_and_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        ArchiveFolder(tmp_path / "file", SETTINGS)
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        ArchiveFolder(tmp_path / "no" / "parent", SETTINGS)


@pytest.mark.skipif(os.name == "nt", reason="not locked there")
def test_one_run_at_a_time(out: Path) -> None:
    with ArchiveFolder(out, SETTINGS):  # noqa: SIM117
        with pytest.raises(ConfigError, match="another run writes to it"):
            ArchiveFolder(out, SETTINGS)
    ArchiveFolder(out, SETTINGS).close()
