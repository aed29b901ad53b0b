"""A configuration in several files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.config.includes import load_stream_config
from ecolite_stream.errors import ConfigError


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write the files of a configuration; gives the path of `c.yaml`."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "c.yaml"


def test_sources_come_in_order_and_the_rest_is_of_the_file_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        tmp_path / "etc",
        {
            "c.yaml": "source: own\ninclude: [cameras/*.yaml, more.yaml]\nevery_s: 1",
            "cameras/b.yaml": "source: [b1, b2]",
            "cameras/a.yaml": "source: a",
            "cameras/notes.txt": "no: yaml: at all",
            "more.yaml": "include: deep/d.yaml",
            "deep/d.yaml": "include: ../e.yaml\nsource: d",
            "e.yaml": "source: e",
        },
    )
    expected = ("own", "a", "b1", "b2", "d", "e")
    config = load_stream_config(path)
    assert (config.source, config.every_s) == (expected, 1)
    monkeypatch.chdir(tmp_path)  # relative to the file, not to where somebody stands
    assert load_stream_config(Path("etc/c.yaml")).source == expected


def test_an_absolute_path(tmp_path: Path) -> None:
    other = write(tmp_path / "other", {"x.yaml": "source: x"}).parent
    path = write(tmp_path / "etc", {"c.yaml": f"include: '{other}/*.yaml'"})
    assert load_stream_config(path).source == ("x",)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.yaml": "every_s: 1"}, ["a.yaml: unknown key 'every_s'; known: source, include"]),
        ({"a.yaml": "sources: x"}, ["a.yaml: unknown key 'sources'; did you mean 'source'?"]),
        ({"a.yaml": "source: [1]"}, ["a.yaml: source: expected text, got 1"]),
        ({"a.yaml": "source: {name: x}"}, ["a.yaml: source: missing key url"]),
        ({"a.yaml": "source: [{nam: x, url: y}]"}, ["a.yaml: source: unknown key 'nam'; did you"]),
        ({"a.yaml": "source: [{name: a:b, url: y}]"}, ["a.yaml: source: the name of a source "]),
        ({"a.yaml": "- x"}, ["a.yaml: expected keys and values, got list"]),
        ({}, ["c.yaml: include 'a.yaml' finds no file in "]),
        ({"a.yaml": "include: c.yaml"}, ["a.yaml: includes ", "c.yaml, which has been read"]),
        ({"a.yaml": "include: a.yaml"}, ["a.yaml: includes ", "a.yaml, which has been read"]),
        ({"a.yaml": "include: b.yaml", "b.yaml": "include: a.yaml"}, ["b.yaml: includes "]),
        ({"a.yaml": "include: ['']"}, ["a.yaml: include ''"]),
    ],
)
def test_what_is_refused(tmp_path: Path, files: dict[str, str], words: list[str]) -> None:
    path = write(tmp_path, {"c.yaml": "include: a.yaml", **files})
    with pytest.raises(ConfigError) as caught:
        load_stream_config(path)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "source: {door: 'rtsp://me:hush@door/live'}",
        "source: [['rtsp://me:hush@door/live']]",
        "source:\n- rtsp://me:hush@door/live:",
        "source:\n- {name: 'rtsp://me:hush@door/live', url: camera}",
        "source:\n- {name: gate, url: {name: 'rtsp://me:hush@door'}}",
        "rtsp://me:hush@door/live: 1\nrtsp://me:hush@door/live: 1",
        "source: rtsp://me:hush@door: live",
        "source: 'rtsp://me:hush@door",
        "source: !key rtsp://me:hush@door",
        "every_s: rtsp://me:hush@door",
        "memory: rtsp://me:hush@door",
    ],
)
def test_no_mistake_shows_a_password(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, {"c.yaml": text})
    with pytest.raises(ConfigError) as caught:
        load_stream_config(path)
    assert str(path) in str(caught.value)
    assert "hush" not in str(caught.value)
