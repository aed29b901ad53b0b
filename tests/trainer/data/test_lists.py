"""Lists of clips: the official splits, frames counted on disk, and the training that reads them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecolite_stream.app.entry import run
from ecolite_stream.errors import ConfigError, SourceError
from tests.videos import read_number, write_numbered_video
from trainer.config.load import load_train_config
from trainer.config.schema import TrainConfig
from trainer.data import extract_frames, gen_dataset_lists
from trainer.data.dataset import load_dataset
from trainer.data.lists import Item, read_list, write_list
from trainer.data.published_splits import is_test, split_names
from trainer.data.reading import FrameFolderClip

CLASSES = ("ApplyEyeMakeup", "YoYo")


def call(module: object, *words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        run(module.main, list(map(str, words)))  # type: ignore[attr-defined]
    return int(ended.value.code or 0)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two classes, a video of each of groups 1, 8, 15 and 22 with 5 to 12 frames."""
    folder = tmp_path / "videos"
    for place, label in enumerate(CLASSES):
        (folder / label).mkdir(parents=True)
        for number, group in enumerate((1, 8, 15, 22)):
            name = f"v_{label}_g{group:02d}_c01.avi"
            write_numbered_video(folder / label / name, 5 + 4 * place + number, (160, 120))
    return folder


def extracted(videos: Path, folder: Path) -> Path:
    words = ("--video_src_path", videos, "--image_save_path", folder)
    assert call(extract_frames, *words) == 0
    return folder


def test_the_split_follows_from_the_group() -> None:
    names = [f"Archery/v_Archery_g{group:02d}_c01" for group in range(1, 26)]
    for split, groups in ((1, range(1, 8)), (2, range(8, 15)), (3, range(15, 22))):
        tested = split_names(names, split, Path("nowhere"))[1]
        assert tested == [names[group - 1] for group in groups]
    assert is_test("v_HandstandPushups_g07_c04.avi", 1)
    with pytest.raises(ConfigError, match=r"walk01\.avi is not named v_<class>_gNN_cNN"):
        is_test("walk01.avi", 1)


def test_official_split_files_go_before_the_names(tmp_path: Path) -> None:
    (tmp_path / "trainlist01.txt").write_text("A/v_A_g01_c01.avi 1\n")
    (tmp_path / "testlist01.txt").write_text("A/v_A_g09_c01.avi\r\n")
    names = ["A/v_A_g01_c01", "A/v_A_g09_c01"]
    assert split_names(names, 1, tmp_path) == (names[:1], names[1:])
    assert split_names(names, 2, tmp_path) == (names[:1], names[1:])  # by the groups
    with pytest.raises(ConfigError, match=r"A/v_A_g02_c01 is in neither \S+ nor"):
        split_names([*names, "A/v_A_g02_c01"], 1, tmp_path)


