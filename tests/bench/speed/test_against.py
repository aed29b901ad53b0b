"""A plain loop beside the pipeline of `ecolite-bench ucf101`: the same clips, in turns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecolite_stream.bench.accuracy.offline import Outcome
from ecolite_stream.bench.speed import against as module
from ecolite_stream.bench.speed.against import (
    TURNS,
    Against,
    against_table,
    check_against,
    measure_against,
    open_reference,
    plain_label,
    video_files,
)
from ecolite_stream.bench.speed.references import REFERENCES
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.model.sampling import segment_frames
from tests.bench.accuracy.test_ucf101 import LABELS, SPEC, FirstNumberEngine
from tests.bench.test_cli import ENGINE, exit_code
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(120)


def clips(folder: Path, count: int) -> list[ClipFile]:
    return [
        ClipFile(write_numbered_video(folder / f"{n}.avi", 11, (64, 48), first=1000 * n), LABELS[n])
        for n in range(count)
    ]


def test_the_plain_loop_sees_the_same_frames(tmp_path: Path):
    engine = FirstNumberEngine()
    clip = clips(tmp_path, 2)[1]
    assert plain_label(clip, engine, SPEC) == "Bowling"
    assert engine.clips == [[1000 + number for number in segment_frames(11, 4)]]


def test_both_take_turns_over_the_same_clips(tmp_path: Path):
    moments = iter(range(1000))
    engine, reference, turns = FirstNumberEngine(), FirstNumberEngine(), []
    result = measure_against(
        *(clips(tmp_path, 3), (engine, reference), SPEC, 2),
        on_turn=lambda: turns.append((len(engine.clips), len(reference.clips))),
        clock=lambda: float(next(moments)),
    )
    assert turns[:3] == [(4, 1), (4, 4), (7, 4)]  # a clip of each does not count
    assert len(turns) == 2 * TURNS and len(result.ours_s) == TURNS
    assert (result.library, result.clips, result.same_labels) == ("first", 3, 3)


def test_the_gain_is_the_median_over_turns():
    result = Against("torch", 10, 9, (1.0, 2.0, 2.0), (3.0, 6.0, 40.0))
    assert result.gain == 3
    assert against_table(result).rows == [("3.00x", "5.00", "1.67", 10, 9)]
    assert result.to_json()["gain"] == 3


def test_clips_that_could_be_read_are_spread_evenly(tmp_path: Path):
    some = clips(tmp_path, 3)
    outcomes = [Outcome(clip.name, clip.label) for clip in some]
    assert video_files(some, outcomes, 2) == [some[0], some[1]]
    assert video_files(some, outcomes, 9) == some
    broken = [Outcome(clip.name, clip.label, error="no video") for clip in some]
    with pytest.raises(ConfigError, match="none of the clips"):
        video_files(some, broken, 2)


def test_references_that_are_not_there(bundle: Bundle, monkeypatch):
    with pytest.raises(ConfigError, match=r"run it as python -m trainer.reference.benchmark"):
        check_against("torch")
    with pytest.raises(ConfigError, match="expected torch, onnxruntime, openvino"):
        check_against("caffe")

    def absent(bundle: Bundle):
        raise ModuleNotFoundError("No module named 'caffe'", name="caffe")

    monkeypatch.setitem(REFERENCES, "caffe", absent)
    with pytest.raises(ConfigError, match="needs caffe; install it"):
        open_reference("caffe", bundle)


def test_the_command(tmp_path: Path, bundle: Bundle, monkeypatch, capfd):
    pytest.importorskip("torch")
    from trainer.reference.benchmark import TorchReference

    monkeypatch.setitem(REFERENCES, "torch", TorchReference)
    monkeypatch.setattr(module, "TURNS", 1)
    label = bundle.spec.labels[0]
    (tmp_path / "data" / label).mkdir(parents=True)
    for number in range(3):
        write_numbered_video(tmp_path / "data" / label / f"{number}.avi", 11, first=number)
    args = ("--data", tmp_path / "data", "--split", "all", "--bundle", bundle.path)
    options = ("--engine", ENGINE, "--against", "torch", "--against-clips", 2)
    assert exit_code("ucf101", *args, *options, "--report", tmp_path / "r") == 0
    assert "From video files to labels, against torch" in capfd.readouterr().out
    found = json.loads((tmp_path / "r" / "report.json").read_text())["against"]
    assert (found["clips"], found["same_labels"], len(found["ours_s"])) == (2, 2, 1)
