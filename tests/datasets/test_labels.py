"""The shipped class lists are the published ones, and a bad list says what is wrong with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ecolite_stream.datasets.labels import KNOWN_LISTS, load_labels
from ecolite_stream.errors import ConfigError

COUNTS = {"ucf101": 101, "hmdb51": 51, "kinetics400": 400}

# SHA-256 of the names joined by newlines, as compared with published copies (docs/labels.md).
DIGESTS = {
    "ucf101": "3ec3894f84996395754fb9c47fe6decb6a3a713ab4621a9ab090802e4f316525",
    "hmdb51": "e9e1a1dfe4df0133d7bacddfd02a79aec7e2351eaea6ccc91a05cbb529d85d23",
    "kinetics400": "a8dafb93a1204d4ecfa904f943ce5ee0c62ddeeb1df71aa1f96983fca17d777e",
}


def test_every_known_list_is_covered() -> None:
    assert set(KNOWN_LISTS) == set(COUNTS) == set(DIGESTS)


@pytest.mark.parametrize("name", KNOWN_LISTS)
def test_known_list_has_its_count_and_no_name_twice(name: str) -> None:
    labels = load_labels(name)
    assert len(labels) == len(set(labels)) == COUNTS[name]
    assert all(label == label.strip() and label.isascii() for label in labels)


@pytest.mark.parametrize("name", KNOWN_LISTS)
def test_known_list_is_the_one_that_was_checked(name: str) -> None:
    assert hashlib.sha256("\n".join(load_labels(name)).encode()).hexdigest() == DIGESTS[name]


def test_kinetics400_is_sorted() -> None:
    labels = load_labels("kinetics400")
    assert list(labels) == sorted(labels)


def test_ucf101_is_sorted_without_regard_to_case() -> None:
    labels = load_labels("ucf101")
    assert list(labels) == sorted(labels, key=str.lower)
    assert list(labels) != sorted(labels), "Hammering comes before HammerThrow"


def test_hmdb51_is_sorted_but_for_the_two_pairs_that_tsn_swaps() -> None:
    labels = load_labels("hmdb51")
    swapped = {
        index: (label, expected)
        for index, (label, expected) in enumerate(zip(labels, sorted(labels), strict=True))
        if label != expected
    }
    assert swapped == {
        20: ("kick_ball", "kick"),
        21: ("kick", "kick_ball"),
        44: ("sword_exercise", "sword"),
        45: ("sword", "sword_exercise"),
    }


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        (
            "ucf101",
            ("ApplyEyeMakeup", "ApplyLipstick", "Archery"),
            ("WallPushups", "WritingOnBoard", "YoYo"),
        ),
        ("hmdb51", ("brush_hair", "cartwheel", "catch"), ("turn", "walk", "wave")),
        (
            "kinetics400",
            ("abseiling", "air drumming", "answering questions"),
            ("yawning", "yoga", "zumba"),
        ),
    ],
)
def test_ends_of_known_lists(name: str, first: tuple[str, ...], last: tuple[str, ...]) -> None:
    labels = load_labels(name)
    assert labels[:3] == first
    assert labels[-3:] == last


@pytest.mark.parametrize(
    ("name", "index", "label"),
    [
        ("ucf101", 12, "BlowDryHair"),
        ("ucf101", 36, "HandstandPushups"),
        ("ucf101", 47, "JumpRope"),
        ("ucf101", 89, "TableTennisShot"),
        ("kinetics400", 140, "giving or receiving award"),
        ("kinetics400", 196, "massaging person's head"),
        ("kinetics400", 209, "passing American football (not in game)"),
        ("kinetics400", 273, "riding or walking with horse"),
        ("kinetics400", 308, "skiing (not slalom or crosscountry)"),
        ("kinetics400", 394, "wrapping present"),
    ],
)
def test_index_is_the_one_in_the_lists_of_eco(name: str, index: int, label: str) -> None:
    """Pairs that the validation lists in ECO's own repository state."""
    assert load_labels(name)[index] == label


