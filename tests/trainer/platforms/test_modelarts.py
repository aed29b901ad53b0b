"""What a training on ModelArts copies in and out; the same outside it."""

from __future__ import annotations

import os
import sys
import types
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ecolite_stream.errors import ConfigError
from trainer.config.load import load_train_config
from trainer.config.schema import TrainConfig
from trainer.platforms import modelarts
from trainer.platforms.modelarts import copy_in, copy_out
from trainer.platforms.transfer import copy_tree, unpack


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """A bucket: an archive of frames, and a checkpoint."""
    folder = tmp_path / "bucket"
    (folder / "data").mkdir(parents=True)
    (folder / "weights").mkdir()
    with zipfile.ZipFile(folder / "data" / "frames.zip", "w") as archive:
        archive.writestr("frames/a/1.jpg", b"picture")
    (folder / "weights" / "kinetics.ckpt").write_bytes(b"weights")
    return folder


def words_of(bucket: Path, tmp_path: Path) -> list[str]:
    return [
        "--enable_modelarts=true",
        f"--data_url={bucket / 'data'}",
        f"--train_url={bucket / 'results'}",
        f"--checkpoint_url={bucket / 'weights'}",
        f"--data_path={tmp_path / 'cache' / 'data'}",
        f"--output_path={tmp_path / 'cache' / 'train'}",
        f"--load_path={tmp_path / 'cache' / 'weights'}",
        "--need_modelarts_dataset_unzip=true",
        "--modelarts_dataset_unzip_name=frames",
        "--train_list=train.txt",
        "--val_list=val.txt",
        "--checkpoint_path=kinetics.ckpt",
    ]


def config(bucket: Path, tmp_path: Path) -> TrainConfig:
    return load_train_config(None, words_of(bucket, tmp_path))


def test_data_and_checkpoint_come_in_and_results_go_out(bucket: Path, tmp_path: Path) -> None:
    copied = copy_in(config(bucket, tmp_path))
    cache = tmp_path / "cache"
    assert (cache / "data" / "frames" / "a" / "1.jpg").read_bytes() == b"picture"
    assert copied.init_checkpoint == cache / "weights" / "kinetics.ckpt"
    assert copied.init_checkpoint.read_bytes() == b"weights"
    copied.output.mkdir()
    (copied.output / "last.ckpt").write_bytes(b"learned")
    copy_out(copied)
    assert (bucket / "results" / "last.ckpt").read_bytes() == b"learned"


def test_the_archive_is_copied_once_a_host(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    unpacked: list[Path] = []
    monkeypatch.setattr(modelarts, "_copy", lambda source, target: copied.append(source))
    monkeypatch.setattr(modelarts, "unpack", lambda path, folder: unpacked.append(path))
    settings = config(bucket, tmp_path)
    with ThreadPoolExecutor(4) as pool:  # each opens the lock file for itself, as processes do
        list(pool.map(copy_in, [settings] * 4))
    assert sorted(copied) == [str(bucket / "data"), str(bucket / "weights")]
    assert len(unpacked) == 1


def test_moxing_copies_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    moxing = types.ModuleType("moxing")
    moxing.file = types.SimpleNamespace(  # type: ignore[attr-defined]
        copy_parallel=lambda source, target: calls.append((source, target))
    )
    monkeypatch.setitem(sys.modules, "moxing", moxing)
    settings = load_train_config(
        None,
        f"--enable_modelarts true --data_url obs://b/data --train_url obs://b/out "
        f"--data_path {tmp_path / 'data'} --output_path {tmp_path / 'out'} "
        "--train_list t --val_list v".split(),
    )
    copy_out(copy_in(settings))
    assert calls == [
        ("obs://b/data", str(tmp_path / "data")),
        (str(tmp_path / "out"), "obs://b/out"),
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--data_url=obs://bucket/data", "is on a storage service, and moxing"),
        ("--data_url=nowhere", "nowhere does not exist; expected a folder to copy from"),
        ("--modelarts_dataset_unzip_name=other", r"other\.zip cannot be unpacked"),
        ("--data_path=''", "data_url needs data_path"),
    ],
)
def test_what_cannot_be_copied_is_said(
    bucket: Path, tmp_path: Path, word: str, message: str
) -> None:
    key = word.split("=")[0]
    chosen = {w.split("=")[0]: w for w in words_of(bucket, tmp_path)} | {key: word}
    settings = load_train_config(None, list(chosen.values()))
    with pytest.raises(ConfigError, match=message):
        copy_in(settings)


