"""Clips, and what is cut and made from them."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.data.clips import HeldClip, cut_windows, still_clips


@pytest.mark.parametrize(
    ("frames", "starts"), [(10, [0]), (20, [0]), (21, [0, 1]), (45, [0, 10, 20, 25])]
)
def test_windows_overlap_by_half_and_reach_the_end(frames: int, starts: list[int]) -> None:
    clip = HeldClip("a/a", "a", np.arange(frames, dtype=np.uint8).reshape(-1, 1, 1, 1), 10.0)
    windows = cut_windows(clip, seconds=2)
    assert [int(window.read([0])[0, 0, 0, 0]) for window in windows] == starts
    assert all(window.num_frames == 20 for window in windows)  # led in by its first frame
    assert int(windows[-1].read([19])[0, 0, 0, 0]) == frames - 1


@pytest.mark.parametrize("indices", [[-1], [10], [0, 10], [3, -1, 2]])
def test_a_frame_that_is_not_there_is_refused(indices: list[int]) -> None:
    clip = HeldClip("a/a", "a", np.zeros((10, 1, 1, 3), np.uint8), 10.0)
    [window] = cut_windows(clip, 1)
    for one in (clip, window):
        with pytest.raises(IndexError, match="a/a has 10 frames"):
            one.read(indices)


def test_a_short_clip_is_led_in_by_its_first_frame() -> None:
    clip = HeldClip("a/a", "a", np.arange(3, dtype=np.uint8).reshape(-1, 1, 1, 1), 10.0)
    [window] = cut_windows(clip, 0.6)
    assert (window.num_frames, window.seconds, window.label) == (6, pytest.approx(0.6), "a")
    assert window.read(range(6)).ravel().tolist() == [0, 0, 0, 0, 1, 2]


def test_nothing_moves_in_still_clips_and_who_passes_is_gone_from_the_median() -> None:
    frames = np.full((20, 8, 20, 3), 100, np.uint8)
    for number in range(20):
        frames[number, :, number] = 255  # somebody passes
    clips = [HeldClip("walk/a", "walk", frames, 10.0), HeldClip("walk/b", "walk", frames, 10.0)]
    stills = still_clips(clips, "idle", 9, seconds=2)
    assert len(still_clips(clips, "idle", 1)) == 1
    held, median = stills
    assert held.label == median.label == "idle"
    for still in (held, median):
        frames = still.read(range(20))
        assert frames.shape == (still.num_frames, 8, 20, 3)
        assert (frames == frames[0]).all()
    assert (held.read([0]) == 255).any()
    assert (median.read([0]) == 100).all()
