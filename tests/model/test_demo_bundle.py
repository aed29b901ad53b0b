"""The embedded model is whole, runs on every engine, and knows what the docs say it knows."""

from __future__ import annotations

import pytest

from ecolite_stream.engines import installed_engines, open_engine
from ecolite_stream.engines.check import check_engine
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from tests.conftest import ROOT
from trainer.config.load import load_train_config
from trainer.export import shareable
from trainer.loop.state import plain_config
from trainer.synthetic import ACTIONS


def test_it_knows_ten_actions_and_idle() -> None:
    assert set(read_bundle(demo_bundle_path()).spec.labels) == set(ACTIONS)


def test_it_was_trained_with_the_committed_configuration() -> None:
    trained = read_bundle(demo_bundle_path()).spec.training["config"]
    config = load_train_config(ROOT / "configs" / "train" / "demo.yaml")
    anywhere = dict.fromkeys(("output", "init_checkpoint"))  # where files lay
    # Keys that the training did not have yet.
    trained = {"choose_framing": False, **trained, "data": {"only": None, **trained["data"]}}
    assert trained | anywhere == shareable(plain_config(config)) | anywhere


@pytest.mark.parametrize("name", ["openvino", "mindspore"])
def test_every_engine_gives_its_golden_numbers(name: str) -> None:
    if name not in installed_engines():
        pytest.skip(f"{name} is not installed")
    bundle = read_bundle(demo_bundle_path())
    engine = open_engine(name, bundle)
    check_engine(engine, bundle)
    engine.close()
