"""The framing that suits the clips is found on groups that were held out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.errors import ConfigError
from trainer.config.load import load_train_config
from trainer.loop.framing import Choice, choose, may_be_chance, pick_files, with_chosen_framing
from trainer.loop.probe import ProbeScore, folds_of, probe

pytestmark = pytest.mark.timeout(300)


def score(right: list[int], cross_entropy: float = 1.0) -> ProbeScore:
    return ProbeScore(np.array(right, np.bool_), cross_entropy)


def test_features_that_only_tell_groups_apart_are_worth_nothing() -> None:
    """Each group has a place of its own and one class: other groups say nothing of it."""
    clips = np.repeat(np.arange(20), 3)
    classes = (np.arange(20) // 2) % 2
    names = [f"{classes[i]}/{i}" for i in range(20)]
    groups = {str(g): names[2 * g : 2 * g + 2] for g in range(10)}
    folds = folds_of(names, groups, 5)
    assert sorted(np.concatenate(folds)) == list(range(20))
    of_folds = [{int(clip) // 2 for clip in fold} for fold in folds]
    assert sum(map(len, of_folds)) == 10  # no group is in two
    of_group = np.eye(10)[clips // 2]
    of_class = np.eye(2)[classes[clips]]
    assert probe(of_group, clips, classes, folds).num_right < 20
    best = probe(of_class, clips, classes, folds)
    assert best.num_right == 20 and best.cross_entropy < 0.2


def test_most_clips_right_wins_and_then_the_surer_one() -> None:
    assert choose({"center": score([1, 0]), "whole": score([1, 1], 3.0)}) == "whole"
    assert choose({"center": score([1, 0], 0.7), "follow": score([0, 1], 0.6)}) == "follow"
    assert may_be_chance(score([1, 1, 0, 1]), score([1, 0, 0, 1]))
    assert not may_be_chance(score([1] * 9), score([0] * 9))
    text = str(Choice("whole", {"center": score([0, 0]), "whole": score([1, 1])}, 7, 3.2))
    assert "framing center: 0 of 2 held-out clips right, cross entropy 1.000" in text
    assert text.endswith(
        "chose framing whole: 2 more than center; beside center that may be chance "
        "(7 groups in 5 folds, 3 s)"
    )


def test_the_clips_that_are_compared_are_spread_over_all() -> None:
    files = [ClipFile(Path(f"{i:03d}"), "a") for i in range(100)]
    assert pick_files(files, 200) == files
    picked = pick_files(files, 30)
    assert len(set(picked)) == 30 and picked[-1].path.name > "095"


def test_auto_is_a_framing_that_is_chosen_later() -> None:
    config = load_train_config(None, ["--data.clips", "[x]", "--preprocessing.framing", "auto"])
    assert config.choose_framing
    assert not load_train_config(None, ["--data.clips", "[x]"]).choose_framing
    with pytest.raises(ConfigError, match=r"framing 'auto' compares data\.clips in one process"):
        with_chosen_framing(
            load_train_config(
                None, ["--data.figures_per_class", "2", "--preprocessing.framing", "auto",
                       "--lr_schedule", "cosine"]
            )
        )  # fmt: skip


def write_at_the_edge(path: Path, up: bool, rng: np.random.Generator) -> None:
    """A patch that goes up, or down, at the left edge of a wide noisy picture."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 120))
    speed = rng.uniform(1.5, 2.0)
    for number in range(45):
        image = np.full((120, 320, 3), 90, np.uint8)
        at = int(20 + speed * number) % 100
        at = 100 - at if up else at
        image[at : at + 16, 8:24] = 240
        writer.write(image)
    writer.release()


@pytest.mark.slow
def test_the_middle_is_not_chosen_for_what_happens_at_the_edge(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for label in ("down", "up"):
        (tmp_path / label).mkdir()
        for number in range(6):
            write_at_the_edge(tmp_path / label / f"{number}_.avi", label == "up", rng)
    config = load_train_config(
        None,
        ["--data.clips", f"[{tmp_path}]", "--preprocessing.framing", "auto", "--data.split",
         "none", "--lr_schedule", "cosine", "--data.split_pattern", "/([0-9]+)_"],
    )  # fmt: skip
    chosen = with_chosen_framing(config)
    assert chosen.preprocessing.framing in ("whole", "follow") and not chosen.choose_framing
    err = capfd.readouterr().err
    assert err.count("of 12 held-out clips right") == 3
    assert f"chose framing {chosen.preprocessing.framing}: " in err and "6 groups" in err
