"""A bundle is written whole or not at all, and only when the engines agree."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from ecolite_stream.engines import installed_engines
from ecolite_stream.engines.check import DISAGREES, Outcome
from ecolite_stream.errors import BundleError, ConfigError, EngineError
from ecolite_stream.model.bundle import EXPORTED, read_bundle
from trainer import export
from trainer.checkpoints import Checkpoint
from trainer.export import check_engines, export_bundle, main, replace_folder, shareable, untrained
from trainer.network import NetworkConfig

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return untrained(NetworkConfig("eco_lite", 4, 32, 2, width=0.125))


@pytest.fixture
def agreeing(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every engine agrees, without being asked; the folders that they would have checked."""
    checked: list[Path] = []
    monkeypatch.setattr(export, "check_engines", lambda bundle: checked.append(bundle.path))
    return checked


def test_what_is_exported(checkpoint: Checkpoint, agreeing: list[Path], tmp_path: Path) -> None:
    bundle = export_bundle(checkpoint, tmp_path / "new" / "bundle")
    assert [graph.file for graph in bundle.graphs] == [graph.file for graph in EXPORTED]
    assert bundle == read_bundle(tmp_path / "new" / "bundle")
    assert len(agreeing) == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["bundle"]


def test_every_engine_is_asked(checkpoint: Checkpoint, tmp_path: Path) -> None:
    bundle = export_bundle(checkpoint, tmp_path / "bundle")
    assert [check.name for check in check_engines(bundle)] == installed_engines()


@pytest.mark.slow
def test_an_engine_that_disagrees_leaves_what_was_there(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bundle"
    with monkeypatch.context() as patch:
        patch.setattr(export, "check_engines", lambda bundle: [])
        first = export_bundle(checkpoint, folder).digest
    monkeypatch.setattr(export, "installed_engines", lambda: ["a", "b"])
    monkeypatch.setattr(
        export, "check_apart", lambda name, bundle: Outcome(name, DISAGREES, None, f"{name} is off")
    )
    with pytest.raises(EngineError, match="a is off; b is off; the bundle was not written"):
        export_bundle(checkpoint, folder)
    assert read_bundle(folder).digest == first
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("what", ["a folder", "a file"])
def test_what_is_no_bundle_is_left_alone(what: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    if what == "a folder":
        mine.mkdir()
        (mine / "thesis.txt").touch()
    else:
        mine.touch()
    with pytest.raises(BundleError, match="is not a bundle; name another folder"):
        export_bundle(checkpoint, mine)
    assert mine.exists()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A new and an old folder, each with a file of that name."""
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    return tmp_path / "new", tmp_path / "old"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_folder_is_replaced(folders: tuple[Path, Path], tmp_path: Path) -> None:
    new, old = folders
    replace_folder(new, old)
    assert names(tmp_path) == ["old", "old/new"]


def test_a_link_stays_one(folders: tuple[Path, Path], tmp_path: Path) -> None:
    new, old = folders
    (tmp_path / "link").symlink_to(old)
    replace_folder(new, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert names(old) == ["new"]


@pytest.mark.parametrize("had_one", [True, False])
def test_what_was_there_comes_back(
    had_one: bool, folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old = folders
    if not had_one:
        shutil.rmtree(old)
    before, rename = names(tmp_path), Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self == new:
            raise OSError("no space left")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="no space left"):
        replace_folder(new, old)
    assert names(tmp_path) == before


def test_an_old_folder_that_cannot_be_moved(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(tmp_path)

    def fail(self: Path, target: Path) -> Path:
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(PermissionError):
        replace_folder(*folders)
    assert names(tmp_path) == before


def test_an_old_folder_that_cannot_be_removed_is_named(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(path: Path) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(shutil, "rmtree", fail)
    new, old = folders
    replace_folder(new, old)
    assert names(old) == ["new"]
    assert "the old bundle is left in " in caplog.text
    assert "not yours" in caplog.text


@pytest.mark.slow
def test_a_bundle_that_cannot_be_written_leaves_the_old_one(
    checkpoint: Checkpoint,
    agreeing: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = export_bundle(checkpoint, tmp_path / "bundle").digest
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == "bundle" and self.parent != tmp_path:
            raise OSError("no space left")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(BundleError, match="bundle cannot be written: no space left"):
        export_bundle(checkpoint, tmp_path / "bundle")
    assert read_bundle(tmp_path / "bundle").digest == first
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_unknown_device(tmp_path: Path) -> None:
    words = ["--untrained", "--device", "tpu", "--bundle", str(tmp_path / "bundle")]
    with pytest.raises(ConfigError, match="device is 'tpu'"):
        main.main(words, standalone_mode=False)


def test_a_bundle_keeps_the_folders_of_its_maker_to_itself() -> None:
    facts = {"output": "/home/me/run", "clips": ["/data/mine", "$DATA/clips"], "seed": 1}
    nested = {"config": facts | {"split_pattern": "/([a-z]+)_"}}
    assert shareable(nested) == {
        "config": {
            "output": "run",
            "clips": ["mine", "$DATA/clips"],
            "seed": 1,
            "split_pattern": "/([a-z]+)_",
        }
    }


def test_facts_that_are_no_utf8_come_back(
    checkpoint: Checkpoint, agreeing: list[Path], tmp_path: Path
) -> None:
    training = {"clips": os.fsdecode(b"T\xfcren")}  # a folder's name of an old Windows share
    spec = dataclasses.replace(checkpoint.spec, training=training)
    bundle = export_bundle(dataclasses.replace(checkpoint, spec=spec), tmp_path / "bundle")
    assert read_bundle(bundle.path).spec.training == training


def test_a_folder_that_no_engine_can_open_is_refused_first(
    checkpoint: Checkpoint, agreeing: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / os.fsdecode(b"T\xfcr") / "bundle"
    with pytest.raises(
        BundleError, match=r"T\\xfcr/bundle has bytes in its path that are not UTF-8"
    ):
        export_bundle(checkpoint, folder)
    assert not agreeing and not folder.parent.exists()
