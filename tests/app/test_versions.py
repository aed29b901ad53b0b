"""The folder of versions, and `ecolite-stream models`."""

from __future__ import annotations

import errno
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from ecolite_stream.app.cli import stream
from ecolite_stream.app.versions import (
    CURRENT,
    EMBEDDED,
    add_version,
    bundle_path,
    find_version,
    list_versions,
    remove_version,
    use_previous_version,
    use_version,
)
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import BundleError, ConfigError, EcoliteError
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from tests.app.bundles import changed, renamed

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default folder of versions."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return tmp_path / "state" / "ecolite-stream" / "models"


def current() -> list[str]:
    return [version.digest for version in list_versions() if version.is_current]


def test_versions_are_added_used_and_taken_back(folder: Path, tmp_path: Path) -> None:
    embedded = read_bundle(demo_bundle_path()).digest
    assert [(v.name, v.digest, v.is_current) for v in list_versions()] == [
        (EMBEDDED, embedded, True)
    ]
    scores = {"held_out": {"clips_right": 41, "clips": 50, "wrong": {}}}
    one = renamed(tmp_path / "one", scores=scores)
    two = renamed(tmp_path / "two", "your ")
    assert [add_version(one.path), add_version(str(two.path))] == [one.digest, two.digest]
    assert add_version(one.path) == one.digest  # once more
    found = {version.digest: version for version in list_versions()}
    assert set(found) == {embedded, one.digest, two.digest}
    assert found[one.digest].held_out == (41, 50)
    assert found[two.digest].held_out is None
    assert (found[one.digest].name, found[one.digest].path) == ("one", folder / one.digest)
    assert found[one.digest].created is not None
    assert found[one.digest].created.endswith("Z")
    assert current() == [embedded]

    assert use_version(one.digest) == one.digest
    assert use_version(two.digest[:8]) == two.digest
    assert use_version(two.digest) == two.digest  # it is current already
    assert current() == [two.digest]
    assert bundle_path(StreamConfig()) == folder / two.digest
    assert bundle_path(StreamConfig(bundle=one.path)) == one.path
    assert read_bundle(bundle_path(StreamConfig())).digest == two.digest
    assert [use_previous_version(), use_previous_version()] == [one.digest, embedded]
    assert bundle_path(StreamConfig()) == demo_bundle_path()
    with pytest.raises(ConfigError, match="no version was used before"):
        use_previous_version()
    use_version(one.digest)
    use_version(EMBEDDED)
    assert current() == [embedded]
    assert use_previous_version() == one.digest


def test_a_version_is_removed(folder: Path, tmp_path: Path) -> None:
    one, two = renamed(tmp_path / "one"), renamed(tmp_path / "two", "your ")
    for bundle in (one, two):
        use_version(add_version(bundle.path))
    with pytest.raises(ConfigError, match="is the current one"):
        remove_version(two.digest)
    assert remove_version(one.digest[:10]) == one.digest
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [two.digest, f"{two.digest}.json", CURRENT]
    )
    assert use_previous_version() == read_bundle(demo_bundle_path()).digest
    with pytest.raises(ConfigError, match="there is no version"):
        remove_version(EMBEDDED)


def test_a_folder_may_be_elsewhere(tmp_path: Path) -> None:
    own = tmp_path / "own"
    bundle = renamed(tmp_path / "one")
    use_version(add_version(bundle.path, own), own)
    assert bundle_path(StreamConfig(models=own)) == own / bundle.digest


@pytest.mark.parametrize(
    "name", ["0" * 64, "0000", "", "../one", "/etc", ".", "ab\0cd", "/\0", "é" * 9]
)
def test_unknown_versions_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    renamed(tmp_path / "one")
    add_version(tmp_path / "one")
    with pytest.raises(ConfigError):
        find_version(name)


def test_only_bundles_in_the_folder_have_a_path(folder: Path, tmp_path: Path) -> None:
    bundle = renamed(tmp_path / "one")
    digest = add_version(bundle.path)
    assert find_version(str(folder / digest)).digest == digest
    with pytest.raises(ConfigError, match="not in the folder of models"):
        find_version(str(bundle.path))
    with pytest.raises(ConfigError, match="not in the folder of models"):
        find_version(f"{folder}/../../one")
    (folder / ("a" * 64)).symlink_to(bundle.path)
    with pytest.raises(ConfigError):
        find_version(str(folder / ("a" * 64)))


def test_what_is_damaged_is_not_added_and_not_used(folder: Path, tmp_path: Path) -> None:
    bundle = renamed(tmp_path / "one")
    digest = add_version(bundle.path)
    for place in (bundle.path, folder / digest):
        with (place / "head_2d.onnx").open("ab") as file:
            file.write(b"x")
    with pytest.raises(BundleError, match="damaged"):
        add_version(bundle.path)
    with pytest.raises(BundleError, match="damaged"):
        use_version(digest)
    assert current() == [read_bundle(demo_bundle_path()).digest]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("text", ["{", "[]", '{"current": "../x"}', '{"before": 3}', "\xff"])
def test_a_damaged_note_is_one_line(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / CURRENT).write_text(text, encoding="latin-1")
    with pytest.raises(EcoliteError) as caught:
        bundle_path(StreamConfig())
    assert str(folder / CURRENT) in str(caught.value)


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    bundle = renamed(tmp_path / "one")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        add_version(bundle.path, tmp_path / "file")
    assert [v.name for v in list_versions(tmp_path / "file")] == [EMBEDDED]


def test_the_command(folder: Path, tmp_path: Path) -> None:
    scores = {"held_out": {"clips_right": 41, "clips": 50}}
    bundle = changed(tmp_path / "my\nactions", scores=scores)

    def models(*words: str) -> str:
        result = CliRunner().invoke(stream, ["models", *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert models("add", str(bundle.path)).strip() == bundle.digest
    assert "SIGHUP" in models("use", bundle.digest[:12])
    lines = models("list").splitlines()
    assert models().splitlines() == lines
    assert len(lines) == 2
    assert lines[0].startswith("   ")
    assert lines[0].endswith(EMBEDDED)
    assert lines[1].startswith(f"*  {bundle.digest[:12]}")
    assert lines[1].endswith("41 of 50 held-out clips right")
    models("back")
    models("remove", bundle.digest)
    assert len(models().splitlines()) == 1
    own = tmp_path / "c.yaml"
    own.write_text(f"models: {tmp_path}/own")
    models("--config", str(own), "add", str(bundle.path))
    assert len(models("--folder", f"{tmp_path}/own").splitlines()) == 2
    assert json.loads((tmp_path / "own" / f"{bundle.digest}.json").read_text())["created"]


def test_a_full_disk_leaves_the_versions_as_they_were(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = renamed(tmp_path / "one")
    add_version(one.path)
    before = sorted(path.name for path in folder.rglob("*"))

    def full(path: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        use_version(one.digest)
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_two_programs_that_change_versions_lose_no_history(folder: Path, tmp_path: Path) -> None:
    bundles = [renamed(tmp_path / f"b{n}", f"{n} ") for n in range(3)]
    for bundle in bundles:
        add_version(bundle.path)
    with ThreadPoolExecutor(3) as programs:
        list(programs.map(use_version, [bundle.digest for bundle in bundles]))
    facts = json.loads((folder / CURRENT).read_text())
    assert {facts["current"], *facts["before"]} == {"", *(bundle.digest for bundle in bundles)}
