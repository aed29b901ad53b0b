"""Check that a graph's file holds all its weights.

ONNX and MindIR may name other files with weights. A bundle's hashes do not cover those: two models
would have one digest, and any file of this machine could be read. Files are read as protobuf
messages, following only the fields that lead to tensors.

Source: onnx/onnx.proto, https://github.com/onnx/onnx; mind_ir.proto,
https://gitee.com/mindspore/mindspore.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

from ecolite_stream.errors import BundleError
from ecolite_stream.model.limits import MAX_GRAPH_BYTES, require_regular

Schema = Mapping[str, Mapping[int, str]]
"""Message -> number of a field -> message that it holds; `EXTERNAL` is refused."""

EXTERNAL = "external"

_ONNX: Schema = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        **{5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
        **{22: "sparse", 23: "sparse"},
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: EXTERNAL},
}
_MINDIR: Schema = {
    "model": {7: "graph", 8: "graph", 12: "primitive"},
    "primitive": {3: "attribute"},
    "graph": {
        **{1: "node", 3: "tensor", 5: "value", 6: "value", 8: "attribute"},
        10: "map",
    },
    "map": {2: "attribute", 3: "tensor", 4: "tensor", 5: "tensor"},
    "value": {2: "tensor", 5: "attribute"},
    "node": {5: "attribute", 8: "attribute", 9: "attribute"},
    "attribute": {
        **{6: "tensor", 7: "graph", 12: "tensor", 13: "graph"},
        **{17: "attribute", 18: "sequence", 19: "functor"},
    },
    "sequence": {2: "attribute"},
    "functor": {3: "attribute"},
    "tensor": {12: EXTERNAL, 17: "quantization"},
    "quantization": {2: "attribute"},
}
_SCHEMAS = {".onnx": _ONNX, ".mindir": _MINDIR}
_SUFFIXES = {"onnx": (".onnx",), "mindir": (".mindir",), "ms": (".ms", ".mindir")}
"""Format of a graph -> suffixes of its file, by which libraries choose a reader."""

MAX_FIELDS = 5_000_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def require_self_contained(path: Path, format: str) -> None:
    """Check that a graph needs no other file.

    Args:
        path: its file.
        format: as in the bundle's table.

    Raises:
        BundleError: it keeps weights in other files, its suffix does not fit, or it is malformed.
    """
    suffixes = _SUFFIXES.get(format)
    if suffixes and path.suffix not in suffixes:
        raise BundleError(f"{path}: a graph of format {format} is called *{' or *'.join(suffixes)}")
    schema = _SCHEMAS.get(path.suffix)
    if schema is None:
        return
    try:
        require_regular(path, MAX_GRAPH_BYTES)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            is_whole = not _has_external(data, schema)
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{path} is not a graph of format {format}: {error}; export the bundle again"
        ) from error
    if not is_whole:
        raise BundleError(
            f"{path} keeps weights in other files, which the bundle's hashes do not cover; export "
            "the bundle again"
        )


def _has_external(data: mmap.mmap, schema: Schema) -> bool:
    """Whether a tensor names another file.

    Raises:
        ValueError: it is malformed, or has too many fields.
    """
    if data[:4096].lstrip()[:1] == b"<":  # OpenVINO would read it as XML, with a file of weights
        raise ValueError("it is XML")
    left = MAX_FIELDS
    waiting = [("model", 0, len(data))]
    while waiting:
        message, start, end = waiting.pop()
        for number, kind, first, last in _fields(data, start, end):
            left -= 1
            if not left:
                raise ValueError(f"it has more than {MAX_FIELDS} fields")
            inner = schema[message].get(number)
            if inner == EXTERNAL:
                return True
            if inner and kind == _BYTES:
                waiting.append((inner, first, last))
    return False


def _fields(data: mmap.mmap, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, and where the value begins and ends, of each field of a message."""
    while place < end:
        tag, place = _varint(data, place, end)
        first = place
        kind = tag & 7
        if kind == _VARINT:
            _, place = _varint(data, place, end)
        elif kind == _BYTES:
            size, first = _varint(data, place, end)
            place = first + size
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of wire type {kind} at byte {first}")
        if place > end:
            raise ValueError(f"a field at byte {first} ends after its message")
        yield (tag & 0xFFFFFFFF) >> 3, kind, first, place


def _varint(data: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            raise ValueError(f"it ends within a number at byte {place}")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError(f"a number at byte {place} does not end")
