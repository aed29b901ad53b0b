"""`ecolite-bench ucf101`: trees in UCF101's layout, with an engine whose answers are known."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecolite_stream.bench.accuracy import offline
from ecolite_stream.bench.accuracy.checkpoint import exported
from ecolite_stream.bench.accuracy.offline import (
    Outcome,
    Pace,
    crops_of,
    judge,
    read_ahead,
    read_frames,
)
from ecolite_stream.bench.accuracy.published import published_for
from ecolite_stream.bench.accuracy.results import Results
from ecolite_stream.bench.accuracy.score_report import score_tables
from ecolite_stream.bench.accuracy.scores import Scores
from ecolite_stream.bench.accuracy.splits import Selection
from ecolite_stream.bench.accuracy.ucf101 import (
    Asked,
    Model,
    make_report,
    problems,
    run_evaluation,
    select,
)
from ecolite_stream.bench.measuring.process_tree import peak_mb
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.model.bundle import Bundle, ModelSpec, hash_file
from ecolite_stream.model.preprocess import Preprocessing, frame_square
from ecolite_stream.model.sampling import segment_frames
from ecolite_stream.types import FloatArray
from tests.bench.test_cli import ENGINE, exit_code, require_whole
from tests.videos import numbered_image, read_number, write_numbered_video

LABELS = ("Archery", "Bowling", "Diving")
HOW = Preprocessing(64, framing="whole", mean=(0.0, 0.0, 0.0))
SPEC = ModelSpec("eco_lite", 1.0, 4, (1, 1, 1), LABELS, 1.6, HOW)


class FirstNumberEngine:
    """Takes a clip for label number / 1000; a clip from 3000 on for all labels alike."""

    name = "first"

    def __init__(self, fail_after: int | None = None) -> None:
        self.clips: list[list[int]] = []
        self.fail_after = fail_after

    def encode(self, images: FloatArray) -> FloatArray:
        numbers = [read_number(image.transpose(1, 2, 0).astype(np.uint8)) for image in images]
        return np.array(numbers, np.float32).reshape(-1, 1, 1, 1)

    def classify(self, features: FloatArray) -> FloatArray:
        if len(self.clips) == self.fail_after:
            raise KeyboardInterrupt
        clip = features.ravel().astype(int).tolist()
        self.clips.append(clip)
        label = clip[0] // 1000
        return np.array([[2.0 * (label == i) for i in range(3)]], np.float32)

    def close(self) -> None:
        pass


def video(data: Path, label: str, group: int, number: int, *, looks: int, frames: int = 11) -> Path:
    path = data / label / f"v_{label}_g{group:02}_c{number:02}.avi"
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_numbered_video(path, frames, (64, 48), first=1000 * looks)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Split 1: three right, one wrong, one tied; split 2: one; a train video."""
    folder = tmp_path / "UCF-101"
    video(folder, "Archery", 1, 1, looks=0)
    video(folder, "Archery", 7, 1, looks=0, frames=3)
    video(folder, "Archery", 8, 1, looks=0)
    video(folder, "Bowling", 1, 1, looks=1)
    video(folder, "Bowling", 1, 2, looks=2)
    video(folder, "Diving", 2, 1, looks=3)
    video(folder, "Diving", 25, 1, looks=2)
    return folder


def fake_bundle(tmp_path: Path, digest: str = "d1") -> Bundle:
    return Bundle(tmp_path, SPEC, (), {}, digest)


def evaluated(asked: Asked, tmp_path: Path, engine: FirstNumberEngine | None = None):
    bundle, engine = fake_bundle(tmp_path), engine or FirstNumberEngine()
    selection = select(asked, LABELS)
    model = Model(bundle, engine)
    scores, pace = run_evaluation(asked, selection, model)
    report = make_report(asked, selection, model, scores, pace)
    if asked.report:
        report.write(asked.report)
    return scores, selection, report


def names(clips: Sequence[ClipFile]) -> list[str]:
    return [clip.path.stem.removeprefix("v_") for clip in clips]