def write(folder: Path, data: bytes) -> Path:
    path = folder / "labels.txt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"walk\nrun\n", ("walk", "run"), id="plain"),
        pytest.param(b"walk\nrun", ("walk", "run"), id="no newline at the end"),
        pytest.param(b"# mine\n\n walk \n\t\n#x\nrun\n", ("walk", "run"), id="blanks and comments"),
        pytest.param(b"\xef\xbb\xbfwalk\r\nrun\r\n", ("walk", "run"), id="BOM and CRLF"),
        pytest.param(b"\xef\xbb\xbf# mine\nwalk\n", ("walk",), id="BOM before a comment"),
        pytest.param("gå\n跑步\n".encode(), ("gå", "跑步"), id="not ASCII"),
        pytest.param(b"shake hands\n", ("shake hands",), id="a space inside"),
        pytest.param(b"1 Walk\r\n2 Run\r\n", ("Walk", "Run"), id="classInd.txt"),
        pytest.param(b"# ids\n0\tshake hands\n1\trun\n", ("shake hands", "run"), id="from 0"),
        pytest.param(b"walk\n2 people\n", ("walk", "2 people"), id="a number in one name only"),
        pytest.param(b"0\n1\n7\n", ("0", "1", "7"), id="names that are numbers"),
    ],
)
def test_file(tmp_path: Path, data: bytes, expected: tuple[str, ...]) -> None:
    path = write(tmp_path, data)
    assert load_labels(path) == load_labels(str(path)) == expected


def test_official_class_ind_form_of_a_whole_list(tmp_path: Path) -> None:
    names = load_labels("ucf101")
    lines = "".join(f"{number} {name}\r\n" for number, name in enumerate(names, start=1))
    assert load_labels(write(tmp_path, lines.encode())) == names


def test_known_name_wins_over_a_file_unless_it_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ucf101").write_text("walk\n")
    monkeypatch.chdir(tmp_path)
    assert len(load_labels("ucf101")) == 101
    assert load_labels("./ucf101") == load_labels(Path("ucf101")) == ("walk",)


def message(name_or_path: str | Path) -> str:
    """The error of loading a list, checked for what every such error must have."""
    with pytest.raises(ConfigError) as caught:
        load_labels(name_or_path)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert repr(str(name_or_path)) in text
    assert all(name in text for name in KNOWN_LISTS)
    return text


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"", "holds no labels", id="empty"),
        pytest.param(b"\xef\xbb\xbf\r\n# nothing\n", "holds no labels", id="only comments"),
        pytest.param(b"run\n\xff\n", "not UTF-8 text: bad byte at 4", id="undecodable"),
        pytest.param(b"\xff\xfer\x00u\x00n\x00", "is UTF-16 text; save it as UTF-8", id="UTF-16"),
        pytest.param(b"run\n\n#\nwalk\nrun\n", "'run' on lines 1 and 5", id="twice"),
        pytest.param(b"1 run\n2 run\n", "'run' on lines 1 and 2", id="twice, numbered"),
        pytest.param(b"1 run\n3 walk\n", "do not count up from 0 or 1", id="a number missing"),
        pytest.param(b"2 run\n3 walk\n", "do not count up from 0 or 1", id="starts at 2"),
        pytest.param(b"2 run\n1 walk\n", "do not count up from 0 or 1", id="out of order"),
    ],
)
def test_bad_file(tmp_path: Path, data: bytes, what: str) -> None:
    assert what in message(write(tmp_path, data))


def test_missing_file(tmp_path: Path) -> None:
    assert "No such file" in message(tmp_path / "none.txt")


def test_unknown_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "No such file" in message("ucf11")


def test_folder_is_not_a_list(tmp_path: Path) -> None:
    assert "cannot be read" in message(tmp_path)
