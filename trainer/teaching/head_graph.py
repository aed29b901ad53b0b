"""Surgery on a bundle's head, an ONNX graph that ends in a linear classifier.

`cut_head` ends the graph before the classifier, where the features of a window are pooled.
`with_classifier` puts another classifier there. Everything before it stays bit for bit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.app.extras import missing_extra
from ecolite_stream.engines import choose_engine, open_engine
from ecolite_stream.engines.base import GraphEngine
from ecolite_stream.engines.check import compare
from ecolite_stream.errors import BundleError
from ecolite_stream.model.bundle import CONV2D_ONLY_PARTS, Bundle, Graph
from ecolite_stream.model.graph_files import require_self_contained
from ecolite_stream.types import FloatArray


@dataclass(frozen=True)
class Classifier:
    """A linear classifier on pooled features.

    Attributes:
        weight: (classes, D) float32.
        bias: (classes,) float32.
    """

    weight: FloatArray
    bias: FloatArray

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1]:
            raise BundleError(
                f"a classifier has weights {self.weight.shape} and biases {self.bias.shape}; "
                "expected (classes, D) and (classes,)"
            )

    def logits(self, pooled_KD: FloatArray) -> FloatArray:
        """(K, D) -> (K, classes)."""
        return np.asarray(pooled_KD @ self.weight.T + self.bias, np.float32)


def onnx_graphs(bundle: Bundle) -> tuple[Graph, Graph]:
    """The encoder and the head that can be taught: ONNX with 2D convolutions only.

    Raises:
        BundleError: the bundle lacks one.
    """
    found = [bundle.graph(CONV2D_ONLY_PARTS[part], "onnx") for part in ("encoder", "head")]
    encoder, head = found
    if encoder is None or head is None:
        raise BundleError(
            f"{bundle.path} has no {CONV2D_ONLY_PARTS['head']} graph of format onnx to teach; run "
            f"python -m trainer.export --add-2d --bundle {bundle.path}"
        )
    return encoder, head


def read_classifier(bundle: Bundle) -> Classifier:
    """The classifier that a bundle has now.

    Raises:
        BundleError: its head is no such graph.
        ConfigError: the package `onnx` is not installed.
    """
    _, head = onnx_graphs(bundle)
    model = _load(bundle, head)
    node = _last_layer(model, bundle)
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    onnx = _library()
    weight, bias = (onnx.numpy_helper.to_array(values[name]) for name in node.input[1:3])
    return Classifier(np.array(weight, np.float32), np.array(bias, np.float32))


@contextmanager
def opened_without_classifier(bundle: Bundle, engine: str = "auto") -> Iterator[GraphEngine]:
    """An engine whose `classify` returns pooled features (B, D) in place of logits.

    Raises:
        BundleError: the bundle's head is no such graph.
        EngineError: no engine runs ONNX graphs here, or it does not give the golden numbers.
    """
    encoder, head = onnx_graphs(bundle)
    model = _load(bundle, head)
    _cut(model, _last_layer(model, bundle))
    classifier = read_classifier(bundle)
    width = classifier.weight.shape[1]
    with tempfile.TemporaryDirectory(prefix="ecolite-teach-") as scratch:
        folder = Path(scratch)
        (folder / head.file).write_bytes(model.SerializeToString())
        (folder / encoder.file).write_bytes(bundle.file(encoder.file).read_bytes())
        cut = _without_classifier(bundle, folder, (encoder, head), width)
        # Nothing is read from the folder later: a worker that is killed leaves none behind.
        opened = open_engine(choose_engine(engine, cut), cut)
    try:
        compare(_WithClassifier(opened, classifier), bundle, opened.precision).require()
        yield opened
    finally:
        opened.close()


class _WithClassifier:
    """An engine of `opened_without_classifier` that gives logits, to check it."""

    def __init__(self, engine: GraphEngine, classifier: Classifier) -> None:
        self.name = engine.name
        self.encode = engine.encode
        self.close = engine.close
        self._pooled = engine.classify
        self._classifier = classifier

    def classify(self, features: FloatArray) -> FloatArray:
        """See `Engine`."""
        return self._classifier.logits(self._pooled(features))


def with_classifier(bundle: Bundle, classifier: Classifier) -> bytes:
    """The head of a bundle with another classifier: an ONNX model.

    Raises:
        BundleError: the head is no such graph, or pools another number of features.
    """
    onnx = _library()
    _, head = onnx_graphs(bundle)
    model = _load(bundle, head)
    node = _last_layer(model, bundle)
    old = read_classifier(bundle)
    if old.weight.shape[1] != classifier.weight.shape[1]:
        raise BundleError(
            f"the classifier takes {classifier.weight.shape[1]} features, the head of "
            f"{bundle.path} pools {old.weight.shape[1]}"
        )
    arrays = dict(zip(node.input[1:3], (classifier.weight, classifier.bias), strict=True))
    for tensor in model.graph.initializer:
        if tensor.name in arrays:
            array = np.ascontiguousarray(arrays[tensor.name], np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for info in model.graph.input:  # older exporters list the weights among the inputs
        if info.name in arrays:
            _set_shape(info, arrays[info.name].shape)
    _set_shape(model.graph.output[0], (1, len(classifier.bias)))
    del model.graph.value_info[:]
    data: bytes = model.SerializeToString()
    return data


def _without_classifier(
    bundle: Bundle, folder: Path, graphs: tuple[Graph, Graph], width: int
) -> Bundle:
    """A bundle whose labels are the pooled features; for engines alone, it has no description."""
    labels = tuple(f"feature {number}" for number in range(width))
    spec = replace(bundle.spec, labels=labels, thresholds={}, training={}, scores={})
    return replace(bundle, path=folder, spec=spec, graphs=graphs, files={})


def _cut(model: Any, node: Any) -> None:
    """Remove the last layer; what went into it becomes the output."""
    pooled, weights = node.input[0], set(node.input[1:])
    width = next(tuple(t.dims)[1] for t in model.graph.initializer if t.name == node.input[1])
    model.graph.node.remove(node)
    for values in (model.graph.initializer, model.graph.input):
        for value in [value for value in values if value.name in weights]:
            values.remove(value)
    output = model.graph.output[0]
    output.name = pooled
    _set_shape(output, (1, width))
    for info in [info for info in model.graph.value_info if info.name == pooled]:
        model.graph.value_info.remove(info)


def _last_layer(model: Any, bundle: Bundle) -> Any:
    """The node `Gemm` that makes the logits, of known weights (classes, D) and biases.

    Raises:
        BundleError: there is no such node.
    """
    output = model.graph.output[0].name if model.graph.output else ""
    node = next((node for node in model.graph.node if output in node.output), None)
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    classes = len(bundle.spec.labels)
    is_linear = (
        node is not None
        and node.op_type == "Gemm"
        and len(node.input) == 3
        and {a.name: a.i for a in node.attribute}.get("transB") == 1
        and all(a.f == 1 for a in node.attribute if a.name in ("alpha", "beta"))
        and len(sizes.get(node.input[1], ())) == 2
        and sizes[node.input[1]][0] == classes
        and sizes.get(node.input[2]) == (classes,)
    )
    if not is_linear or len(model.graph.output) != 1:
        raise BundleError(
            f"{bundle.path}: its head does not end in a linear classifier, so it cannot be "
            "taught; fine-tune its checkpoint with trainer.train"
        )
    return node


def _set_shape(info: Any, shape: tuple[int, ...]) -> None:
    """Give a value a shape of known sizes."""
    dims = info.type.tensor_type.shape.dim
    del dims[:]
    for size in shape:
        dims.add().dim_value = size


def _load(bundle: Bundle, graph: Graph) -> Any:
    path = bundle.file(graph.file)
    require_self_contained(path, graph.format)
    onnx = _library()
    try:
        return onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own, of which there are several
        raise BundleError(f"{path} is no ONNX graph: {error}; export the bundle again") from error


def _library() -> Any:
    try:
        import onnx
        import onnx.numpy_helper
    except ModuleNotFoundError as error:
        raise missing_extra("trainer.teach", error.name or "onnx", "teach") from error
    return onnx
