"""Graphs that keep weights in other files are refused before a library reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ecolite_stream.engines import open_engine
from ecolite_stream.errors import BundleError
from ecolite_stream.model import graph_files
from ecolite_stream.model.bundle import (
    EXPORTED,
    Bundle,
    demo_bundle_path,
    read_bundle,
    write_description,
)
from ecolite_stream.model.graph_files import require_self_contained
from tests.conftest import installed


def message(*fields: tuple[int, bytes]) -> bytes:
    """Fields of bytes, by number, as protobuf writes them; shorter than 128 bytes each."""
    out = b""
    for number, value in fields:
        tag = number << 3 | 2
        head = bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])
        out += head + bytes([len(value)]) + value
    return out


LOCATION = message((1, b"location"), (2, b"../../etc/passwd"))
ONNX_TENSOR = message((13, LOCATION))
MINDIR_TENSOR = message((12, message((1, b"/etc/passwd"))))
EXTERNAL = {
    "onnx weight": (".onnx", message((7, message((5, ONNX_TENSOR))))),
    "onnx constant": (".onnx", message((7, message((1, message((5, message((5, ONNX_TENSOR))))))))),
    "onnx list": (".onnx", message((7, message((1, message((5, message((10, ONNX_TENSOR))))))))),
    "onnx branch": (
        ".onnx",
        message((7, message((1, message((5, message((6, message((5, ONNX_TENSOR)))))))))),
    ),
    "onnx sparse": (".onnx", message((7, message((15, message((1, ONNX_TENSOR))))))),
    "onnx function": (
        ".onnx",
        message((25, message((7, message((5, message((5, ONNX_TENSOR)))))))),
    ),
    "onnx training": (".onnx", message((20, message((1, message((5, ONNX_TENSOR))))))),
    "mindir weight": (".mindir", message((7, message((3, MINDIR_TENSOR))))),
    "mindir function": (".mindir", message((8, message((3, MINDIR_TENSOR))))),
    "mindir constant": (
        ".mindir",
        message((7, message((1, message((5, message((6, MINDIR_TENSOR)))))))),
    ),
    "mindir values": (
        ".mindir",
        message((7, message((1, message((5, message((17, message((6, MINDIR_TENSOR)))))))))),
    ),
    "mindir map": (".mindir", message((7, message((10, message((4, MINDIR_TENSOR))))))),
}


def test_every_graph_of_an_export_is_self_contained(bundle: Bundle) -> None:
    for found in (bundle, read_bundle(demo_bundle_path())):
        for graph in found.graphs:
            require_self_contained(found.file(graph.file), graph.format)


@pytest.mark.parametrize("name", EXTERNAL)
def test_weights_in_another_file(name: str, tmp_path: Path) -> None:
    suffix, external = EXTERNAL[name]
    path = tmp_path / f"graph{suffix}"
    path.write_bytes(external)
    with pytest.raises(BundleError, match="keeps weights in other files, which the bundle's hash"):
        require_self_contained(path, suffix[1:])


@pytest.mark.parametrize(
    ("engine", "file", "extra"),
    [
        ("mindspore", "head.mindir", EXTERNAL["mindir weight"][1]),
        ("openvino", "head_2d.onnx", EXTERNAL["onnx weight"][1]),
        ("onnxruntime", "head_2d.onnx", EXTERNAL["onnx weight"][1]),
    ],
)
def test_no_engine_loads_them(
    engine: str, file: str, extra: bytes, bundle: Bundle, tmp_path: Path
) -> None:
    """In a real graph, to which one field more is added, and whose hash is right."""
    folder = tmp_path / "model"
    shutil.copytree(bundle.path, folder)
    with (folder / file).open("ab") as graph:
        graph.write(extra)
    write_description(folder, bundle.spec, EXPORTED)
    with pytest.raises(BundleError, match=f"{file} keeps weights in other files"):
        open_engine(installed(engine), read_bundle(folder))


def test_weights_that_the_onnx_package_moves_out(bundle: Bundle, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(bundle.file("head_2d.onnx")))
    path = tmp_path / "head_2d.onnx"
    onnx.save(model, str(path), save_as_external_data=True, size_threshold=0, location="weights")
    assert (tmp_path / "weights").exists()
    with pytest.raises(BundleError, match="keeps weights in other files"):
        require_self_contained(path, "onnx")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no graph",
        b"<?xml version='1.0'?><net/>",
        b"\n  <net name='x'/>",
        b"\x3a\x05ab",
        b"\x3a",
        b"\x3a" + b"\xff" * 11,
        b"\x0b\x0c",
    ],
)
def test_what_is_no_message(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"graph\.onnx is not a graph of format onnx: "):
        require_self_contained(path, "onnx")


def test_more_fields_than_any_graph_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_files, "MAX_FIELDS", 1000)
    path = tmp_path / "graph.onnx"
    path.write_bytes(b"\x08\x00" * 999)
    require_self_contained(path, "onnx")
    path.write_bytes(b"\x08\x00" * 1000)
    with pytest.raises(BundleError, match="it has more than 1000 fields"):
        require_self_contained(path, "onnx")


@pytest.mark.parametrize(
    ("file", "format"), [("a.xml", "onnx"), ("a.bin", "mindir"), ("a.onnx", "ms")]
)
def test_a_name_by_which_a_library_would_read_another_format(
    file: str, format: str, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=f"a graph of format {format} is called "):
        require_self_contained(tmp_path / file, format)
