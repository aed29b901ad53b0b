"""Streaming gives what the offline path gives on the same segments; and a difference shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.bench.accuracy.online import watch_clip, watch_file
from ecolite_stream.bench.accuracy.same import Agreed, LiveClip, Recorder, agree_offline, same_table
from ecolite_stream.config.choices import POLICIES
from ecolite_stream.config.schema import MemoryConfig, StreamConfig
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.engines import open_engine
from ecolite_stream.model.bundle import Bundle
from tests.bench.test_cli import ENGINE
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    (tmp_path / "walk").mkdir()
    return write_numbered_video(tmp_path / "walk" / "clip.avi", 100)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_prediction_of_a_real_engine(video: Path, bundle: Bundle, policy: str):
    config = StreamConfig(top=5, memory=MemoryConfig(policy=policy))
    engine = open_engine(ENGINE, bundle)
    result = watch_clip(ClipFile(video, "walk"), engine, bundle.spec, config, offline=True)
    agreed = result.agreed
    assert agreed is not None and agreed.clips == len(result.moments) >= 7
    assert (agreed.same, agreed.unseen) == (agreed.clips, 0)
    assert agreed.error < 1e-4
    plain = watch_clip(ClipFile(video, "walk"), engine, bundle.spec, config)
    assert plain.agreed is None and plain.moments == result.moments


def test_other_logits_and_other_pictures_are_found(video: Path, bundle: Bundle):
    engine = open_engine(ENGINE, bundle)
    recorder = Recorder(engine)
    watch_file(video, recorder, bundle.spec, StreamConfig(top=5))
    clips = list(recorder.clips)
    clips[1] = LiveClip(clips[1].segments, np.roll(clips[1].logits, 1))
    clips[-1] = LiveClip((*clips[-1].segments[:-1], b"no such picture"), clips[-1].logits)
    agreed = agree_offline(video, clips, engine, bundle.spec)
    assert agreed.clips == len(clips)
    assert (agreed.same, agreed.unseen) == (len(clips) - 2, 1)
    assert agreed.error > 0.01


def test_rows():
    total = Agreed(8, 0, 8, 1e-7) + Agreed(2, 1, 1, 1e-6)
    table = same_table([("clips", "paper", total), ("v.mp4", "paper", Agreed())])
    assert table.rows[0] == ("clips", "paper", "90.0 %", 10, 1, "1.0e-06")
    assert table.rows[1][2] is None
