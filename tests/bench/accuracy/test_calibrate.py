"""What `ecolite-bench calibrate` fits and writes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.bench.accuracy.calibrate import (
    calibrate,
    fit_temperature,
    held_out_error,
    lowest_score,
    probabilities,
    sample_error,
)
from ecolite_stream.bench.accuracy.online import find_clips
from ecolite_stream.bench.accuracy.redescribe import redescribe
from ecolite_stream.bench.accuracy.reliability import calibration_error
from ecolite_stream.bench.accuracy.samples import Collected, Samples, collect
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import BundleError, ConfigError
from ecolite_stream.model.bundle import DESCRIPTION, Bundle, read_bundle
from ecolite_stream.model.known import energy, share_below
from tests.bench.test_cli import ENGINE, exit_code, require_whole
from tests.fakes import NumberEngine, clip_logits, spec_of
from tests.videos import write_numbered_video


def samples_at(temperature: float, count: int = 20_000, classes: int = 3) -> Samples:
    """Labels drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (count, classes))
    cumulative = probabilities(logits, temperature).cumsum(axis=1)
    right = (rng.random((count, 1)) > cumulative).sum(axis=1)
    return Samples(logits, right, np.arange(count) // 10)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_drawn_labels_is_found(temperature: float):
    samples = samples_at(temperature)
    found = fit_temperature(samples)
    assert found == pytest.approx(temperature, rel=0.05)
    assert sample_error(samples, found) < 0.02
    held_out = held_out_error(samples)
    assert held_out is not None and held_out < 0.02


def test_calibration_lowers_the_error():
    fitted = calibrate(samples_at(3.0), spec_of(), share=0.9)
    assert fitted.after < 0.02 < fitted.before
    samples = samples_at(3.0)
    scores = probabilities(samples.logits, fitted.temperature)
    for number, label in enumerate("abc"):
        counts = (scores.argmax(axis=1) == number) & (
            scores.max(axis=1) >= fitted.thresholds[label]
        )
        assert (samples.right[counts] == number).mean() >= 0.9


def test_clips_that_are_all_right_determine_no_temperature():
    logits = np.eye(3)
    with pytest.raises(ConfigError, match="3 of 3 predictions are right"):
        calibrate(Samples(logits, np.arange(3), np.arange(3)), spec_of(), 0.9)


def test_the_bound_of_what_is_known_gives_up_its_share() -> None:
    samples = samples_at(1.0)
    fitted = calibrate(samples, spec_of(), share=0.9)
    assert fitted.energy_bound is not None and fitted.given_up is not None
    of_right = energy(samples.logits[samples.is_right])
    assert share_below(of_right, fitted.energy_bound) == pytest.approx(0.03, abs=1e-3)
    assert fitted.given_up == pytest.approx(0.03, abs=0.01)
    assert fitted.applied(spec_of(), {}).energy_bound == fitted.energy_bound
    few = samples.of(np.arange(len(samples.right)) < 60)
    assert calibrate(few, spec_of(), share=0.9).given_up is None


def test_calibration_error_by_hand():
    scores, right = np.array([0.9, 0.9, 0.5, 1.0]), np.array([True, False, True, True])
    assert calibration_error(scores, right) == pytest.approx((2 * 0.4 + 0.5 + 0) / 4)


def test_lowest_score_by_hand():
    scores = np.array([0.2, 0.4, 0.6, 0.8])
    assert lowest_score(scores, np.array([False, True, False, True]), 0.5) == 0.2
    assert lowest_score(scores, np.array([False, True, False, True]), 0.6) == 0.4
    assert lowest_score(scores, np.array([False, True, False, True]), 0.9) == 0.8
    assert lowest_score(scores, np.array([True, True, True, False]), 0.9) == 1
    assert lowest_score(np.array([0.5, 0.5]), np.array([True, False]), 0.9) == 1  # equal scores
    assert lowest_score(np.array([1.0]), np.array([True]), 0.9) < 1


def test_only_full_memories_of_readable_clips_count(tmp_path: Path):
    for label, num_frames in (("a", 75), ("b", 20)):
        (tmp_path / label).mkdir()
        write_numbered_video(tmp_path / label / "clip.avi", num_frames)
    (tmp_path / "a" / "text.avi").write_text("no video")
    engine, clips = NumberEngine(), find_clips(tmp_path, ("a", "b", "c"))
    collected = collect(clips, engine, spec_of(), StreamConfig())
    assert collected.too_short == ("b/clip.avi",)
    assert list(collected.unreadable) == ["a/text.avi"]
    count = len(collected.samples.right)
    assert 0 < count < len(engine.clips) and collected.clips == 1
    assert set(collected.samples.right) == {0}
    every = clip_logits(np.array(engine.clips, np.float32))
    last_of_a = [row for row in every if (row == collected.samples.logits[-1]).all()]
    assert last_of_a
    with pytest.raises(ConfigError, match="none of 1 clips fills the memory"):
        collect(clips[2:], engine, spec_of(), StreamConfig())


def test_a_copy_or_the_bundle_itself_gets_another_description(bundle: Bundle, tmp_path: Path):
    spec = dataclasses.replace(bundle.spec, temperature=2.5, thresholds={"bend": 0.5})
    copy = redescribe(bundle, spec, tmp_path / "deep" / "copy")
    assert copy == read_bundle(tmp_path / "deep" / "copy")
    assert copy.spec.temperature == 2.5 and copy.digest != bundle.digest
    assert read_bundle(bundle.path).spec.temperature == 1
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"copy"}
    with pytest.raises(BundleError, match="exists; name a new folder"):
        redescribe(bundle, spec, tmp_path / "deep" / "copy")
    back = redescribe(copy, bundle.spec)
    assert back == read_bundle(copy.path) and back.digest == bundle.digest
    assert {p.name for p in copy.path.iterdir()} == {p.name for p in bundle.path.iterdir()}


