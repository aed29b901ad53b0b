"""Checkpoints: written whole or not at all, read exactly or refused; and the import command."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from ecolite_stream.app.entry import run
from ecolite_stream.errors import BundleError, ConfigError
from tests.checkpoint_files import (
    CLASSES,
    LABELS,
    SIZE,
    published,
    save_mindspore,
    save_npz,
    small,
    spec_of,
)
from trainer import checkpoints
from trainer.checkpoints import ImportOptions, import_checkpoint
from trainer.weights.checkpoint import (
    MODEL_SPEC,
    SCHEMA_VERSION,
    Checkpoint,
    load_checkpoint,
    load_parameters,
    network_from,
    parameters_of,
    save_checkpoint,
)
from trainer.weights.published import modelzoo_name, pytorch_name


@pytest.fixture(scope="module")
def network():
    return small()


@pytest.fixture
def own_file(tmp_path, network) -> Path:
    path = tmp_path / "own.ckpt"
    save_checkpoint(path, network, spec_of(network))
    return path


def test_round_trip(own_file, network):
    loaded = load_checkpoint(own_file)
    assert loaded.spec == spec_of(network)
    expected = parameters_of(network)
    assert loaded.parameters.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(loaded.parameters[name], value)

    images = ms.Tensor(np.random.default_rng(0).normal(size=(1, 4, 3, SIZE, SIZE)), ms.float32)
    again = network_from(loaded)
    np.testing.assert_array_equal(again(images).asnumpy(), network(images).asnumpy())


def test_saved_file_is_writable_and_alone_in_its_folder(own_file):
    assert own_file.stat().st_mode & stat.S_IWUSR
    assert [path.name for path in own_file.parent.iterdir()] == ["own.ckpt"]


def test_saving_replaces_and_makes_the_folder(tmp_path, network):
    path = tmp_path / "run" / "best.ckpt"
    save_checkpoint(path, network, spec_of(network))
    save_checkpoint(path, parameters_of(network), spec_of(network, clip_seconds=7.0))
    assert load_checkpoint(path).spec.clip_seconds == 7.0


def test_failed_save_leaves_the_old_file(own_file, network, monkeypatch):
    def fail_halfway(entries, name, **_):
        Path(name).with_suffix(".tmp").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    before = own_file.read_bytes()
    monkeypatch.setattr(ms, "save_checkpoint", fail_halfway)
    with pytest.raises(BundleError, match=r"own\.ckpt cannot be written: .*No space left"):
        save_checkpoint(own_file, network, spec_of(network))
    assert own_file.read_bytes() == before
    assert [path.name for path in own_file.parent.iterdir()] == ["own.ckpt"]


def test_parameters_are_copies():
    network = small()
    before = parameters_of(network)
    bias = network.head.new_fc.bias
    ms.ops.assign_add(bias, ms.ops.ones_like(bias))
    np.testing.assert_array_equal(before["head.new_fc.bias"] + 1, bias.asnumpy())


def test_loading_lists_what_does_not_fit_and_changes_nothing():
    network = small()
    before = parameters_of(network)
    parameters = {name: value + 1 for name, value in before.items()}
    gone = [name for name in parameters if ".res3" in name]
    for name in gone:
        del parameters[name]
    parameters["head.extra"] = np.zeros(2, np.float32)
    parameters["head.new_fc.bias"] = np.zeros(9, np.float32)

    with pytest.raises(BundleError) as raised:
        load_parameters(network, parameters)
    message = str(raised.value)
    assert f"{len(gone)} missing ({', '.join(gone[:5])}, ...)" in message
    assert "1 unexpected (head.extra)" in message
    assert f"1 misshapen (head.new_fc.bias is (9,), expected ({CLASSES},))" in message
    for name, value in parameters_of(network).items():
        np.testing.assert_array_equal(value, before[name])


def test_spec_of_another_network_is_refused(network):
    parameters = parameters_of(network)
    with pytest.raises(BundleError, match="features should be"):
        network_from(Checkpoint(spec_of(network, feature_shape=(1, 2, 3)), parameters))
    with pytest.raises(BundleError, match="misshapen"):
        network_from(Checkpoint(spec_of(network, labels=("a", "b"), thresholds={}), parameters))


@pytest.mark.parametrize("length", [0, 3, 10_000, -5_000, -20, -1])
def test_truncated_file_is_refused(own_file, network, length):
    own_file.write_bytes(own_file.read_bytes()[:length])
    with pytest.raises(BundleError, match=r"own\.ckpt"):
        network_from(load_checkpoint(own_file))


def test_flipped_bit_is_refused(own_file):
    data = bytearray(own_file.read_bytes())
    data[len(data) // 2] ^= 1
    own_file.write_bytes(data)
    with pytest.raises(BundleError, match="damaged"):
        load_checkpoint(own_file)


def test_nonsense_description_is_refused(tmp_path, network):
    for text in ("{", "[]", '{"labels": 3}'):
        path = save_mindspore(tmp_path / "bad.ckpt", parameters_of(network))
        ms.save_checkpoint(network, str(path), append_dict={"model_spec": text})
        with pytest.raises(BundleError, match="model_spec is malformed"):
            load_checkpoint(path)


def rewrite(path: Path, network, text: str) -> Path:
    ms.save_checkpoint(network, str(path), append_dict={MODEL_SPEC: text}, crc_check=True)
    return path


def test_every_version_is_read_and_an_unknown_one_refused(tmp_path, network):
    spec = spec_of(network)
    path = rewrite(tmp_path / "one.ckpt", network, json.dumps(spec.to_json()))
    assert load_checkpoint(path).spec == import_checkpoint(path).spec == spec
    for version in (SCHEMA_VERSION + 1, 0, -1, "2", None, True, 1.0):
        text = json.dumps({"schema_version": version, **spec.to_json()})
        path = rewrite(tmp_path / "other.ckpt", network, text)
        with pytest.raises(BundleError, match=rf"reads 1 to {SCHEMA_VERSION}; install"):
            load_checkpoint(path)
        with pytest.raises(BundleError, match=rf"reads 1 to {SCHEMA_VERSION}; install"):
            import_checkpoint(path)


def test_a_file_says_its_version(own_file):
    text = str(ms.load_checkpoint(str(own_file))[MODEL_SPEC])
    assert json.loads(text)["schema_version"] == SCHEMA_VERSION


def test_foreign_checkpoint_is_pointed_to_import(tmp_path, network):
    path = save_mindspore(tmp_path / "zoo.ckpt", published(modelzoo_name, network))
    with pytest.raises(BundleError, match=r"trainer\.checkpoints import"):
        load_checkpoint(path)


def test_import_of_own_checkpoint_keeps_what_it_knows(own_file, network):
    assert import_checkpoint(own_file).spec == load_checkpoint(own_file).spec
    changed = import_checkpoint(own_file, ImportOptions(num_segments=8, clip_seconds=3.0)).spec
    assert (changed.num_segments, changed.clip_seconds) == (8, 3.0)
    assert changed.labels == LABELS
    assert changed.preprocessing == spec_of(network).preprocessing
    assert (changed.temperature, changed.thresholds, changed.scores) == (1.0, {}, {})


def test_new_head_is_fresh_and_seeded(own_file):
    def head(seed: int) -> Checkpoint:
        return import_checkpoint(own_file, ImportOptions(new_head=("a", "b", "c", "d"), seed=seed))

    first, again, other = head(1), head(1), head(2)
    assert first.spec.labels == ("a", "b", "c", "d")
    assert (first.spec.thresholds, first.spec.scores) == ({}, {})
    weight = first.parameters["head.new_fc.weight"]
    assert weight.shape[0] == 4
    np.testing.assert_array_equal(weight, again.parameters["head.new_fc.weight"])
    assert not np.array_equal(weight, other.parameters["head.new_fc.weight"])
    old = load_checkpoint(own_file)
    for name in old.parameters:
        if "new_fc" not in name:
            np.testing.assert_array_equal(first.parameters[name], old.parameters[name])
    network_from(first)


def test_new_head_for_a_file_without_classifier(tmp_path, network):
    entries = {n: v for n, v in published(pytorch_name, network).items() if "new_fc" not in n}
    path = save_npz(tmp_path / "headless.npz", entries)
    assert import_checkpoint(path, ImportOptions(new_head=LABELS)).spec.labels == LABELS


def test_wrong_number_of_labels_is_refused(own_file):
    with pytest.raises(ConfigError, match="2 labels for a classifier of 3"):
        import_checkpoint(own_file, ImportOptions(labels=("a", "b")))


def test_labels_by_class_count():
    assert checkpoints.default_labels(51)[0] == "brush_hair"
    assert len(checkpoints.default_labels(400)) == 400
    assert checkpoints.default_labels(2) == ("class_000", "class_001")


def command(*args: object) -> int:
    with pytest.raises(SystemExit) as left:
        run(checkpoints.main, ["import", *map(str, args)])
    return int(left.value.code or 0)


def test_command_writes_a_checkpoint(tmp_path, network, capsys):
    source = save_npz(tmp_path / "eco.npz", published(pytorch_name, network))
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(LABELS))
    out = tmp_path / "out.ckpt"
    options = ("--num-segments", 12, "--image-size", SIZE, "--clip-seconds", 1.5)
    assert command(source, "--out", out, "--labels", labels, *options) == 0
    spec = load_checkpoint(out).spec
    assert (spec.num_segments, spec.labels, spec.clip_seconds) == (12, LABELS, 1.5)
    assert spec.preprocessing.image_size == SIZE
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"wrote {out}\n")


@pytest.mark.parametrize(("classes", "count"), [("5", 5), ("hmdb51", 51)])
def test_command_makes_a_new_head(tmp_path, own_file, classes, count):
    out = tmp_path / "out.ckpt"
    assert command(own_file, "--out", out, "--new-head", classes) == 0
    assert load_checkpoint(out).parameters["head.new_fc.bias"].shape == (count,)


def test_command_exports_a_bundle(tmp_path, own_file, monkeypatch):
    exported = []
    monkeypatch.setattr(checkpoints, "export_bundle", lambda *what: exported.append(what))
    assert command(own_file, "--bundle", tmp_path / "bundle") == 0
    [(checkpoint, folder)] = exported
    assert (checkpoint.spec.labels, folder) == (LABELS, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 2),
        (("--out", "x.ckpt", "--num-segments", 5), 2),
        (("--out", "x.ckpt", "--new-head", 0), 2),
        (("--out", "x.ckpt", "--labels", "ucf101"), 2),
    ],
)
def test_command_refuses_wrong_usage(own_file, options, code, capsys):
    assert command(own_file, *options) == code
    assert "Traceback" not in capsys.readouterr().err


def test_command_ends_with_one_line_and_4_for_a_bad_file(tmp_path, capfd):
    (tmp_path / "bad.ckpt").write_bytes(b"bad")
    assert command(tmp_path / "bad.ckpt", "--out", tmp_path / "out.ckpt") == 4
    error = capfd.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'bad.ckpt'} is no .ckpt file of weights")
    assert error.count("\n") == 1
    assert not (tmp_path / "out.ckpt").exists()
