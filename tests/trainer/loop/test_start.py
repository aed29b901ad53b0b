"""A training starts from fresh weights, or from a checkpoint that goes with it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from ecolite_stream.errors import BundleError, ConfigError
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle, write_description
from ecolite_stream.model.preprocess import preprocess
from tests.checkpoint_files import LABELS, SIZE, small, spec_of
from trainer.config.schema import DataConfig, TrainConfig
from trainer.export import export_bundle
from trainer.loop.start import make_network, start_from_motion
from trainer.network import NetworkConfig, build_network
from trainer.weights.checkpoint import (
    DEMO,
    load_checkpoint,
    network_from,
    parameters_of,
    save_checkpoint,
)

HEAD = ("head.new_fc.weight", "head.new_fc.bias")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("start") / "start.ckpt"
    network = small()
    network.head.new_fc.bias.set_data(ms.Tensor(np.arange(3, dtype=np.float32)))
    save_checkpoint(path, network, spec_of(network))
    return path


def starting_from(path: Path, **preprocessing: object) -> TrainConfig:
    how = replace(spec_of(small()).preprocessing, **preprocessing)
    return TrainConfig(
        DataConfig(clips=(".",)),
        width=0.125,
        preprocessing=how,
        init_checkpoint=path,
        motion_init=True,
    )


def test_all_is_kept_where_the_labels_are_the_same(start: Path) -> None:
    first = parameters_of(make_network(starting_from(start), LABELS))
    assert first[HEAD[1]].tolist() == [0, 1, 2]


def test_rows_of_the_classifier_follow_their_labels(
    start: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = parameters_of(make_network(starting_from(start), LABELS))
    turned = parameters_of(make_network(starting_from(start), ("wave", "bow", "idle")))
    for name, value in first.items():
        expected = value[[2, 0, 1]] if name in HEAD else value
        np.testing.assert_array_equal(turned[name], expected)
    assert capsys.readouterr().err == ""


def test_other_labels_have_a_classifier_of_their_own_and_are_reported(
    start: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = parameters_of(make_network(starting_from(start), LABELS))
    for labels in (("bow", "idle", "jump"), ("bow", "idle", "wave", "walk")):
        other = parameters_of(make_network(starting_from(start), labels))
        assert other[HEAD[0]].shape[0] == len(labels)
        assert other[HEAD[1]][:3].tolist() != [0, 1, 2]
        for name in first.keys() - set(HEAD):
            np.testing.assert_array_equal(other[name], first[name])
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "other labels" in told and "gets new weights" in told


@pytest.mark.parametrize(
    ("name", "value"), [("channel_order", "BGR"), ("mean", (0.0, 0.0, 0.0)), ("scale", 0.5)]
)
def test_another_preprocessing_is_refused(start: Path, name: str, value: object) -> None:
    config = starting_from(start, **{name: value})
    with pytest.raises(ConfigError) as raised:
        make_network(config, LABELS)
    message = str(raised.value)
    assert f"preprocessing.{name} is {value}, " in message
    there = getattr(spec_of(small()).preprocessing, name)
    assert f"start.ckpt was trained with {there}; set it to that" in message


@pytest.mark.parametrize(("name", "value"), [("image_size", 2 * SIZE), ("framing", "center")])
def test_another_size_or_frame_is_a_warning(
    start: Path, name: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    make_network(starting_from(start, **{name: value}), LABELS)
    [record] = caplog.records
    assert f"preprocessing.{name} is {value}" in record.getMessage()


@pytest.mark.parametrize("segments", [4, 8])
def test_weights_that_a_bundle_left_out_are_told_where_they_are_needed(
    segments: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = small()  # of N = 4
    save_checkpoint(tmp_path / "start.ckpt", network, spec_of(network))
    trimmed = export_bundle(load_checkpoint(tmp_path / "start.ckpt"), tmp_path / "bundle").path
    config = starting_from(trimmed)
    caplog.clear()
    make_network(replace(config, num_segments=segments), LABELS)
    told = [record.getMessage() for record in caplog.records]
    expected = "lacks the weights that only more than its 4 segments use; they start from zero"
    assert [expected in line for line in told] == ([True] if segments == 8 else [])


def test_motion_init_makes_the_3d_net_blind_to_what_stands_still() -> None:
    network = build_network(NetworkConfig("eco_lite", 4, 32, 5, 0.125))
    before = network.head.net3d.res3a_2.conv.weight.asnumpy().std()
    start_from_motion(network)
    conv = network.head.net3d.res3a_2
    assert conv.conv.weight.asnumpy().std() == pytest.approx(before, rel=1e-4)
    still = np.ones((1, 16, 4, 4, 4), np.float32)
    inner = conv(ms.Tensor(still)).asnumpy()[:, :, 1:-1]  # without the padding in time
    bias = conv.conv.bias.asnumpy()[None, :, None, None, None]
    assert np.abs(inner - bias).max() < 1e-5


def test_a_bundle_holds_what_its_checkpoint_held(start: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(start)
    export_bundle(checkpoint, tmp_path / "bundle")
    found = load_checkpoint(tmp_path / "bundle")
    assert found.spec.labels == checkpoint.spec.labels
    assert found.parameters.keys() == checkpoint.parameters.keys()
    for name, value in checkpoint.parameters.items():
        kept = found.parameters[name]
        # Of few segments, taps of res5 that none of them meets.
        may_be_left_out = "res5" in name and value.ndim == 5
        expected = np.where(kept == 0, 0, value) if may_be_left_out else value
        np.testing.assert_array_equal(kept, expected)
        assert np.any(kept) or not np.any(value)


def test_the_embedded_bundle_can_be_started_from() -> None:
    found = load_checkpoint(DEMO)
    golden = read_bundle(demo_bundle_path()).golden()
    clip = np.stack([preprocess(image, found.spec.preprocessing) for image in golden.images])
    logits = network_from(found)(ms.Tensor(clip[None])).asnumpy()[0]
    np.testing.assert_allclose(logits, golden.logits, rtol=1e-3, atol=1e-3)


def test_a_bundle_without_mindir_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(demo_bundle_path(), folder)
    bundle = read_bundle(folder)
    write_description(folder, bundle.spec, [g for g in bundle.graphs if g.format == "onnx"])
    with pytest.raises(BundleError, match="has no encoder graph of format mindir"):
        load_checkpoint(folder)