def test_the_command_writes_nothing_where_it_cannot_know(bundle: Bundle, tmp_path: Path, capfd):
    data, out = tmp_path / "data" / "bend", tmp_path / "out"
    data.mkdir(parents=True)
    write_numbered_video(data / "clip.avi", 75)
    (data / "broken.avi").write_text("no video")
    args = ("calibrate", "--data", data.parent, "--bundle", bundle.path, "--engine", ENGINE)
    assert exit_code(*args, "--out", out) == 3
    assert "unreadable: bend/broken.avi" in capfd.readouterr().err
    (data / "broken.avi").unlink()
    # One clip, always right or always wrong.
    assert exit_code(*args, "--out", out) == 2
    assert "do not determine a temperature" in capfd.readouterr().err
    assert not out.exists()


def test_the_command_writes_a_copy_or_the_bundle(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
):
    (tmp_path / "data" / "bend").mkdir(parents=True)
    (tmp_path / "data" / "bend" / "clip.avi").touch()
    drawn = samples_at(2.0, classes=len(bundle.spec.labels))
    collected = Collected(drawn, drawn, 2000, ("bend/short.avi",), {})
    monkeypatch.setattr("ecolite_stream.bench.accuracy.samples.collect", lambda *args: collected)
    folder, out, file = tmp_path / "own", tmp_path / "out", tmp_path / "report.json"
    shutil.copytree(bundle.path, folder)
    before = (folder / DESCRIPTION).read_bytes()
    args = ("calibrate", "--data", tmp_path / "data", "--bundle", folder, "--engine", ENGINE)
    out_to = ("--json", file, "--report", tmp_path / "report")
    assert exit_code(*args, "--out", out, *out_to) == 0
    require_whole(tmp_path / "report", "calibrate", "reliability.png")
    assert "too short to fill the memory: bend/short.avi" in capfd.readouterr().err
    assert (folder / DESCRIPTION).read_bytes() == before
    report, written = json.loads(file.read_text()), read_bundle(out)
    assert written.spec.temperature == report["temperature"] == pytest.approx(2, rel=0.05)
    assert written.spec.thresholds == report["thresholds"]
    assert written.spec.energy_bound == report["energy_bound"]
    assert report["given_up_held_out"] == pytest.approx(0.03, abs=0.01)
    assert written.spec.scores["calibration"]["clips"] == 2000
    assert exit_code(*args, "--out", out) == 4
    assert exit_code(*args) == 0
    assert read_bundle(folder).digest == written.digest != bundle.digest
