"""Windows of whole files and of their parts, with an engine that reads the frames' numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.datasets.marked import WHOLE
from ecolite_stream.datasets.segments import Marked
from ecolite_stream.errors import SourceError
from ecolite_stream.types import FloatArray
from tests.fakes import spec_of
from tests.videos import read_number, write_numbered_video
from trainer.teaching.features import ClipWindows, FeatureMaker

FRAMING = "whole"


class PooledNumbers:
    """An engine whose pooled features are the numbers of the plain frames in the memory."""

    name = "numbers"

    def encode(self, images: FloatArray) -> FloatArray:
        plain = (images[0].transpose(1, 2, 0) / spec_of().preprocessing.scale).round()
        return np.full((len(images), 1, 1, 1), read_number(plain.astype(np.uint8)), np.float32)

    def classify(self, features: FloatArray) -> FloatArray:
        return features.reshape(len(features), -1)

    def close(self) -> None:
        """Do nothing."""


def windows(path: Path, *parts: Marked) -> dict[Marked, dict[str, ClipWindows] | SourceError]:
    maker = FeatureMaker(PooledNumbers(), spec_of())
    return dict(maker.windows(path, {part: [FRAMING] for part in parts}))


def numbers(made: dict[str, ClipWindows] | SourceError) -> list[list[int]]:
    """The frames that each window shows."""
    assert not isinstance(made, SourceError), made
    return made[FRAMING]["plain"].pooled.astype(int).tolist()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """100 frames in 4 s, numbered from 0."""
    return write_numbered_video(tmp_path / "long.mp4", 100, (64, 64))


@pytest.mark.parametrize("part", [Marked(1.2, 3.2, "a"), Marked(30, 80, "a", in_frames=True)])
def test_a_part_is_seen_as_if_it_were_cut_out(part: Marked, video: Path, tmp_path: Path) -> None:
    cut = write_numbered_video(tmp_path / "cut.mp4", 50, (64, 64), first=30)
    found = numbers(windows(video, part)[part])
    assert found == numbers(windows(cut, WHOLE)[WHOLE])
    assert {number for window in found for number in window} <= set(range(30, 80))


def test_parts_that_overlap_are_seen_in_one_pass(video: Path) -> None:
    parts = (Marked(0, 2, "a"), Marked(1, 3, "b"), Marked(25, 75, "c", in_frames=True), WHOLE)
    together = windows(video, *parts)
    assert list(together) == [parts[0], parts[1], parts[2], WHOLE]
    for part in parts:
        assert numbers(together[part]) == numbers(windows(video, part)[part])
    assert numbers(together[parts[1]]) == numbers(together[parts[2]])


def test_what_is_no_clip_says_why_and_the_others_are_made(video: Path) -> None:
    short, between, behind, good = (
        *(Marked(1, 1.2, "a"), Marked(2.001, 2.002, "a"), Marked(9, 10, "a")),
        Marked(3, 9, "a"),
    )
    made = windows(video, short, between, behind, good)
    assert "it lasts 0.2 s; at least 0.5 s" in str(made[short])
    assert "it lasts 0.0 s" in str(made[between])
    assert "the video ends before it, at 4.0 s" in str(made[behind])
    assert max(map(max, numbers(made[good]))) >= 95
