"""The folder a trained model is shipped in: `bundle.json`, its graphs and its golden numbers.

- bundle.json: what the model is (`ModelSpec`), the schema version, a table of graphs (`Graph`)
  and every file's hash
- the graphs: whichever somebody made. `trainer.export` writes `EXPORTED`
- golden.npz: images (N, H, W, 3) uint8 BGR, features (N, *feature_shape) and logits (classes,)
  float32, to check an engine against
- golden_int8.npz, where there are int8 graphs: the same of those. Programs that know no int8 verify
  its hash and run the other graphs

Every schema can be read for ever: `MIGRATIONS` leads from each to the next.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ecolite_stream.config.strict import check_one_of, make_config
from ecolite_stream.errors import BundleError, ConfigError
from ecolite_stream.model import limits
from ecolite_stream.model.golden import Golden, read_golden
from ecolite_stream.model.spec import ENERGY_BOUND, require_all
from ecolite_stream.model.spec import ModelSpec as ModelSpec

SCHEMA_VERSION = 3
SCHEMA_WITHOUT_BOUND = 2
"""What a bundle without an energy bound is written as: programs of that schema read it, too."""
DESCRIPTION = "bundle.json"
GOLDEN = "golden.npz"
GOLDEN_INT8 = "golden_int8.npz"
"""Of a bundle with int8 graphs: what those compute, by the same images."""
PARTS = ("encoder", "head")
"""What every bundle has a graph of; others may come."""

CONV2D_ONLY_PARTS = {"encoder": "encoder_2d", "head": "head_2d"}
"""The same with 2D convolutions only and batch norm folded, one frame or one clip at a time: what
every runtime takes, those too that know no 3D convolution."""

FORMATS = ("mindir", "onnx", "ms", "om", "openvino")
PRECISIONS = ("f32", "f16", "bf16", "int8")


@dataclass(frozen=True)
class Graph:
    """One graph of a bundle; a row of its table.

    Attributes:
        part: what it computes: `encoder`, `head`, or one of `CONV2D_ONLY_PARTS`.
        format: one of `FORMATS`.
        file: its name in the bundle's folder.
        precision: what it computes in, one of `PRECISIONS`; inputs and outputs are float32.
        batch_sizes: those it takes; empty is any.
        sha256: hash of the file; `write_description` fills it in.
    """

    part: str
    format: str
    file: str
    precision: str = "f32"
    batch_sizes: tuple[int, ...] = ()
    sha256: str = ""

    def __post_init__(self) -> None:
        if not all(map(limits.is_printable, (self.part, self.file))):
            raise ConfigError("part and file are names; one of them is empty or not printable")
        check_one_of("format", self.format, FORMATS)
        check_one_of("precision", self.precision, PRECISIONS)
        sizes = self.batch_sizes
        if len(sizes) > 16 or not all(1 <= size <= 1024 for size in sizes):
            raise ConfigError(f"batch_sizes is {sizes[:17]}; expected up to 16 sizes, 1 to 1024")

    def __str__(self) -> str:
        """As messages name it: `head.onnx (f32, batch 1)`."""
        batch = "/".join(map(str, self.batch_sizes)) or "any"
        return f"{self.file} ({self.format} {self.precision}, batch {batch})"


EXPORTED = (
    Graph("encoder", "mindir", "encoder.mindir"),
    Graph("head", "mindir", "head.mindir"),
    Graph("encoder_2d", "onnx", "encoder_2d.onnx", batch_sizes=(1,)),
    Graph("head_2d", "onnx", "head_2d.onnx", batch_sizes=(1,)),
)
"""The graphs that `trainer.export` writes."""

FILES = (*(graph.file for graph in EXPORTED), GOLDEN)
"""The files that `trainer.export` writes beside `DESCRIPTION`."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle on disk.

    Attributes:
        path: its folder.
        spec: what the model is.
        graphs: its table of graphs.
        files: hash of every other file, by name; `GOLDEN` is one.
        digest: one hash for the whole bundle: over what it is and over its files' hashes. A
            bundle keeps it when it is read with a later schema.
    """

    path: Path
    spec: ModelSpec
    graphs: tuple[Graph, ...]
    files: Mapping[str, str]
    digest: str

    def graph(self, part: str, format: str, precision: str = "f32") -> Graph | None:
        """The first graph of that kind, or None where the bundle has none."""
        wanted = (part, format, precision)
        found = (g for g in self.graphs if (g.part, g.format, g.precision) == wanted)
        return next(found, None)

    @property
    def has_weights(self) -> bool:
        """Whether a training can start from it: MindIR graphs hold the weights."""
        return all(self.graph(part, "mindir") for part in PARTS)

    def file(self, name: str) -> Path:
        """Path of one of its files."""
        return self.path / name

    def golden(self, precision: str = "f32") -> Golden:
        """The golden numbers to check an engine against: int8 graphs have their own.

        Args:
            precision: of the engine, one of `PRECISIONS`.

        Raises:
            BundleError: the file does not hold them.
        """
        clip_shape = (self.spec.num_segments, *self.spec.feature_shape)
        name = GOLDEN_INT8 if precision == "int8" else GOLDEN
        if name not in self.files:
            raise BundleError(f"{self.path} has no {name}; run python -m trainer.quantize again")
        return read_golden(self.file(name), clip_shape, len(self.spec.labels))


def demo_bundle_path() -> Path:
    """Folder of the embedded default model."""
    return Path(str(resources.files("ecolite_stream") / "bundles" / "demo"))


def read_bundle(path: Path | str) -> Bundle:
    """Read a bundle of this schema or an older one and verify every file against its hash.

    Raises:
        BundleError: the folder or a file is missing, the schema is unknown, a hash is wrong, or
            the description makes no sense.
    """
    path = Path(path)
    description = _read_description(path)
    version = description.pop("schema_version", None)
    if type(version) is not int or not (version == SCHEMA_VERSION or version in MIGRATIONS):
        raise BundleError(
            f"{path / DESCRIPTION}: schema version is {version!r}, this program reads 1 to "
            f"{SCHEMA_VERSION}; install a matching ecolite-stream or export the bundle again"
        )
    digest, expected_digest = _digest(description), description.pop("digest", None)
    try:
        spec, graphs, files = _parse(_migrated(description, version))
    except BundleError as error:
        raise BundleError(f"{path / DESCRIPTION}: {error}; export the bundle again") from error
    _verify(path, [*((graph.file, graph.sha256) for graph in graphs), *files.items()])
    if digest != expected_digest:
        raise BundleError(
            f"{path / DESCRIPTION} is damaged or was edited: its digest is {digest[:12]}..., "
            f"expected {limits.shown_hash(expected_digest)}...; copy or export the bundle again"
        )
    return Bundle(path, spec, graphs, files, digest)


def write_description(
    path: Path,
    spec: ModelSpec,
    graphs: Iterable[Graph] = EXPORTED,
    files: Iterable[str] = (GOLDEN,),
) -> Bundle:
    """Write `bundle.json` for files that lie in `path` already; the last step of an export.

    Args:
        path: the bundle's folder.
        spec: what the model is.
        graphs: its table of graphs; their hashes are taken from the files.
        files: names of all other files, `GOLDEN` included.
    """
    table = tuple(replace(graph, sha256=hash_file(path / graph.file)) for graph in graphs)
    hashes = {name: hash_file(path / name) for name in files}
    content: dict[str, Any] = {
        **spec.to_json(),
        "graphs": [dataclasses.asdict(graph) for graph in table],
        "files": hashes,
    }
    digest = _digest(content)
    version = SCHEMA_WITHOUT_BOUND if spec.energy_bound is None else SCHEMA_VERSION
    content = {"schema_version": version, **content, "digest": digest}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    new = path / f"{DESCRIPTION}.part"
    new.write_text(text, encoding="utf-8", errors="backslashreplace")  # names that are no UTF-8
    new.replace(path / DESCRIPTION)  # a reader sees the old one or the new one
    return Bundle(path, spec, table, hashes, digest)


def _migrated(description: dict[str, Any], version: int) -> dict[str, Any]:
    """A description of any schema as one of the present schema."""
    if version > SCHEMA_WITHOUT_BOUND and description.get(ENERGY_BOUND) is None:
        raise BundleError(f"schema version is {version}, which has '{ENERGY_BOUND}': a number")
    for step in range(version, SCHEMA_VERSION):
        description = MIGRATIONS[step](description)
    return description


def _graph_table(description: Mapping[str, Any]) -> dict[str, Any]:
    """Schema 1 to 2: a table of graphs in place of four file names among the hashes.

    Raises:
        BundleError: one of the four is missing.
    """
    rest = {key: value for key, value in description.items() if key != "sha256"}
    hashes = description.get("sha256")
    known = {graph.file: graph for graph in _GRAPHS_OF_SCHEMA_1}
    if not isinstance(hashes, dict) or not {*known, GOLDEN} <= set(hashes):
        raise BundleError(f"'sha256' must list {', '.join([*known, GOLDEN])}")
    graphs = [{**dataclasses.asdict(known[name]), "sha256": hashes[name]} for name in known]
    files = {name: value for name, value in hashes.items() if name not in known}
    return {**rest, "graphs": graphs, "files": files}


# Frozen: `EXPORTED` may change, what schema 1 meant by its four names does not.
_GRAPHS_OF_SCHEMA_1 = (
    Graph("encoder", "mindir", "encoder.mindir"),
    Graph("head", "mindir", "head.mindir"),
    Graph("encoder", "onnx", "encoder.onnx", batch_sizes=(1,)),
    Graph("head", "onnx", "head.onnx", batch_sizes=(1,)),
)


def _without_bound(description: Mapping[str, Any]) -> dict[str, Any]:
    """Schema 2 to 3: a bundle without a bound is the same in both.

    Raises:
        BundleError: it has one.
    """
    if ENERGY_BOUND in description:
        raise BundleError(f"'{ENERGY_BOUND}' is of schema version 3")
    return dict(description)


MIGRATIONS: Mapping[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    1: _graph_table,
    2: _without_bound,
}
"""From each older schema to the next one: pure functions, without `schema_version` and `digest`."""


def _parse(
    description: Mapping[str, Any],
) -> tuple[ModelSpec, tuple[Graph, ...], dict[str, str]]:
    """The three things that a description of the present schema says.

    Raises:
        BundleError: it makes no sense.
    """
    rest = {k: v for k, v in description.items() if k not in ("graphs", "files")}
    return (
        ModelSpec.from_json(rest),
        _parse_graphs(description.get("graphs")),
        _parse_files(description.get("files")),
    )


def _parse_graphs(rows: Any) -> tuple[Graph, ...]:
    if not isinstance(rows, list) or len(rows) > limits.MAX_FILES:
        raise BundleError(f"'graphs' must list the bundle's graphs, up to {limits.MAX_FILES}")
    try:
        for place, row in enumerate(rows):
            require_all(Graph, row, f"graphs: {place}")
        graphs = tuple(make_config(Graph, row, f"graphs: {i}") for i, row in enumerate(rows))
    except ConfigError as error:
        raise BundleError(str(error)) from error
    there = {graph.part for graph in graphs}
    if missing := [part for part in PARTS if not there & {part, CONV2D_ONLY_PARTS[part]}]:
        raise BundleError(f"'graphs' has no {' and no '.join(missing)}")
    return graphs


def _parse_files(hashes: Any) -> dict[str, str]:
    if not isinstance(hashes, dict) or GOLDEN not in hashes:
        raise BundleError(f"'files' must list {GOLDEN} with its hash")
    if len(hashes) > limits.MAX_FILES:
        raise BundleError(f"'files' lists {len(hashes)}; expected at most {limits.MAX_FILES}")
    limits.require_names("file", hashes)
    return hashes


def _digest(description: Mapping[str, Any]) -> str:
    """SHA-256 over a description, but for its schema version and the digest itself."""
    content = {key: value for key, value in description.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_description(path: Path) -> dict[str, Any]:
    try:
        limits.require_regular(path / DESCRIPTION, limits.MAX_DESCRIPTION_BYTES)
        content = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(
            f"{path} is not a bundle: it has no {DESCRIPTION}; name a folder that "
            "trainer.export wrote"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(
            f"{path / DESCRIPTION} cannot be read: {error}; copy the whole bundle again"
        ) from error
    if not isinstance(content, dict):
        raise BundleError(f"{path / DESCRIPTION} holds no JSON object; copy the bundle again")
    return content


def _verify(path: Path, hashes: Iterable[tuple[str, str]]) -> None:
    for name, expected in hashes:
        if Path(name).name != name:
            raise BundleError(f"{path / DESCRIPTION}: {name!r} is not a plain file name")
        limit = limits.MAX_GOLDEN_BYTES if name == GOLDEN else limits.MAX_GRAPH_BYTES
        try:
            limits.require_regular(path / name, limit)
            found = hash_file(path / name)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
            raise BundleError(
                f"{path / name} is missing or unreadable; copy the whole bundle again"
            ) from error
        if found != expected:
            raise BundleError(
                f"{path / name} is damaged: SHA-256 is {found[:12]}..., "
                f"expected {limits.shown_hash(expected)}...; copy or export the bundle again"
            )
