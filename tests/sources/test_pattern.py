from __future__ import annotations

from itertools import count, islice, pairwise

import numpy as np
import pytest

from ecolite_stream.errors import SourceError
from ecolite_stream.sources import Pattern, PatternSource, open_source


def test_has_the_length_rate_and_size_asked_for() -> None:
    with open_source("pattern:seconds=2,fps=5,size=64x48") as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 5 for n in range(10)])
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}


def test_frames_say_when_they_arrived() -> None:
    readings_s = count(50.0)
    pattern = PatternSource(Pattern(seconds=0.4), clock=lambda: float(next(readings_s)))
    with pattern as source:
        frames = list(source)
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(10)])
    arrivals_s = [frame.arrived_s or 0.0 for frame in frames]
    assert arrivals_s[0] >= 50
    assert all(a < b for a, b in pairwise(arrivals_s))


def test_is_endless_and_moves() -> None:
    with open_source("pattern") as source:
        frames = list(islice(source, 60))
        assert not source.live
        assert source.name == "pattern"
    assert frames[-1].time_s == pytest.approx(59 / 25)
    assert frames[0].image.shape == (240, 320, 3)
    assert not np.array_equal(frames[0].image, frames[-1].image)


def test_a_fraction_is_a_rate_too() -> None:
    with open_source("pattern:fps=12.5,seconds=0.4") as source:
        assert [frame.time_s for frame in source] == pytest.approx([0, 0.08, 0.16, 0.24, 0.32])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("colour=red", "no option 'colour'; choose from seconds, fps, size"),
        ("fps=fast", "fps is 'fast'"),
        ("fps=0", "fps is 0"),
        ("fps=nan", "fps is nan"),
        ("seconds=-1", "seconds is -1"),
        ("seconds=inf", "seconds is inf"),
        ("size=320", "size is '320'"),
        ("size=0x5", "size is (0, 5)"),
    ],
)
def test_nonsense_is_refused(options: str, words: str) -> None:
    with pytest.raises(SourceError) as caught:
        Pattern.parse(options)
    assert words in str(caught.value)