def test_splits_follow_from_the_group_numbers(data: Path):
    assert names(select(Asked(data, "1"), LABELS).clips) == [
        "Archery_g01_c01",
        "Archery_g07_c01",
        "Bowling_g01_c01",
        "Bowling_g01_c02",
        "Diving_g02_c01",
    ]
    assert names(select(Asked(data, "2"), LABELS).clips) == ["Archery_g08_c01"]
    assert len(select(Asked(data, "all"), LABELS).clips) == 7
    with pytest.raises(ConfigError, match="7 clips, none of which is in UCF101 split 3"):
        select(Asked(data, "3"), LABELS)
    with pytest.raises(ConfigError, match="no label Diving"):
        select(Asked(data, "1"), LABELS[:2])
    limited = select(Asked(data, "1", limit=2), LABELS)
    assert len(limited.clips) == 2 and "limited to 2 of 5" in limited.note
    assert limited.of == 5


def test_known_outcomes(data: Path, tmp_path: Path):
    engine = FirstNumberEngine()
    scores, selection, report = evaluated(Asked(data, "1"), tmp_path, engine)
    assert engine.clips[0] == segment_frames(11, 4)
    assert engine.clips[1] == segment_frames(3, 4)
    assert [outcome.rank for outcome in scores.outcomes] == [0, 0, 0, 2, 2]  # a tie counts
    assert scores.outcomes[0].loss == pytest.approx(np.log(1 + 2 * np.exp(-2)), abs=1e-5)
    assert scores.outcomes[4].loss == pytest.approx(np.log(3), abs=1e-5)
    assert (scores.top1, scores.top5) == (3 / 5, 1)
    assert scores.worst_pairs() == [("Bowling", "Diving", 1), ("Diving", "Archery", 1)]
    assert scores.published_lines().splitlines()[1] == (
        "Total data: 5, top1 accuracy: 0.6000, top5 accuracy: 1.0000"
    )
    assert "{'Loss': " in scores.published_lines().splitlines()[0]
    assert not problems(scores, selection)
    text = str(report)
    assert "87.40" in text and "3776" in text and "5 of 5" in text  # published for 4 frames
    assert "3 of 101 classes are here" in text


def test_unreadable_and_missing_videos_count_as_wrong(data: Path, tmp_path: Path):
    (data / "Archery" / "v_Archery_g01_c01.avi").write_bytes(b"no video at all")
    lists = data / "ucf101_splits"
    lists.mkdir()
    listed = ["Archery/v_Archery_g01_c01.avi", "Bowling/v_Bowling_g01_c01.avi 2", ""]
    (lists / "testlist01.txt").write_text("\n".join([*listed, "Diving/v_Diving_g03_c02.avi"]))
    scores, selection, report = evaluated(Asked(data, "1", report=tmp_path / "r"), tmp_path)
    assert (scores.total, scores.top1) == (3, 1 / 3)
    assert len(scores.read) == 1
    assert ("Diving", 1, 0) in scores.by_class()  # missing
    lines = problems(scores, selection)
    assert lines[0].startswith("unreadable: Archery/v_Archery_g01_c01.avi: ")
    assert lines[1] == "missing: Diving/v_Diving_g03_c02"
    assert [line.split("_")[1:] for line in lines[2:]] == [
        ["Archery", "g07", "c01.avi"],
        ["Bowling", "g01", "c02.avi"],
        ["Diving", "g02", "c01.avi"],
    ]
    assert "1 of 3" in str(report)
    written = json.loads((tmp_path / "r" / "report.json").read_text())
    assert written["evaluated"] == 1 and written["missing"] == ["Diving/v_Diving_g03_c02"]
    with pytest.raises(ConfigError, match=r"testlist02.txt cannot be read"):
        select(Asked(data, "2"), LABELS)
    with pytest.raises(ConfigError, match="nowhere does not exist"):
        select(Asked(data, "2", split_files=tmp_path / "nowhere"), LABELS)


