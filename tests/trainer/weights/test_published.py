"""Published checkpoints: read whatever their form, exactly; refused with the reason in one line."""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.errors import BundleError
from ecolite_stream.model.preprocess import Preprocessing
from tests.checkpoint_files import SIZE, WIDTH, published, save_mindspore, save_npz, small
from trainer.checkpoints import ImportOptions, import_checkpoint
from trainer.weights import reading
from trainer.weights.checkpoint import Checkpoint, network_from
from trainer.weights.published import modelzoo_name, pytorch_name
from trainer.weights.reading import read_entries


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
    with pytest.raises(BundleError, match=r"holds posix\.system, which may run code"):
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
    with pytest.raises(BundleError, match="is no regular file"):
        import_checkpoint(tmp_path / "folder.ckpt")


def test_missing_torch_is_named(tmp_path, monkeypatch):
    (tmp_path / "eco.pth").write_bytes(b"weights")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BundleError, match=r"pip install 'ecolite-stream\[torch\]'"):
        import_checkpoint(tmp_path / "eco.pth")


def test_unsafe_torch_is_refused(tmp_path, monkeypatch):
    (tmp_path / "eco.pth").write_bytes(b"weights")
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__="2.5.1+cpu"))
    with pytest.raises(BundleError, match=r"needs PyTorch 2\.6 or newer, 2\.5\.1\+cpu"):
        import_checkpoint(tmp_path / "eco.pth")


def test_a_whole_module_is_refused_with_the_way_to_save_its_weights(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(BundleError, match=r"torch\.save\(torch\.load\(.*\['state_dict'\]"):
        import_checkpoint(tmp_path / "module.pth")


# Objects beside the weights, cut files, web pages, files without an end


def beside(name):
    torch = pytest.importorskip("torch")
    weights = [torch.nn.Parameter(torch.zeros(2))]
    return {
        "tensor": {"best_prec1": torch.tensor(91.2)},
        "numpy": {"best_prec1": np.float64(91.2), "lr": np.float32(0.1), "epoch": np.int64(3)},
        "namespace": {"args": argparse.Namespace(lr=0.1, gpus=[0])},
        "optimizer": {"optimizer": torch.optim.SGD(weights, lr=0.1, momentum=0.9).state_dict()},
    }[name]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["tensor", "numpy", "namespace", "optimizer"])
def test_objects_beside_the_weights_are_skipped(tmp_path, name, legacy):
    torch = pytest.importorskip("torch")
    path = tmp_path / "eco.pth.tar"
    content = {"state_dict": {"w": torch.ones(3)}, **beside(name)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    np.testing.assert_array_equal(read_entries(path)["w"], np.ones(3, np.float32))


def test_a_skipped_object_is_no_weight(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": {"w": np.float64(1)}}, tmp_path / "eco.pth")
    with pytest.raises(BundleError, match="holds no state_dict of tensors by name"):
        read_entries(tmp_path / "eco.pth")


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_entries(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.ckpt", "a.pth.tar", "a.pt", "a.npz"])
def test_files_that_are_no_checkpoints(tmp_path, name, monkeypatch):
    path = tmp_path / name
    path.write_text("\n<!DOCTYPE html><html><title>Virus scan warning</title>")
    assert "is a web page, not a checkpoint" in refusal(path)
    path.write_bytes(b"")
    assert "is empty" in refusal(path)
    path.unlink()
    os.mkfifo(path)
    assert "is no regular file; name a checkpoint file" in refusal(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "is no regular file" in refusal(path)
    path.unlink()
    path.write_bytes(bytes(200))
    monkeypatch.setattr(reading, "MAX_CHECKPOINT_BYTES", 100)
    assert "has 200 bytes, at most 100 are read" in refusal(path)


def test_half_a_file_is_called_cut_off(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": {"w": torch.ones(1000)}}, tmp_path / "eco.pth.tar")
    save_npz(tmp_path / "eco.npz", {"w": np.ones(1000)})
    for name in ("eco.pth.tar", "eco.npz"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        assert f"is cut off after {len(whole) // 2} bytes; copy it again" in refusal(
            tmp_path / name
        )


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "zeros.npz", w=np.zeros(100_000))
    monkeypatch.setattr(reading, "MAX_CHECKPOINT_BYTES", 10_000)
    assert "unpacks to 800128 bytes" in refusal(tmp_path / "zeros.npz")


def test_an_array_larger_than_its_file_is_refused(tmp_path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive, archive.open("w.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, header)
    assert "is no .npz file of weights, or is damaged" in refusal(tmp_path / "huge.npz")