def test_a_copy_that_failed_is_tried_again(bucket: Path, tmp_path: Path) -> None:
    archive = bucket / "data" / "frames.zip"
    content = archive.read_bytes()
    archive.write_bytes(b"damaged")
    settings = config(bucket, tmp_path)
    with pytest.raises(ConfigError, match="cannot be unpacked"):
        copy_in(settings)
    archive.write_bytes(content)
    copy_in(settings)
    assert (tmp_path / "cache" / "data" / "frames" / "a" / "1.jpg").is_file()


@pytest.mark.parametrize("target", ["/etc/hostname", "/dev/zero", "../outside", "gone", "circle"])
def test_links_out_of_data_url_are_refused(bucket: Path, tmp_path: Path, target: str) -> None:
    (bucket / "outside").write_text("secret")
    (bucket / "data" / ("circle" if target == "circle" else "link")).symlink_to(target)
    with pytest.raises(ConfigError, match=r"is a link out of .*copy the files themselves"):
        copy_in(config(bucket, tmp_path))
    assert not (tmp_path / "cache" / "data" / "frames.zip").exists()


def test_pipes_in_data_url_are_refused(bucket: Path, tmp_path: Path) -> None:
    os.mkfifo(bucket / "data" / "pipe")
    with pytest.raises(ConfigError, match="a device or a pipe"):
        copy_in(config(bucket, tmp_path))


def test_links_within_data_url_stay_links(bucket: Path, tmp_path: Path) -> None:
    data = bucket / "data"
    (data / "more").mkdir()
    (data / "more" / "a.txt").write_text("a")
    (data / "more" / "up").symlink_to("..")  # following it would never end
    (data / "whole").symlink_to(data / "more" / "a.txt")
    copied = tmp_path / "cache" / "data"
    for _ in range(2):  # again over what is there
        copy_tree(data, copied, strict=True)
    assert (copied / "whole").read_text() == "a"
    assert (copied / "whole").resolve() == copied / "more" / "a.txt"
    assert (copied / "more" / "up").is_symlink()


def test_results_come_out_without_what_links_lead_to(
    bucket: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = config(bucket, tmp_path)
    settings.output.mkdir(parents=True)
    (settings.output / "last.ckpt").write_bytes(b"learned")
    (settings.output / "link").symlink_to("/etc/hostname")
    copy_out(settings)
    assert [path.name for path in (bucket / "results").iterdir()] == ["last.ckpt"]
    assert "link is not copied" in caplog.text


def test_an_encrypted_archive_is_said_to_be_one(bucket: Path, tmp_path: Path) -> None:
    path = bucket / "data" / "frames.zip"
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + place] |= 1  # the flag of an encrypted entry
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"frames\.zip is encrypted \('frames/a/1\.jpg'\)"):
        copy_in(config(bucket, tmp_path))


def test_an_archive_that_becomes_too_large_is_refused(bucket: Path, tmp_path: Path) -> None:
    path = bucket / "data" / "frames.zip"
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = (2_000_000_000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="would become 2000000000 bytes, more than 100 times"):
        copy_in(config(bucket, tmp_path))


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_an_archive_that_is_no_file(bucket: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.zip"
    path.symlink_to(path) if kind == "link" else os.mkfifo(path)
    with pytest.raises(ConfigError, match=r"a\.zip cannot be unpacked: no such file"):
        unpack(path, tmp_path)


def test_folders_of_the_home_folder(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(bucket))
    monkeypatch.setenv("CACHE", str(tmp_path / "cache"))
    words = [*words_of(bucket, tmp_path), "--data_url=~/data", "--data_path=$CACHE/data"]
    chosen = {word.split("=")[0]: word for word in words}
    copy_in(load_train_config(None, list(chosen.values())))
    assert (tmp_path / "cache/data/frames/a/1.jpg").read_bytes() == b"picture"
