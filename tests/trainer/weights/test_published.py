"""Published checkpoints: read whatever their form, exactly; refused with the reason in one line."""

from __future__ import annotations

import os
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.errors import BundleError
from ecolite_stream.model.preprocess import Preprocessing
from tests.checkpoint_files import SIZE, WIDTH, published, save_mindspore, save_npz, small
from trainer.checkpoints import ImportOptions, import_checkpoint
from trainer.weights.checkpoint import Checkpoint, network_from
from trainer.weights.published import modelzoo_name, pytorch_name


@pytest.fixture(scope="module")
def network():
    return small()


def imported_equals(path: Path, network, expected, name_of, **options) -> Checkpoint:
    """Import a file and check every parameter against the published values it was made of."""
    checkpoint = import_checkpoint(path, ImportOptions(image_size=SIZE, **options))
    assert set(checkpoint.parameters) == {name for name, _ in network.parameters_and_names()}
    for name, value in checkpoint.parameters.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, expected[name_of(name)], err_msg=name)
    network_from(checkpoint)
    return checkpoint


def without_module(state):
    return {name.removeprefix("module."): value for name, value in state.items()}


def without_dropout(state):
    return {n.replace("module.new_fc", "module.base_model.fc_final"): v for n, v in state.items()}


def with_batch_counts(state):
    counts = {n.replace("running_mean", "num_batches_tracked"): v[0] for n, v in state.items()}
    return {**state, **{n: v for n, v in counts.items() if n.endswith("num_batches_tracked")}}


def with_facts(state):
    return {"epoch": 3, "arch": "ECO", "state_dict": state, "best_prec1": 87.4}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", [with_facts, without_module, without_dropout, with_batch_counts])
def test_import_of_pytorch(tmp_path, network, wrap, legacy):
    torch = pytest.importorskip("torch")
    expected = published(lambda name: f"module.{pytorch_name(name)}", network)
    state = {name: torch.from_numpy(value) for name, value in expected.items()}
    path = tmp_path / "eco.pth.tar"
    torch.save(wrap(state), path, _use_new_zipfile_serialization=not legacy)
    checkpoint = imported_equals(path, network, expected, lambda n: f"module.{pytorch_name(n)}")
    assert checkpoint.spec.width == WIDTH
    assert checkpoint.spec.num_segments == 16
    assert checkpoint.spec.labels == ("class_000", "class_001", "class_002")
    assert checkpoint.spec.preprocessing == Preprocessing(SIZE)
    assert checkpoint.spec.training["origin"] == "ECO-pytorch"


@pytest.mark.parametrize("prefix", ["", "network.", "_backbone.", "network.network.backbone."])
def test_import_of_modelzoo(tmp_path, network, prefix):
    expected = published(modelzoo_name, network)
    state = {
        **{f"accum.{prefix}{name}": value for name, value in expected.items()},
        f"moments.{prefix}new_fc.bias": expected["new_fc.bias"],
        "learning_rate_group_1": np.ones(9, np.float32),
        "scale_sense": np.float32(65536),
        "current_iterator_step": np.int32(4),
        "momentum": np.float32(0.9),
        "global_step": np.zeros(1, np.int32),
        "epoch_num": np.int32(3),
    }
    entries = {f"{prefix}{name}": value for name, value in expected.items()} | state
    path = save_mindspore(tmp_path / "zoo.ckpt", entries)
    checkpoint = imported_equals(path, network, expected, modelzoo_name)
    assert checkpoint.spec.num_segments == 4


def test_import_of_modelzoo_without_dropout(tmp_path, network):
    expected = published(modelzoo_name, network)
    entries = {n.replace("new_fc", "base_model.dense1"): v for n, v in expected.items()}
    path = save_mindspore(tmp_path / "zoo.ckpt", entries)
    imported_equals(path, network, expected, modelzoo_name)


@pytest.mark.parametrize("name_of", [pytorch_name, modelzoo_name, str])
def test_import_of_numpy(tmp_path, network, name_of):
    expected = published(name_of, network)
    imported_equals(save_npz(tmp_path / "eco.npz", expected), network, expected, name_of)


@pytest.mark.parametrize("width", [0.25, 0.75])
@pytest.mark.parametrize("architecture", ["eco_lite", "eco_full"])
def test_architecture_and_width_are_found(tmp_path, architecture, width):
    network = small(architecture, width)
    expected = published(pytorch_name, network)
    path = save_npz(tmp_path / "eco.npz", expected)
    checkpoint = imported_equals(path, network, expected, pytorch_name, num_segments=8)
    assert (checkpoint.spec.architecture, checkpoint.spec.width) == (architecture, width)
    assert checkpoint.spec.num_segments == 8