@pytest.mark.parametrize("from_frames", [False, True])
def test_lists_count_what_is_on_disk(
    videos: Path, tmp_path: Path, from_frames: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lists"
    words: Sequence[object] = ("ucf101", videos, "--out", out)
    if from_frames:
        words = (*words, "--frames", extracted(videos, tmp_path / "frames"))
    assert call(gen_dataset_lists, *words) == 0
    suffix = "" if from_frames else ".avi"
    assert read_list(out / "ucf101_test_split_2.txt") == [
        Item(f"ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01{suffix}", 6, 0),
        Item(f"YoYo/v_YoYo_g08_c01{suffix}", 10, 100),
    ]
    assert [len(read_list(path)) for path in sorted(out.iterdir())] == [2, 2, 2, 6, 6, 6]
    assert call(gen_dataset_lists, *words, "--check") == 0

    path = out / "ucf101_train_split_1.txt"
    path.write_text(path.read_text().replace(" 8 0", " 9 0"))
    capsys.readouterr()
    assert call(gen_dataset_lists, *words, "--check") == 1
    told = capsys.readouterr().err
    assert f"v_ApplyEyeMakeup_g22_c01{suffix} has 8 frames, listed are 9" in told
    assert "1 frame counts" in told


def test_original_videos_are_listed(data_folder: Path, tmp_path: Path) -> None:
    if not (data_folder / "ucf101").is_dir():
        pytest.skip(f"{data_folder} has no ucf101")
    out = tmp_path / "lists"
    assert call(gen_dataset_lists, "ucf101", data_folder / "ucf101", "--out", out) == 0
    test = read_list(out / "ucf101_test_split_1.txt")
    assert [item.index for item in test] == [0, 6]
    frames = extracted(data_folder / "ucf101", tmp_path / "frames")
    assert [len(list((frames / i.path).with_suffix("").iterdir())) for i in test] == [
        i.frames for i in test
    ]


@pytest.mark.parametrize("line", ["A/a.avi 3", "A/a.avi three 0", "A/a.avi 3 -1"])
def test_a_line_that_makes_no_sense(tmp_path: Path, line: str) -> None:
    (tmp_path / "l.txt").write_text(f"A/b c.avi 3 0\n{line}\n")
    with pytest.raises(ConfigError, match=r"l\.txt:2: expected 'path frames class-index', got"):
        read_list(tmp_path / "l.txt")


def config(folder: Path, *more: str) -> TrainConfig:
    words = [f"--train_list={folder / 'train.txt'}", f"--val_list={folder / 'val.txt'}", *more]
    return load_train_config(None, words)


@pytest.mark.parametrize("relative", [True, False])
def test_a_training_reads_lists_of_folders_and_of_videos(
    videos: Path, tmp_path: Path, relative: bool
) -> None:
    frames = extracted(videos, tmp_path / "frames")
    lists = tmp_path if relative else tmp_path / "elsewhere"
    folder = "frames/" if relative else ""
    write_list(lists / "train.txt", [Item(f"{folder}YoYo/v_YoYo_g01_c01", 9, 1)])
    video = f"{'videos' if relative else '../videos'}/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi"
    write_list(lists / "val.txt", [Item(video, 6, 0)])
    more = [] if relative else [f"--data_path={frames}"]
    dataset = load_dataset(config(lists, *more))
    assert dataset.labels == CLASSES
    (clip,) = dataset.training(1)
    assert isinstance(clip, FrameFolderClip) and (clip.num_frames, clip.fps) == (9, 25)
    assert clip.label == "YoYo"
    assert [read_number(frame) for frame in clip.read([8, 0, 0])] == [8, 0, 0]
    assert [read_number(f) for f in dataset.validation[0].read(np.arange(6))] == list(range(6))
    with pytest.raises(IndexError, match="has 9 frames; asked for 9"):
        clip.read([9])
    with pytest.raises(ConfigError, match="is 'ApplyLipstick', and lies in the folder 'YoYo'"):
        load_dataset(config(lists, *more, "--labels=ucf101"))
    write_list(lists / "train.txt", [Item(f"{folder}YoYo/v_YoYo_g01_c01", 9, 100)])
    named = load_dataset(config(lists, *more, "--labels=ucf101"))
    assert len(named.labels) == 101
    assert named.training(1)[0].label == "YoYo"


@pytest.mark.parametrize(
    ("item", "more", "message"),
    [
        (Item("YoYo/v_YoYo_g01_c01.avi", 8, 1), (), "is listed with 8 frames but has 9; write"),
        (Item("YoYo/none.avi", 8, 1), (), r"none\.avi does not exist; set data_path"),
        (Item("YoYo/v_YoYo_g01_c01.avi", 9, 0), (), "class index 0, which is 'ApplyEyeMakeup'"),
        (Item("ApplyEyeMakeup/a.avi", 9, 1), (), "a class folder has two class indices"),
        (
            Item("YoYo/a.avi", 9, 101),
            ("--labels=ucf101",),
            r"val\.txt:1: YoYo/a\.avi has class index 101, .* to 100: the list has indices from 1",
        ),
    ],
)
def test_lists_that_do_not_fit(
    videos: Path, item: Item, more: tuple[str, ...], message: str
) -> None:
    good = Item("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", 5, 0)
    write_list(videos / "train.txt", [good])
    write_list(videos / "val.txt", [item])
    with pytest.raises(ConfigError, match=message):
        load_dataset(config(videos, *more))


def test_frames_that_go_missing_are_named(videos: Path, tmp_path: Path) -> None:
    folder = extracted(videos, tmp_path / "frames") / "YoYo" / "v_YoYo_g01_c01"
    clip = FrameFolderClip("a", "YoYo", folder, 64, 9)
    assert clip.read([3]).shape == (1, 64, 85, 3)
    (folder / "img_00002.jpg").write_bytes(b"")
    with pytest.raises(Exception, match=r"img_00002\.jpg is empty"):
        clip.read([1])
    (folder / "img_00002.jpg").unlink()
    with pytest.raises(Exception, match="had 9 frames and has 8 now"):
        clip.read([3])


def test_other_pictures_beside_the_frames_are_left_out(videos: Path, tmp_path: Path) -> None:
    folder = extracted(videos, tmp_path / "frames") / "YoYo" / "v_YoYo_g01_c01"
    (folder / "flow_x_00001.jpg").write_bytes((folder / "img_00001.jpg").read_bytes())
    assert FrameFolderClip("a", "YoYo", folder, 64, 9, prefix="img_").read([0]).shape[0] == 1
    other = CLASSES[0]
    items = [Item("YoYo/v_YoYo_g01_c01", 9, 0), Item(f"{other}/v_{other}_g01_c01", 5, 1)]
    write_list(tmp_path / "frames" / "train.txt", items)
    listed = TrainConfig(
        train_list=tmp_path / "frames" / "train.txt",
        val_list=tmp_path / "frames" / "train.txt",
        rgb_prefix="img_",
    )
    assert sorted(clip.num_frames for [clip] in load_dataset(listed).filmed) == [5, 9]
    with pytest.raises(ConfigError, match="is listed with 9 frames but has 10"):
        load_dataset(dataclasses.replace(listed, rgb_prefix=""))
    with pytest.raises(SourceError, match="no frame whose name begins with 'rgb_'; see rgb_prefix"):
        load_dataset(dataclasses.replace(listed, rgb_prefix="rgb_"))


@pytest.mark.parametrize("folder", ["Yo Yo", "yoyo", "YoYo"])
def test_class_indices_from_1_are_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfApply Eye Makeup\r\nYoYo\r\nZumba\r\n")
    (tmp_path / folder).mkdir()
    write_numbered_video(tmp_path / folder / "a.avi", 3)
    named = f"--labels={tmp_path / 'labels.txt'}"
    only = [f"--train_list={tmp_path / 'train.txt'}", "--lr_schedule=constant", named]
    write_list(tmp_path / "train.txt", [Item(f"{folder}/a.avi", 3, 1)])
    assert load_dataset(load_train_config(None, only)).filmed[0][0].label == "YoYo"
    write_list(tmp_path / "train.txt", [Item(f"{folder}/a.avi", 3, 2)])
    with pytest.raises(ConfigError) as raised:
        load_dataset(load_train_config(None, only))
    assert f"train.txt:1: {folder}/a.avi has class index 2, which is 'Zumba'" in str(raised.value)
    assert f"lies in the folder {folder!r}: the list has indices from 1" in str(raised.value)


def test_folders_that_are_no_classes_contradict_nothing(tmp_path: Path) -> None:
    (tmp_path / "part7").mkdir()
    write_numbered_video(tmp_path / "part7" / "a.avi", 3)
    write_list(tmp_path / "train.txt", [Item("part7/a.avi", 3, 100)])
    words = [f"--train_list={tmp_path / 'train.txt'}", "--lr_schedule=constant", "--labels=ucf101"]
    assert load_dataset(load_train_config(None, words)).filmed[0][0].label == "YoYo"


def test_lists_from_windows(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_bytes("\ufeffYo Yo\\a (1).avi 3 0\r\nwalk\\b.avi 4 1\r\n".encode())
    items = read_list(path)
    assert items == [Item("Yo Yo/a (1).avi", 3, 0), Item("walk/b.avi", 4, 1)]
    assert [item.line for item in items] == [1, 2]


def test_lists_keep_names_that_are_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"gehen_f\xfc\xdfe/T\xfcr.avi")
    (tmp_path / name).parent.mkdir()
    write_numbered_video(tmp_path / name, 3)
    assert call(gen_dataset_lists, "ucf101", tmp_path, "--out", tmp_path / "lists") == 2  # no class
    write_list(tmp_path / "train.txt", [Item(name, 3, 0)])
    assert b"T\xfcr.avi 3 0" in (tmp_path / "train.txt").read_bytes()
    assert read_list(tmp_path / "train.txt") == [Item(name, 3, 0)]
    with pytest.raises(ConfigError, match="has a line break in its name"):
        write_list(tmp_path / "train.txt", [Item("a\nb.avi", 3, 0)])
    words = [f"--train_list={tmp_path / 'train.txt'}", "--lr_schedule=constant"]
    with pytest.raises(ConfigError, match=r"all clips are .gehen_f\\\\xfc\\\\xdfe"):
        load_dataset(load_train_config(None, words))


def test_all_files_are_checked_before_anything_is_trained(videos: Path, tmp_path: Path) -> None:
    frames = extracted(videos, tmp_path / "frames")
    cut, empty = frames / "YoYo/v_YoYo_g01_c01", frames / "YoYo/v_YoYo_g08_c01"
    for file in cut.iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    (empty / "img_00004.jpg").write_bytes(b"")
    for name, count in (("train", 1), ("val", 8)):
        number = {1: 9, 8: 10}[count]
        item = Item(f"YoYo/v_YoYo_g{count:02d}_c01", number, 0)
        write_list(frames / f"{name}.txt", [item])
    with pytest.raises(SourceError, match="2 of 2 clips cannot be read") as raised:
        load_dataset(config(frames))
    assert "img_00001.jpg is cut off or damaged" in str(raised.value)
    assert "(and 8 more of its 9 frames)" in str(raised.value)
    assert "img_00004.jpg is empty" in str(raised.value)


def test_frames_without_zeros_are_read_in_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "walk" / "a"
    folder.mkdir(parents=True)
    for number in range(1, 121):
        image = np.full((32, 32, 3), 2 * number, np.uint8)
        cv2.imwrite(str(folder / f"frame{number}.jpg"), image)
    shown = FrameFolderClip("a", "walk", folder, 32, 120).read(range(120))
    assert [round(float(image.mean()) / 2) for image in shown] == list(range(1, 121))


def test_a_home_folder_in_a_list(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(videos))
    names = [(f"~/{label}/v_{label}_g01_c01.avi", 5 + 4 * i, i) for i, label in enumerate(CLASSES)]
    write_list(tmp_path / "train.txt", [Item(*name) for name in names])
    (videos / "labels.txt").write_text("\n".join(CLASSES))
    words = [f"--train_list={tmp_path / 'train.txt'}", "--lr_schedule=constant"]
    dataset = load_dataset(load_train_config(None, [*words, "--labels=~/labels.txt"]))
    assert [clip.num_frames for [clip] in dataset.filmed] == [5, 9]


def test_says_where_the_clips_of_a_deeper_tree_lie(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(gen_dataset_lists, "ucf101", videos.parent, "--out", tmp_path / "lists") == 2
    assert f": name {videos}" in capsys.readouterr().err
