"""Bundles that are whole by their hashes and mean no good."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecolite_stream.errors import BundleError
from ecolite_stream.model import limits
from ecolite_stream.model.bundle import DESCRIPTION, GOLDEN, Bundle, read_bundle, write_description
from tests.model.test_bundle import SPEC, change, folder, graph, put, refusal

__all__ = ["folder"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (put("num_segments", 10**6), "num_segments is 1000000; expected 1 to 256"),
        (put("clip_seconds", 1e-300), "clip_seconds is 1e-300; expected 0.01 to 3600"),
        (put("clip_seconds", 1e300), "clip_seconds is 1e+300; expected 0.01 to 3600"),
        (put("temperature", 1e-300), "temperature is 1e-300; expected 0.001 to 1000"),
        (put("width", 1e9), "width is 1000000000.0; expected 0.001 to 16"),
        (put("feature_shape", [2**20, 2**20]), "expected at most 268435456 values in all"),
        (put("feature_shape", [1] * 10**4), "expected 1 to 4 sizes above 0"),
        (
            put("labels", [str(i) for i in range(10_001)]),
            "there are 10001 labels; expected at most",
        ),
        (put("labels", ["a" * 201]), "printable characters in one line"),
        (put("labels", [""]), "label '' is no name of 1 to 200"),
        (put("labels", ["\x1b[31mred"]), r"label '\x1b[31mred' is no name"),
        (put("labels", ["two\nlines"]), r"label 'two\nlines' is no name"),
        (put("labels", ["two\u2028lines"]), r"label 'two\u2028lines' is no name"),
        (put("labels", ["\u202eevil"]), r"label '\u202eevil' is no name"),
        (put("labels", ["\ud800"]), r"label '\ud800' is no name"),
        (put("labels", ["\x9b31m"]), r"label '\x9b31m' is no name"),
        (put("thresholds", {"idle": float("nan")}), "threshold of idle is nan; expected 0 to 1"),
        (put("thresholds", {"idle": 2}), "threshold of idle is 2.0; expected 0 to 1"),
        (put("thresholds", {"\x1b[31m": 0.5}), r"do not exist: '\x1b[31m'"),
        (put("architecture", "\x1b[31m"), r"architecture '\x1b[31m' is no name"),
        (put("preprocessing:mean", [float("nan")] * 3), "mean is (nan, nan, nan); expected -1000"),
        (put("preprocessing:mean", [1e300] * 3), "mean is (1e+300, "),
        (put("preprocessing:scale", 1e-300), "scale is 1e-300; expected 1e-06 to 1000"),
        (put("preprocessing:image_size", 10**6), "image_size is 1000000; expected 16 to 1024"),
        (graph("head", batch_sizes=[10**6]), "batch_sizes is (1000000,); expected up to 16"),
        (graph("head", batch_sizes=[1] * 17), "expected up to 16 sizes"),
        (graph("head", file="\x1b[31m"), "part and file are names; one of them is empty or not"),
        (graph("head", sha256="\x1b[31m"), r"'\x1b[31m'"),
        (put("graphs", [{}] * 65), "'graphs' must list the bundle's graphs, up to 64"),
        (put("files", {GOLDEN: "0", **{str(i): "0" for i in range(64)}}), "lists 65; expected at"),
        (put("files:\x1b", "0"), r"file '\x1b' is no name of"),
        (put("digest", "\x1b[31m"), r"'\x1b[31m'"),
    ],
)
def test_what_a_description_may_not_say(
    folder: Path, edit: Callable[[dict[str, Any]], object], words: str
) -> None:
    change(folder, edit)
    message = refusal(folder)
    assert words in message
    assert "\x1b" not in message and "\n" not in message and len(message) < 1000


@pytest.mark.parametrize(
    "label",
    [
        "b\u00f6w",
        "\u6b69\u304f",
        "\u0645\u06cc\u200c\u062f\u0648\u062f",
        "a b",
        "\U0001f3c3\u200d\u2642",
    ],
)
def test_labels_of_every_language(folder: Path, label: str) -> None:
    spec = replace(SPEC, labels=(label, "idle"))
    write_description(folder, spec)
    assert read_bundle(folder).spec == spec


@pytest.mark.parametrize("name", [DESCRIPTION, GOLDEN, "head_2d.onnx"])
@pytest.mark.parametrize("what", ["zero", "pipe", "folder"])
def test_what_is_no_regular_file(folder: Path, name: str, what: str) -> None:
    """Reading one of the first two would never end."""
    (folder / name).unlink()
    if what == "zero":
        (folder / name).symlink_to("/dev/zero")
    elif what == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).mkdir()
    assert f"{name} is no regular file; copy the whole bundle again" in refusal(folder)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        (DESCRIPTION, limits.MAX_DESCRIPTION_BYTES),
        (GOLDEN, limits.MAX_GOLDEN_BYTES),
        ("head_2d.onnx", limits.MAX_GRAPH_BYTES),
    ],
)
def test_a_file_that_is_too_large(folder: Path, name: str, size: int) -> None:
    """With holes: it takes no room."""
    with (folder / name).open("r+b") as file:
        file.truncate(size + 1)
    assert f"{name} has {size + 1} bytes, at most {size} are read" in refusal(folder)


def test_a_link_to_a_regular_file_is_as_good(folder: Path, tmp_path: Path) -> None:
    (folder / GOLDEN).rename(tmp_path / "elsewhere")
    (folder / GOLDEN).symlink_to(tmp_path / "elsewhere")
    assert read_bundle(folder).spec == SPEC


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def claims(shape: str, dtype: str) -> bytes:
    """An array without values, whose header says that it has many."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


@pytest.mark.parametrize(
    ("member", "content", "words"),
    [
        ("logits", claims("(10000000000000,)", "<f4"), "logits is (10000000000000,) of float32"),
        ("images", claims("(4, 8000, 8000, 3)", "|u1"), "expected at most 256000000 bytes"),
        ("images", claims("(4, 9000, 9, 3)", "|u1"), "expected 4x?x?x3 of uint8"),
        ("logits", npy(np.zeros(5)), "logits is (5,) of float64, expected 5 of float32"),
        ("logits", claims("(5,)", "|O"), "logits is (5,) of object, expected 5 of float32"),
        ("logits", claims("(5,)", "<f4"), ""),
        ("features", npy(np.zeros((4, 1), np.float32)), "features is (4, 1) of float32"),
        ("logits", b"hello", ""),
        ("logits", b"", ""),
    ],
)
def test_arrays_that_are_not_what_they_must_be(
    member: str, content: bytes, words: str, bundle: Bundle, tmp_path: Path
) -> None:
    copy = replace(bundle, path=tmp_path)
    shutil.copyfile(bundle.file(GOLDEN), tmp_path / GOLDEN)
    with (
        zipfile.ZipFile(bundle.file(GOLDEN)) as old,
        zipfile.ZipFile(copy.file(GOLDEN), "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, content if name == f"{member}.npy" else old.read(name))
    with pytest.raises(BundleError) as caught:
        copy.golden()
    assert "golden.npz holds no golden numbers: " in str(caught.value)
    assert words in str(caught.value)


def test_golden_numbers_that_became_a_device_since(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / GOLDEN).symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=r"golden\.npz is no regular file"):
        replace(bundle, path=tmp_path).golden()