def test_half_precision_becomes_float32(tmp_path, network):
    entries = published(pytorch_name, network)
    half = {name: value.astype(np.float16) for name, value in entries.items()}
    path = save_npz(tmp_path / "half.npz", half)
    imported_equals(path, network, {n: v.astype(np.float32) for n, v in half.items()}, pytorch_name)


def test_import_lists_what_does_not_fit(tmp_path, network):
    entries = published(modelzoo_name, network)
    del entries["base_model.conv3.bn2d.beta"]
    entries["base_model.conv9.conv2d.weight"] = np.zeros(3, np.float32)
    entries["base_model.conv4.conv2d.bias"] = np.zeros(3, np.float32)
    path = save_mindspore(tmp_path / "zoo.ckpt", entries)
    with pytest.raises(BundleError) as raised:
        import_checkpoint(path)
    message = str(raised.value)
    assert "1 missing (base_model.conv3.bn2d.beta)" in message
    assert "1 unexpected (base_model.conv9.conv2d.weight)" in message
    assert "1 misshapen (base_model.conv4.conv2d.bias is (3,), expected (8,))" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: {"weight": np.zeros(3)}, "holds no ECO network"),
        (lambda e: {**e, "module.new_fc.bias": np.zeros(3)}, "holds new_fc.bias twice"),
        (lambda e: {**e, "new_fc.bias": np.zeros(3, np.int64)}, "new_fc.bias holds int64"),
        (lambda e: {n: v for n, v in e.items() if "fc" not in n}, "no classifier"),
        (lambda e: {**e, "optimizer.lr": np.zeros(3)}, "1 unexpected (optimizer.lr)"),
    ],
)
def test_unfit_entries_are_refused(tmp_path, network, change, message):
    path = save_npz(tmp_path / "eco.npz", change(published(pytorch_name, network)))
    with pytest.raises(BundleError) as raised:
        import_checkpoint(path)
    assert message in str(raised.value)


# Files that would run code, and files that are something else


class TouchesFile:
    """Unpickling an instance creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


def malicious_files():
    torch = pytest.importorskip("torch")
    return {
        "zip.pth": torch.save,
        "legacy.pth.tar": lambda x, f: torch.save(x, f, _use_new_zipfile_serialization=False),
        "plain.pt": lambda x, f: f.write_bytes(pickle.dumps(x)),
        "oldest.pt": lambda x, f: f.write_bytes(pickle.dumps(x, protocol=0)),
        "object.npz": lambda x, f: np.savez(f, x=np.array([x], dtype=object)),
    }


@pytest.mark.parametrize(
    "name", ["zip.pth", "legacy.pth.tar", "plain.pt", "oldest.pt", "object.npz"]
)
def test_malicious_pickle_is_refused_unexecuted(tmp_path, name, capfd):
    marker = tmp_path / "executed"
    path = tmp_path / name
    malicious_files()[name]({"state_dict": {"w": TouchesFile(marker)}}, path)
    with pytest.raises(BundleError) as raised:
        import_checkpoint(path)
    assert not marker.exists()
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_malicious_pickle_names_the_culprit(tmp_path):
    malicious_files()["zip.pth"](TouchesFile(tmp_path / "executed"), tmp_path / "zip.pth")
    with pytest.raises(BundleError, match=r"refused and was not run: .* holds posix\.system"):
        import_checkpoint(tmp_path / "zip.pth")


@pytest.mark.parametrize("name", ["a.ckpt", "a.pth", "a.pth.tar", "a.npz"])
@pytest.mark.parametrize("content", [b"", b"PK", b"no checkpoint at all", b"\x80\x02}", None])
def test_other_files_are_refused_in_one_line(tmp_path, name, content, capfd):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError) as raised:
        import_checkpoint(path)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_unknown_suffix_and_folder_are_refused(tmp_path):
    with pytest.raises(BundleError, match="of no known kind"):
        import_checkpoint(tmp_path / "weights.bin")
    (tmp_path / "folder.ckpt").mkdir()
    with pytest.raises(BundleError, match="cannot be read"):
        import_checkpoint(tmp_path / "folder.ckpt")


def test_missing_torch_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BundleError, match=r"pip install 'ecolite-stream\[torch\]'"):
        import_checkpoint(tmp_path / "eco.pth")


def test_unsafe_torch_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__="2.5.1+cpu"))
    with pytest.raises(BundleError, match=r"needs PyTorch 2\.6 or newer, 2\.5\.1\+cpu"):
        import_checkpoint(tmp_path / "eco.pth")
