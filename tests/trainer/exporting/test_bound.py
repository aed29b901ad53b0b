"""The bound that an export fits to what its training held out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ecolite_stream.errors import ConfigError
from tests.videos import write_numbered_video
from trainer.checkpoints import Checkpoint
from trainer.config.schema import DataConfig, TrainConfig
from trainer.export import untrained, with_bound
from trainer.exporting.bound import fit_held_out_bound, fit_placed_bound
from trainer.loop.state import plain_config
from trainer.network import NetworkConfig

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for label in ("class_000", "class_001"):
        (folder / label).mkdir()
        for name in ("a", "b"):
            write_numbered_video(folder / label / f"{name}.avi", 100)
    return folder


def trained_on(clips: Path, **data: Any) -> Checkpoint:
    """Random weights that say they were trained on clips; the labels say that they are right."""
    checkpoint = untrained(NetworkConfig("eco_lite", 4, 32, 2, width=0.125))
    settings = DataConfig(clips=(str(clips),), **data)
    config = TrainConfig(data=settings, lr_schedule="cosine", batch_size=8)
    spec = dataclasses.replace(
        checkpoint.spec, clip_seconds=0.08, training={"config": plain_config(config)}
    )
    return dataclasses.replace(checkpoint, spec=spec)


def test_a_bound_from_what_was_held_out(clips: Path, capfd: pytest.CaptureFixture[str]) -> None:
    checkpoint = trained_on(clips, split="random", val_fraction=0.5)
    fitted = fit_held_out_bound(checkpoint)
    assert fitted.right >= 34 and fitted.given_up <= 0.03 * fitted.right
    bounded = with_bound(checkpoint)
    assert bounded.spec.energy_bound == fitted.bound
    assert f"gives up {fitted.given_up} of {fitted.right} right" in capfd.readouterr().err
    assert with_bound(bounded) is bounded  # what has one keeps it
    assert not capfd.readouterr().err


def test_an_export_without_held_out_clips_has_no_bound(
    clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for checkpoint, why in (
        (trained_on(clips, split="none"), "no clips are held out"),
        (trained_on(tmp_path / "gone", split="random"), "does not exist"),
        (untrained(NetworkConfig("eco_lite", 4, 32, 2, width=0.125)), "does not say what it was"),
    ):
        assert with_bound(checkpoint) is checkpoint
        err = capfd.readouterr().err
        assert "no bound of what is known: " in err and why in err
        with pytest.raises(ConfigError, match=why):
            fit_held_out_bound(checkpoint)


def test_a_bound_from_clips_that_are_small_in_a_larger_picture(
    clips: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    checkpoint = trained_on(clips, split="none")
    how = dataclasses.replace(checkpoint.spec.preprocessing, framing="follow")
    spec = dataclasses.replace(checkpoint.spec, preprocessing=how)
    following = dataclasses.replace(checkpoint, spec=spec)
    fitted = fit_placed_bound(following)
    assert fitted.right >= 34 and fitted.given_up <= 0.03 * fitted.right
    assert with_bound(following, placed=True).spec.energy_bound == fitted.bound
    assert "right predictions of half-size clips it knows" in capfd.readouterr().err
    with pytest.raises(ConfigError, match="only framing follow"):
        fit_placed_bound(checkpoint)
