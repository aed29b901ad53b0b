"""The splits of HMDB51, Kinetics and Something-Something, from files like those published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecolite_stream.app.entry import run
from ecolite_stream.datasets.labels import load_labels
from ecolite_stream.errors import ConfigError
from tests.videos import write_numbered_video
from trainer.data import gen_dataset_lists
from trainer.data.lists import Item, read_list
from trainer.data.published_splits import hmdb51_lists, kinetics_lists, something_lists

TEMPLATE = "Putting [something] on a surface"


@pytest.fixture
def hmdb51(tmp_path: Path) -> Path:
    folder = tmp_path / "testTrainMulti_7030_splits"
    folder.mkdir()
    for label in load_labels("hmdb51"):
        for split in (1, 2, 3):
            text = ""
            if label == "wave":
                text = f"a_wave#(1).avi {split - 1} \nb_wave.avi {3 - split}\n\n"
            (folder / f"{label}_test_split{split}.txt").write_text(text)
    return folder


def test_hmdb51_trains_on_1_tests_on_2_and_leaves_0_out(hmdb51: Path) -> None:
    index = load_labels("hmdb51").index("wave")
    a, b = ("wave/a_wave#(1)", index), ("wave/b_wave", index)
    assert hmdb51_lists([a[0], b[0]], hmdb51) == [
        ("train_split_1", []),
        ("test_split_1", [b]),
        ("train_split_2", [a, b]),
        ("test_split_2", []),
        ("train_split_3", []),
        ("test_split_3", [a]),
    ]
    with pytest.raises(ConfigError, match="wave/c is in no split file"):
        hmdb51_lists(["wave/c"], hmdb51)
    with pytest.raises(ConfigError, match=r"split file \S+ cannot be read"):
        hmdb51_lists([a[0]], hmdb51.parent)


def test_kinetics_lists_what_is_still_to_be_had(tmp_path: Path) -> None:
    heading = "label,youtube_id,time_start,time_end,split\n"
    (tmp_path / "train.csv").write_text(
        heading + "air drumming,abc-_123,5,15,train\nabseiling,gone,0,10,train\n"
    )
    (tmp_path / "val.csv").write_text(heading + '"abseiling",xyz,100,110,val\n')
    names = ["air_drumming/abc-_123_000005_000015", "abseiling/xyz_000100_000110"]
    assert kinetics_lists(names, tmp_path) == [("train", [(names[0], 1)]), ("val", [(names[1], 0)])]
    (tmp_path / "val.csv").write_text(heading + "flying,xyz,100,110,val\n")
    with pytest.raises(ConfigError, match=r"val\.csv:2 makes no sense at .flying,xyz"):
        kinetics_lists(names, tmp_path)


@pytest.fixture
def something(tmp_path: Path) -> Path:
    labels = {"Putting something on a surface": "0", "Folding something": "1"}
    stem = tmp_path / "something-something-v2"
    entries = [
        {"id": "7", "label": "putting a cup on a surface", "template": TEMPLATE},
        {"id": "8", "label": "folding paper", "template": "Folding [something]"},
    ]
    Path(f"{stem}-labels.json").write_text(json.dumps(labels))
    Path(f"{stem}-train.json").write_text(json.dumps(entries))
    Path(f"{stem}-validation.json").write_text(json.dumps([{"id": "9", "template": TEMPLATE}]))
    return tmp_path


def test_something_goes_by_its_templates(something: Path) -> None:
    assert something_lists(["7", "8", "9"], something) == [
        ("train", [("7", 0), ("8", 1)]),
        ("val", [("9", 0)]),
    ]
    (something / "something-something-v2-validation.json").write_text('[{"id": "9"}]')
    with pytest.raises(ConfigError, match=r"validation\.json makes no sense at"):
        something_lists(["9"], something)
    (something / "something-something-v2-validation.json").write_text("[")
    with pytest.raises(ConfigError, match=r"validation\.json is not JSON"):
        something_lists(["9"], something)


def test_the_command_lists_videos_in_one_folder(something: Path, tmp_path: Path) -> None:
    videos, out = tmp_path / "videos", tmp_path / "lists"
    videos.mkdir()
    for number in (7, 8, 9):
        write_numbered_video(videos / f"{number}.webm", number, codec="libvpx-vp9")
    words = ["something", str(videos), "--annotations", str(something), "--out", str(out)]
    with pytest.raises(SystemExit) as ended:
        run(gen_dataset_lists.main, words)
    assert not ended.value.code
    assert read_list(out / "something_train.txt") == [Item("7.webm", 7, 0), Item("8.webm", 8, 1)]
    with pytest.raises(SystemExit) as ended:
        run(gen_dataset_lists.main, [*words, "--check"])
    assert not ended.value.code


@pytest.mark.parametrize("lists", [hmdb51_lists, kinetics_lists, something_lists])
def test_annotations_are_asked_for(lists: object) -> None:
    with pytest.raises(ConfigError, match="name --annotations DIR"):
        lists(["a"], None)  # type: ignore[operator]


def test_names_that_are_in_no_list_are_an_error(tmp_path: Path, something: Path) -> None:
    heading = "\ufefflabel,youtube_id,time_start,time_end,split\r\n"
    for side in ("train", "val"):
        (tmp_path / f"{side}.csv").write_text(heading + "abseiling,xyz,100,110,x\r\n")
    wanted = "such as 'abseiling/xyz_000100_000110', found is 'abseiling/xyz'"
    with pytest.raises(ConfigError, match=wanted):
        kinetics_lists(["abseiling/xyz"], tmp_path)
    with pytest.raises(ConfigError, match="such as '7', found is 'video_7'"):
        something_lists(["video_7"], something)


def test_a_line_of_hmdb51_that_makes_no_sense(hmdb51: Path) -> None:
    (hmdb51 / "brush_hair_test_split1.txt").write_text("a.avi 1\n\nb.avi\n")
    with pytest.raises(ConfigError, match=r"split1\.txt:3: expected '<video> 0|1|2', got 'b\.avi'"):
        hmdb51_lists(["wave/b_wave"], hmdb51)
