"""The clips of a training, and the batches that are made of them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.datasets.labelled_clips import find_clips
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.model.preprocess import Preprocessing
from tests.videos import read_number, write_numbered_video
from trainer.config.load import load_train_config
from trainer.config.schema import AugmentationConfig, TrainConfig
from trainer.data.clips import OTHER, Clip, HeldClip, still_clips
from trainer.data.dataset import (
    DEFAULT_DATA,
    Dataset,
    draw_clips,
    expand_folder,
    labelled_files,
    load_dataset,
    used_files,
)
from trainer.data.loader import NO_CLASS, training_batches
from trainer.data.loader import test_batches as validation_batches
from trainer.synthetic import ACTIONS


def test_finds_videos_in_class_folders_and_nothing_else(tmp_path: Path) -> None:
    for name in (
        "run/b.mp4",
        "run/a.AVI",
        "walk/c.webm",
        "walk/d.MOV",
        "walk/._d.MOV",
        "e.avi",
        "walk/notes.txt",
        "walk/folder.avi/x",
        ".old/a.avi",
        "run/e.mpeg",
        "run/.hidden.mp4",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [clip.name for clip in find_clips([tmp_path])] == [
        "run/a.AVI",
        "run/b.mp4",
        "run/e.mpeg",
        "walk/c.webm",
        "walk/d.MOV",
    ]


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_a_folder_without_clips_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=name):
        find_clips([tmp_path / name])


def test_only_listed_clips_are_used_and_read(tmp_path: Path) -> None:
    """A clip that is not listed may be broken."""
    for label in ("run", "walk"):
        (tmp_path / label).mkdir()
        write_numbered_video(tmp_path / label / "a.avi", 10)
        (tmp_path / label / "broken.avi").write_bytes(b"no film")
    (tmp_path / "only.txt").write_text("run/a.avi\nwalk/a.avi\n")
    words = [f"--data.clips=[{tmp_path}]", f"--data.only={tmp_path / 'only.txt'}"]
    config = load_train_config(None, [*words, "--data.split=none", "--lr_schedule=constant"])
    assert [clip.name for clip in used_files(config.data)] == ["run/a.avi", "walk/a.avi"]
    dataset = load_dataset(config)
    assert [clip.name for (clip,) in dataset.filmed] == ["run/a.avi", "walk/a.avi"]


def test_a_folder_may_hold_variables_and_the_environment_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ECOLITE_DATA", raising=False)
    monkeypatch.setenv("ECOLITE_DATA_2", "/other")
    before = dict(os.environ)
    for text in ("$ECOLITE_DATA/set", "${ECOLITE_DATA}/set"):
        assert expand_folder(text) == Path(DEFAULT_DATA) / "set"
    assert expand_folder("$ECOLITE_DATA_2/set") == Path("/other/set")
    assert dict(os.environ) == before
    monkeypatch.setenv("ECOLITE_DATA", "/mine")
    assert expand_folder("$ECOLITE_DATA/set") == Path("/mine/set")


def test_a_folder_that_is_not_at_its_default_place_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ECOLITE_DATA", raising=False)
    with pytest.raises(
        ConfigError, match=r"does not exist; .*--data\.clips .*or ECOLITE_DATA, which is \.\./"
    ):
        labelled_files(["$ECOLITE_DATA/no such set"])
    with pytest.raises(ConfigError, match="does not exist") as raised:
        labelled_files(["no such set"])
    assert "ECOLITE_DATA" not in str(raised.value)


def test_skipped_files_and_empty_folders_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("empty/", "old/a.wmv", "run/a.avi", "run/b.avi", "run/c.ts", "walk/a.avi"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        elif path.suffix == ".avi":
            write_numbered_video(path, 6)
        else:
            path.touch()
    config = load_train_config(None, [f"--data.clips=[{tmp_path}]"])
    assert load_dataset(config).labels == ("run", "walk")
    logged = [record.getMessage() for record in caplog.records]
    assert [line.split(" (")[0] for line in logged[:2]] == [
        f"{tmp_path}/empty holds no clip",
        f"{tmp_path}/old holds no clip",
    ]
    assert logged[2].startswith(f"{tmp_path}/run: skipped 1 of 3, first 'c.ts'; clips end")
    assert logged[3:] == ["no clip of walk is held out, so the score leaves it out"]


def test_a_class_that_is_held_out_whole_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("run/hall.avi", "run/yard.avi", "sit/hall.avi", "walk/yard.avi", "walk/hall.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_numbered_video(tmp_path / name, 6)
    split = ["--data.split=pattern", "--data.split_pattern=/(.*)[.]", "--data.val_groups=[hall]"]
    load_dataset(load_train_config(None, [f"--data.clips=[{tmp_path}]", *split]))
    assert [r.getMessage().split(",")[0] for r in caplog.records] == [
        "all clips of sit are held out"
    ]


def test_one_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in "ab":
        write_numbered_video(tmp_path / "run" / f"{name}.avi", 6)
    with pytest.raises(ConfigError, match="all clips are 'run', and training needs two classes"):
        load_dataset(load_train_config(None, [f"--data.clips=[{tmp_path}]"]))


def test_draws_every_action_from_its_seed() -> None:
    clips = draw_clips([0], ACTIONS, short_side=72, seed=5, workers=2)
    assert [clip.label for clip in clips] == list(ACTIONS)
    assert all(min(clip.read([0]).shape[1:3]) == 72 for clip in clips)
    again = draw_clips([0], ACTIONS, short_side=72, seed=5, workers=1)
    assert all(
        np.array_equal(a.read(range(40)), b.read(range(40)))
        for a, b in zip(clips, again, strict=True)
    )


def test_shows_idle_figures_beyond_those_of_each_class() -> None:
    few = ("--data.figures_per_class=1", "--data.split=none", "--lr_schedule=cosine")
    config = load_train_config(
        None, [*few, "--data.idle_figures=3", "--data.idle_figures_per_epoch=2"]
    )
    dataset = load_dataset(config)
    shown = [[clip.name for clip in dataset.training(epoch)] for epoch in (1, 2)]
    figures = [f"{action}/figure000" for action in ACTIONS]
    assert shown[0] == [*figures, "idle/figure001", "idle/figure002"]
    assert shown[1] == [*figures, "idle/figure003", "idle/figure001"]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filmed")
    for label in ("jump", "walk"):
        (folder / label).mkdir()
        for n in range(3):
            path = folder / label / f"p{n}_{label}.avi"
            write_numbered_video(path, 30 + 7 * n, first=10 * n)
    return folder


def like_the_demo(filmed: Path, *more: str) -> TrainConfig:
    words = (
        f"--data.clips=[{filmed}] --data.idle_label=idle --data.idle_stills=4 "
        "--data.idle_per_epoch=2 --num_segments=8 --clip_seconds=1.6 --lr_schedule=one_cycle "
        "--preprocessing={image_size: 32, framing: whole, scale: 0.0172} "
        "--augmentation={window_s: [0.96, 2.4], windows_per_clip: 3, segment_jitter: 0.3, "
        "partial_memory: 0.1, scales: [1.0, 0.9, 0.8, 0.7], brightness: 30, contrast: 0.3, "
        "noise: 6}"
    ).split(" --")
    return load_train_config(None, [words[0], *(f"--{word}" for word in words[1:]), *more])


def batches(config: TrainConfig, dataset: Dataset, epoch: int) -> list[bytes]:
    shown = dataset.training(epoch)
    how, vary = config.preprocessing, config.augmentation
    made = [
        *training_batches(shown, dataset.labels, 8, how, vary, 8, (config.seed, epoch), 2),
        *validation_batches(dataset.validation, dataset.labels, 8, how, 8, 2),
    ]
    return [batch.inputs.tobytes() + batch.labels.tobytes() for batch in made]


def test_batches_are_the_same_wherever_the_clips_are(
    filmed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = like_the_demo(filmed)
    expected = [batches(held, load_dataset(held), epoch) for epoch in (1, 2)]
    assert capsys.readouterr().err == ""
    assert expected[0] != expected[1]
    for megabytes, in_files in ((0, 6), (0.5, 4)):
        config = like_the_demo(filmed, f"--data.cache_mb={megabytes}", "--data.workers=1")
        dataset = load_dataset(config)
        assert [batches(config, dataset, epoch) for epoch in (1, 2)] == expected
        assert f"{in_files} of 6 clips do not fit in data.cache_mb" in capsys.readouterr().err


def test_videos_of_other_actions_have_no_class(filmed: Path, tmp_path: Path) -> None:
    (tmp_path / "day" / "hall").mkdir(parents=True)
    write_numbered_video(tmp_path / "a.mp4", 50)
    write_numbered_video(tmp_path / "day" / "hall" / "b.mkv", 700)
    (tmp_path / "day" / ".c.mp4").touch()
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash" / "d.mp4").touch()
    for framing in ("whole", "follow"):
        more = (f"--data.others=[{tmp_path}]", "--data.others_per_epoch=1")
        config = like_the_demo(filmed, *more)
        how = dataclasses.replace(config.preprocessing, framing=framing)
        config = dataclasses.replace(config, preprocessing=how)
        dataset = load_dataset(config)
        assert dataset.labels == ("idle", "jump", "walk")
        assert {clip.label for clip in dataset.validation} == {"jump", "walk"}
        shown = [dataset.training(epoch)[-1] for epoch in (1, 2, 3)]
        assert [clip.label for clip in shown] == [OTHER] * 3 and shown[0] is shown[2]
        assert [clip.num_frames for clip in shown[:2]] == [50, 500]  # of the longer one 20 s
        made = training_batches(
            [shown[0], dataset.training(1)[0]],
            dataset.labels,
            8,
            config.preprocessing,
            config.augmentation,
            2,
            (0, 1),
            1,
        )
        assert sorted(next(iter(made)).labels.tolist()) == [NO_CLASS, 1]


def test_others_without_a_video_or_with_a_damaged_one(
    filmed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ECOLITE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"set --data\.others '\[DIR\]' or ECOLITE_DATA"):
        load_dataset(like_the_demo(filmed, "--data.others=[$ECOLITE_DATA/asl]"))
    with pytest.raises(ConfigError, match="holds no video; name a folder"):
        load_dataset(like_the_demo(filmed, f"--data.others=[{tmp_path}]"))
    with pytest.raises(ConfigError, match="nowhere"):
        load_dataset(like_the_demo(filmed, f"--data.others=[{tmp_path}/nowhere]"))
    (tmp_path / "a.mp4").write_bytes(b"no film")
    with pytest.raises(SourceError, match=r"a\.mp4"):
        load_dataset(like_the_demo(filmed, f"--data.others=[{tmp_path}]"))


def test_an_epoch_shows_every_window_and_some_of_the_rest_in_turn(filmed: Path) -> None:
    dataset = load_dataset(like_the_demo(filmed))
    assert dataset.labels == ("idle", "jump", "walk")
    first, second, third = (dataset.training(epoch) for epoch in (1, 2, 3))
    assert len(first) == 3 * 4 + 2 and first[:12] == second[:12]
    assert not set(first[12:]) & set(second[12:])
    assert third == first
    assert (
        len(dataset.validation) == 4
    )  # two half-overlapping windows of clip_seconds of either clip
    assert {clip.num_frames for clip in dataset.validation} == {40}


def made_clip(number: int, label: str) -> HeldClip:
    """Stripes that move; whole numbers only, the same on every machine."""
    rng = np.random.default_rng(number)
    stripes = rng.integers(0, 256, (1, 48, 100, 3), dtype=np.uint8)
    frames = np.concatenate([stripes[:, :, 2 * i : 2 * i + 36] for i in range(30)])
    return HeldClip(f"{label}/{number}", label, frames, 25.0)


def test_a_seed_gives_the_batches_it_always_gave() -> None:
    """Trainings that are to be repeated hang on it."""
    filmed: list[Clip] = [made_clip(i, "ab"[i % 2]) for i in range(6)]
    dataset = Dataset(
        [[clip] for clip in filmed],
        3,
        [(still_clips(filmed, "idle", 4), 2)],
        [],
        ("a", "b", "idle"),
    )
    how = Preprocessing(32, framing="whole", scale=0.0172)
    vary = AugmentationConfig(
        (0.5, 1.5), segment_jitter=0.3, partial_memory=0.1, scales=(1.0, 0.9, 0.8, 0.7)
    )
    found = hashlib.sha256()
    for epoch in (1, 2):
        shown = dataset.training(epoch)
        for batch in training_batches(shown, dataset.labels, 8, how, vary, 8, (3, epoch), 2):
            found.update(batch.inputs.tobytes() + batch.labels.tobytes())
    assert found.hexdigest() == ("31a8af413a6bbcacb54e4e5937d54b740dd7d45622e574a591422564724a80da")


def test_segments_of_long_videos_are_trained_without_being_cut(tmp_path: Path) -> None:
    """Two segments an action of two videos; the numbers in their frames say where they lie."""
    for place, name in enumerate(("monday", "tuesday")):
        write_numbered_video(tmp_path / f"{name}.mp4", 200, first=1000 * place)
        rows = "start_s,end_s,label\n1,3,jump\n5,7,walk\n"
        (tmp_path / f"{name}.csv").write_text(rows, encoding="utf-8")
    held_out = ("--data.split=fold", "--data.folds=2", "--data.split_pattern=/([a-z]+)[.]")
    dataset = load_dataset(like_the_demo(tmp_path, *held_out))
    assert dataset.labels == ("idle", "jump", "walk")
    trained = {clip.name: clip for variants in dataset.filmed for clip in variants}
    validated = {clip.name for clip in dataset.validation}
    days = {name.partition("/")[2].partition(".")[0] for name in trained}
    assert len(days) == 1
    assert trained.keys() == {part.format(*days) for part in ("jump/{}.mp4@1-3", "walk/{}.mp4@5-7")}
    assert not validated & trained.keys() and len(validated) == len(trained) == 2
    for name, clip in trained.items():
        first = (25 if name.startswith("jump") else 125) + 1000 * ("tuesday" in name)
        assert [read_number(picture) for picture in clip.read([0, 49])] == [first, first + 49]
        assert clip.num_frames == 50