def test_the_published_count_tells_what_is_missing_of_all_classes(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("ecolite_stream.bench.accuracy.splits.NUM_CLASSES", 2)
    monkeypatch.setattr("ecolite_stream.bench.accuracy.splits.PUBLISHED_COUNTS", {"1": 5 + 14})
    for label in LABELS[:2]:
        for group in range(1, 8):
            path = tmp_path / label / f"v_{label}_g{group:02}_c02.avi"
            path.parent.mkdir(exist_ok=True)
            path.touch()
            path.with_name(path.name.replace("c02", "c01")).touch()
    selection = select(Asked(tmp_path, "1"), LABELS)
    assert len(selection.extra) == 1 and "9 clips more" in selection.extra[0]
    monkeypatch.setattr("ecolite_stream.bench.accuracy.splits.PUBLISHED_COUNTS", {"1": 28})
    (tmp_path / "Archery" / "v_Archery_g03_c01.avi").unlink()
    (tmp_path / "Bowling" / "v_Bowling_g07_c02.avi").unlink()  # nothing tells that it was there
    selection = select(Asked(tmp_path, "1"), LABELS)
    assert selection.missing == ("Archery/v_Archery_g03_c01",)
    assert (selection.unnamed, selection.of, len(selection.clips)) == (1, 28, 26)


def test_an_interrupted_run_goes_on_and_ends_the_same(data: Path, tmp_path: Path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    evaluated(Asked(data, "1", report=whole), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        evaluated(Asked(data, "1", report=parts), tmp_path, FirstNumberEngine(fail_after=2))
    with (parts / "results.jsonl").open("a") as file:
        file.write('{"clip": "torn')
    engine = FirstNumberEngine()
    _, _, report = evaluated(Asked(data, "1", report=parts), tmp_path, engine)
    assert len(engine.clips) == 3 and report.results["speed"]["videos"] == 3
    assert (parts / "results.jsonl").read_bytes() == (whole / "results.jsonl").read_bytes()
    again = FirstNumberEngine()
    scores, _, _ = evaluated(Asked(data, "1", report=parts), tmp_path, again)
    assert not again.clips and scores.top1 == 3 / 5
    assert {path.name for path in parts.iterdir()} == {
        *("results.jsonl", "report.json", "report.md", "accuracy.png", "confusion.png", "pairs.png")
    }
    assert cv2.imread(str(parts / "confusion.png")) is not None
    assert "| this bundle | 60.00 | 100.00 |" in (parts / "report.md").read_text()


def test_a_name_with_an_end_of_line_of_unicodes_own(tmp_path: Path) -> None:
    outcome = Outcome("a/\u2028\x85.avi", "a", 3, 0, 0.5, "a", (("a", 0.6),))
    with Results(tmp_path, {"bundle": "x"}) as results:
        results.add(outcome)
    with Results(tmp_path, {"bundle": "x"}) as results:
        assert results.known == {outcome.clip: outcome}


def test_a_repaired_video_is_read_again(data: Path, tmp_path: Path):
    path = data / "Archery" / "v_Archery_g01_c01.avi"
    good = path.read_bytes()
    path.write_bytes(b"")
    asked = Asked(data, "1", report=tmp_path / "r")
    scores, _, _ = evaluated(asked, tmp_path)
    assert len(scores.unreadable) == 1
    path.write_bytes(good)
    engine = FirstNumberEngine()
    scores, _, _ = evaluated(asked, tmp_path, engine)
    assert len(engine.clips) == 1 and not scores.unreadable


def test_results_of_something_else_are_refused(tmp_path: Path):
    with Results(tmp_path, {"bundle": "a", "crops": 1}):
        pass
    with Results(tmp_path / "bf16", {"bundle": "a", "precision": "bf16"}):
        pass
    with pytest.raises(ConfigError, match="results of precision 'bf16' instead of None;"):
        Results(tmp_path / "bf16", {"bundle": "a"})
    with pytest.raises(ConfigError, match="bundle 'a' instead of 'b'"):
        Results(tmp_path, {"bundle": "b", "crops": 1})
    (tmp_path / "results.jsonl").write_text("my notes\n")
    with pytest.raises(ConfigError, match="holds no results"):
        Results(tmp_path, {"bundle": "a", "crops": 1})
    assert (tmp_path / "results.jsonl").read_text() == "my notes\n"


def test_folders_of_frames_are_videos(tmp_path: Path):
    folder = tmp_path / "Archery" / "v_Archery_g01_c01"
    folder.mkdir(parents=True)
    for number in range(11):  # without leading zeros
        cv2.imwrite(str(folder / f"frame{number + 1}.jpg"), numbered_image(number))
    (tmp_path / "Archery" / "v_Archery_g02_c01").mkdir()
    selection = select(Asked(tmp_path, "1"), LABELS)
    count, images = read_frames(folder, 4)
    assert count == 11
    assert [read_number(image) for image in images] == segment_frames(11, 4)
    model = Model(fake_bundle(tmp_path), FirstNumberEngine())
    scores, _ = run_evaluation(Asked(tmp_path, "1"), selection, model)
    assert scores.outcomes[0].rank == 0
    assert "holds no frame" in (scores.outcomes[1].error or "")
    (folder / "frame2.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match=r"frame2.jpg is empty"):
        read_frames(folder, 4)


def test_a_video_whose_packets_do_not_tell_its_frames(data: Path, monkeypatch):
    monkeypatch.setattr(offline, "_counts", lambda path: (100, 0))
    count, images = read_frames(data / "Archery" / "v_Archery_g01_c01.avi", 4)
    assert count == 11
    assert [read_number(image) for image in images] == segment_frames(11, 4)


def test_a_video_that_is_cut_off_is_unreadable(tmp_path: Path):
    path = write_numbered_video(tmp_path / "clip.avi", 60)
    assert read_frames(path, 4)[0] == 60
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"only \d+ of its 60 frames can be decoded"):
        read_frames(path, 4)


def test_any_tree_of_classes(tmp_path: Path):
    for name in ("a/anna_1.avi", "a/ben_1.avi", "b/anna_2.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    by_name = Asked(tmp_path, split_by="/([a-z]+)_", test_groups=("anna",))
    assert names(select(by_name, ("a", "b")).clips) == ["anna_1", "anna_2"]
    assert len(select(Asked(tmp_path, "all"), ("a", "b")).clips) == 3
    with pytest.raises(ConfigError, match="use --split all"):
        select(Asked(tmp_path, "1"), ("a", "b"))
    with pytest.raises(ConfigError, match="no clip has carl; there are anna, ben"):
        select(Asked(tmp_path, split_by="/([a-z]+)_", test_groups=("carl",)), ("a", "b"))
    with pytest.raises(ConfigError, match="finds no group"):
        select(Asked(tmp_path, split_by="(anna)", test_groups=("anna",)), ("a", "b"))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"split": "1", "split_by": "(a)", "test_groups": ("a",)},
        {"split_by": "(a)"},
        {"split": "1", "test_groups": ("a",)},
        {"split_by": "(a)", "test_groups": ("a",), "split_files": Path()},
    ],
)
def test_contradictions(tmp_path: Path, wrong: dict):
    with pytest.raises(ConfigError):
        Asked(tmp_path, **wrong)


def test_ten_crops_are_corners_middle_and_mirror_images():
    how = Preprocessing(56)  # short side 64
    image = np.random.default_rng(0).integers(0, 255, (64, 80, 3)).astype(np.uint8)
    crops = crops_of(image, how, 10)
    assert [crop.shape for crop in crops] == 10 * [(56, 56, 3)]
    assert (crops[0] == image[:56, :56]).all() and (crops[3] == image[8:, 24:]).all()
    assert (crops[4] == frame_square(image, how)).all()
    assert all((a == b[:, ::-1]).all() for a, b in zip(crops[:5], crops[5:], strict=True))
    with pytest.raises(ConfigError, match="use --crops 1"):
        offline.check_crops(10, HOW)


def test_logits_are_averaged_over_crops():
    class Blue:
        name = "blue"

        def encode(self, images: FloatArray) -> FloatArray:
            return images.mean(axis=(2, 3))[:, :1, None, None]

        def classify(self, features: FloatArray) -> FloatArray:
            return np.array([[features.mean(), 0, 0]], np.float32)

        def close(self) -> None:
            pass

    squares = np.zeros((2, 4, 16, 16, 3), np.uint8)
    squares[1] = 100
    assert offline.logits_of(squares, Blue(), SPEC).tolist() == [50, 0, 0]


def test_a_tie_is_wrong():
    clip = ClipFile(Path("Bowling/x.avi"), "Bowling")
    assert judge(clip, 1, np.array([1, 1, 0], np.float32), LABELS).rank == 1
    assert judge(clip, 1, np.array([0, 1, 0], np.float32), LABELS).rank == 0


def test_only_so_many_results_are_made_ahead():
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return item

    results = read_ahead(range(100), work, workers=2)
    assert next(results) == 0
    assert len(begun) <= 3
    assert list(results) == list(range(1, 100))


@pytest.mark.timeout(240)
def test_memory_does_not_grow_with_the_number_of_clips(tmp_path: Path, bundle: Bundle):
    """The same few clips under many names; a real engine."""
    if peak_mb() is None:
        pytest.skip("the system does not tell")
    files = [write_numbered_video(tmp_path / f"{n}.avi", 16, (320, 240), first=n) for n in range(4)]
    label = bundle.spec.labels[0]
    (tmp_path / "data" / label).mkdir(parents=True)
    for number in range(300):
        (tmp_path / "data" / label / f"v_{number:03}.avi").symlink_to(files[number % 4])
    grown_mb = run_alone(tmp_path / "data", bundle)
    assert 0 <= grown_mb < 10  # their inputs alone are 300 * 4 * 64 * 64 * 3 bytes: 15 MB


def run_alone(data: Path, bundle: Bundle) -> float:
    """What `ecolite-bench ucf101` grows by after its first videos, in a process of its own."""
    report = data.parent / "report"
    args = ["--data", data, "--split", "all", "--bundle", bundle.path, "--report", report]
    command = [sys.executable, "-m", "ecolite_stream.bench.cli", "ucf101", "--engine", ENGINE]
    subprocess.run([*command, *map(str, args)], check=True, capture_output=True, timeout=200)
    speed = json.loads((report / "report.json").read_text())["speed"]
    assert speed["videos"] == 300 and speed["peak_resident_mb"] < 1500
    return speed["peak_resident_mb"] - speed["early_resident_mb"]


def test_nothing_measured_is_no_speed():
    assert Pace().to_json()["videos_per_s"] is None


def test_without_a_data_set_it_says_what_to_download(tmp_path: Path, bundle: Bundle, capfd):
    args = ("ucf101", "--split", 1, "--bundle", bundle.path, "--data")
    assert exit_code(*args, tmp_path / "nowhere") == 2
    assert "UCF101.rar" in capfd.readouterr().err
    assert exit_code(*args, tmp_path) == 2
    assert "<class>/v_<class>_gNN_cNN.avi" in capfd.readouterr().err


def test_published_results_of_the_same_network_and_data_set():
    def spec(architecture: str, num_segments: int, classes: int) -> ModelSpec:
        labels = tuple(map(str, range(classes)))
        return dataclasses.replace(
            SPEC, architecture=architecture, num_segments=num_segments, labels=labels
        )

    assert [other.top1 for other in published_for(spec("eco_lite", 16, 101))] == [0.916]
    assert [other.top1 for other in published_for(spec("eco_lite", 16, 51))] == [0.682]
    assert [other.top1 for other in published_for(spec("eco_full", 24, 101))] == [0.936]
    assert [other.top1 for other in published_for(spec("eco_lite", 4, 101))][1:] == [0.8803, 0.8806]
    assert not published_for(spec("eco_lite", 8, 101))
    clip, selection = ClipFile(Path("5/x.avi"), "5"), Selection((), of=1, note="n")
    right = judge(clip, 1, np.eye(101, dtype=np.float32)[5], spec("eco_lite", 4, 101).labels)
    first, *_ = score_tables(Scores([right]), selection, spec("eco_lite", 4, 101), Pace())
    assert [row[-1] for row in first.rows] == [None, "+12.60", "+11.97", "+11.94"]
    first, *_ = score_tables(Scores([right]), selection, SPEC, Pace())
    assert [row[-1] for row in first.rows] == 4 * [None]  # three classes are not UCF101


@pytest.mark.timeout(300)
def test_a_checkpoint_in_place_of_a_bundle(tmp_path: Path, capfd):
    pytest.importorskip("mindspore")
    from trainer.export import untrained
    from trainer.network import NetworkConfig
    from trainer.weights.checkpoint import save_checkpoint

    path = tmp_path / "small.ckpt"
    made = untrained(NetworkConfig("eco_lite", 4, 32, 3, 0.1))
    save_checkpoint(path, made.parameters, dataclasses.replace(made.spec, labels=LABELS))
    video(tmp_path / "data", "Archery", 1, 1, looks=0)
    args = ("ucf101", "--data", tmp_path / "data", "--split", 1, "--report", tmp_path / "r")
    args = (*args, "--checkpoint", path, "--engine", ENGINE)
    assert exit_code(*args) == 0
    key, _ = (tmp_path / "r" / "results.jsonl").read_text().splitlines()
    assert json.loads(key)["bundle"] == hash_file(path)  # an export differs each time
    written = (tmp_path / "r" / "report.md").read_text()
    assert f"small.ckpt, SHA-256 {hash_file(path)}" in written and "small: eco_lite, N=4" in written
    (tmp_path / "bad.ckpt").write_bytes(b"no checkpoint")
    capfd.readouterr()
    assert exit_code(*args[:-4], "--checkpoint", tmp_path / "bad.ckpt") == 4
    assert "bad.ckpt cannot be exported: " in capfd.readouterr().err


def test_a_checkpoint_without_the_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.ckpt").touch()
    monkeypatch.setattr("ecolite_stream.bench.accuracy.checkpoint.find_spec", lambda name: None)
    with (
        pytest.raises(ConfigError, match=r"run python -m trainer.export .*a.ckpt --bundle DIR"),
        exported(tmp_path / "a.ckpt"),
    ):
        pass


def test_the_command(bundle: Bundle, tmp_path: Path, data_folder: Path, capfd):
    """Real clips, re-labelled as two of the small bundle's classes."""
    clips = sorted(data_folder.glob("ucf101/*/*.avi"))
    if len(clips) < 2:
        pytest.skip(f"{data_folder} has no ucf101 clips")
    for label, clip in zip(("jump", "wave"), clips, strict=False):
        (tmp_path / "data" / label).mkdir(parents=True)
        target = tmp_path / "data" / label / f"v_{label}_g01_c01.avi"
        target.write_bytes(clip.read_bytes())
    report = tmp_path / "report"
    args = ("ucf101", "--data", tmp_path / "data", "--split", 1, "--bundle", bundle.path)
    args = (*args, "--engine", ENGINE, "--report", report)
    assert exit_code(*args) == 0
    written = require_whole(report, "ucf101", "accuracy.png", "confusion.png")
    assert (written["scope"]["evaluated"], written["scope"]["of"]) == (2, 2)
    first, last = capfd.readouterr().out.splitlines()[-2:]
    assert first.startswith("{'Loss': ") and last.startswith("Total data: 2, top1 accuracy: ")
    rows = (report / "results.jsonl").read_bytes()
    assert [json.loads(row)["frames"] > 50 for row in rows.splitlines()[1:]] == [True, True]
    (report / "results.jsonl").unlink()
    assert exit_code(*args) == 0
    assert (report / "results.jsonl").read_bytes() == rows
    (tmp_path / "data" / "jump" / "v_jump_g02_c01.avi").write_bytes(b"no video")
    capfd.readouterr()
    assert exit_code(*args) == 3
    out, err = capfd.readouterr()
    assert out.splitlines()[-1].startswith("Total data: 3, ")
    assert "unreadable: jump/v_jump_g02_c01.avi" in err and "2 of 3 were evaluated" in err


def test_official_lists_have_names_with_spaces_and_windows_ends(tmp_path: Path):
    names = ["walk/walk (31).avi", "walk/walk (32).avi", "run/run 2.avi"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_numbered_video(tmp_path / name, 3, (64, 48))
    lists = tmp_path / "ucf101_splits"
    lists.mkdir()
    text = "\ufeff" + "\r\n".join([names[0], names[2].replace("/", "\\"), ""])
    (lists / "testlist01.txt").write_bytes(text.encode())
    found = select(Asked(tmp_path, "1"), ("run", "walk"))
    assert [clip.name for clip in found.clips] == [names[2], names[0]]
    assert (found.missing, found.extra) == ((), ("walk/walk (32).avi",))
    (lists / "trainlist01.txt").write_text(f"{names[1]} 1\n")
    assert select(Asked(tmp_path, "1"), ("run", "walk")).extra == ()
    every = select(Asked(tmp_path, "all"), ("run", "walk"))
    assert len(every.clips) == 3 and every.missing == ()
    (lists / "testlist01.txt").write_text("walk/a.avi\n\nb.avi\n")
    with pytest.raises(ConfigError, match=r"testlist01\.txt:3: expected '<class>/<video>', got 'b"):
        select(Asked(tmp_path, "1"), ("run", "walk"))


def test_a_cut_picture_that_no_segment_falls_on_is_named_too(tmp_path: Path):
    folder = tmp_path / "Archery" / "v_Archery_g01_c01"
    folder.mkdir(parents=True)
    for number in range(12):
        cv2.imwrite(str(folder / f"img_{99_995 + number:05d}.jpg"), numbered_image(number))
    model = Model(fake_bundle(tmp_path), FirstNumberEngine())
    asked = Asked(tmp_path, "1")
    selection = select(asked, LABELS)
    scores, _ = run_evaluation(asked, selection, model)
    assert scores.outcomes[0].rank == 0
    assert model.engine.clips == [segment_frames(12, 4)]
    assert 0 not in segment_frames(12, 4)
    first = folder / "img_99995.jpg"
    first.write_bytes(first.read_bytes()[:100])
    scores, _ = run_evaluation(asked, selection, model)
    assert "img_99995.jpg is cut off or damaged" in (scores.outcomes[0].error or "")


def test_trees_that_lie_deeper_are_said_to(tmp_path: Path):
    video(tmp_path / "UCF-101", "Archery", 1, 1, looks=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=rf"holds no <class>/<clip>; .*: name {tmp_path}/UCF-101"):
        select(Asked(tmp_path, "1"), LABELS)


def test_results_of_names_that_are_no_utf8_are_kept(tmp_path: Path):
    folder = tmp_path / os.fsdecode(b"T\xfcren")
    path = video(folder, "Archery", 1, 1, looks=0)
    path.rename(path.with_name(os.fsdecode(b"T\xfcr.avi")))
    asked = Asked(folder, "all", report=tmp_path / "report")
    for _ in range(2):  # again with what is kept
        scores = evaluated(asked, tmp_path)[0]
        assert [outcome.clip for outcome in scores.outcomes] == [r"Archery/T\xfcr.avi"]
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["settings"]["data"] == str(folder)
    rows = (tmp_path / "report" / "results.jsonl").read_text().splitlines()
    assert json.loads(rows[0])["data"] == str(folder)
    assert json.loads(rows[1])["clip"] == r"Archery/T\xfcr.avi"
    (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
