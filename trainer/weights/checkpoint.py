"""Checkpoint files: parameters, with a description of their model.

A checkpoint of this project is a MindSpore `.ckpt` file: the network's parameters under their own
names, and one text entry, `model_spec`, with the JSON of `model.bundle.ModelSpec` and the
`schema_version` of the file. Every version stays readable: `MIGRATIONS` has one function for each
step to the next, from plain containers to plain containers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
import mindspore.nn as nn
import numpy as np

from ecolite_stream.errors import BundleError, one_line
from ecolite_stream.model.bundle import PARTS, Bundle, ModelSpec, demo_bundle_path, read_bundle
from ecolite_stream.model.graph_files import require_self_contained
from ecolite_stream.types import FloatArray
from trainer.network import Network, NetworkConfig, build_network
from trainer.network.trimmed import TRIMMED, with_all_taps
from trainer.weights.files import put_in_place
from trainer.weights.published import as_float32, require_fit
from trainer.weights.reading import read_mindspore, silent_log

DEMO = Path("demo")
MODEL_SPEC = "model_spec"
VERSION_KEY = "schema_version"
Content = dict[str, Any]


def _number_the_version(content: Content) -> Content:
    """1 -> 2: files without a version are version 1; nothing else has changed."""
    return content


MIGRATIONS: tuple[Callable[[Content], Content], ...] = (_number_the_version,)
SCHEMA_VERSION = len(MIGRATIONS) + 1
CLIP_SECONDS = 4.0
"""Default seconds that an imported model's segments span.

Published sampling spans the whole clip: about 3 s in HMDB51, 7 s in UCF101 and 10 s in Kinetics.
A shorter span answers sooner; this one stays near the pace that the network has learned.
"""


@dataclass(frozen=True)
class Checkpoint:
    """A trained network.

    Attributes:
        spec: its description.
        parameters: by name.
        is_trimmed: it comes from a bundle, without taps in time that only more segments use; they
            are zero here.
    """

    spec: ModelSpec
    parameters: Mapping[str, FloatArray]
    is_trimmed: bool = False


def save_checkpoint(
    path: Path, network: nn.Cell | Mapping[str, FloatArray], spec: ModelSpec
) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        BundleError: the file cannot be written.
    """
    parameters = parameters_of(network) if isinstance(network, nn.Cell) else network
    entries = [{"name": name, "data": ms.Tensor(value)} for name, value in parameters.items()]
    content = {VERSION_KEY: SCHEMA_VERSION, **spec.to_json()}
    text = json.dumps(content, ensure_ascii=False)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.ckpt")  # MindSpore requires this suffix
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with silent_log():
            ms.save_checkpoint(
                entries, str(temporary), append_dict={MODEL_SPEC: text}, crc_check=True
            )
        temporary.chmod(0o644)  # MindSpore leaves it read-only
        put_in_place(temporary, path)
    except (OSError, RuntimeError) as error:
        raise BundleError(
            f"checkpoint {path} cannot be written: {one_line(error)}; check the folder and the "
            "space left on its disk"
        ) from error
    finally:
        for left_over in (temporary, temporary.with_suffix(".tmp")):  # the latter is MindSpore's
            left_over.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of this project, or the weights in a bundle.

    Args:
        path: a `.ckpt` file, a bundle's folder, or `demo` for the embedded model.

    Raises:
        BundleError: the file is missing, damaged, not a checkpoint of this project or of an unknown
            version; or the bundle has no MindIR graphs.
    """
    if path == DEMO and not path.exists():
        path = demo_bundle_path()
    if path.is_dir():
        return checkpoint_of(read_bundle(path))
    entries = read_mindspore(path)
    if MODEL_SPEC not in entries:
        raise BundleError(
            f"{path} is not a checkpoint of this project: it has no {MODEL_SPEC}; import it with "
            "python -m trainer.checkpoints import"
        )
    spec = parse_spec(path, entries.pop(MODEL_SPEC))
    return Checkpoint(spec, as_float32(str(path), entries))


def checkpoint_of(bundle: Bundle) -> Checkpoint:
    """The weights of a bundle, from its MindIR graphs, which keep the network's names.

    Weights that the graphs leave out as unused are zero.

    Raises:
        BundleError: it has no MindIR graphs.
    """
    parameters: dict[str, FloatArray] = {}
    for part in PARTS:
        graph = bundle.graph(part, "mindir")
        if graph is None:
            raise BundleError(
                f"{bundle.path} has no {part} graph of format mindir, which holds the weights; "
                "export its checkpoint again"
            )
        require_self_contained(bundle.file(graph.file), graph.format)
        cell = nn.GraphCell(ms.load(str(bundle.file(graph.file))))
        parameters |= {k: np.array(v.asnumpy()) for k, v in cell.parameters_dict().items()}
    is_trimmed = any(TRIMMED in name for name in parameters)
    if is_trimmed:
        network = build_from_spec(bundle.spec)
        shapes = {name: tuple(value.shape) for name, value in network.parameters_and_names()}
        parameters = with_all_taps(parameters, shapes)
    return Checkpoint(bundle.spec, parameters, is_trimmed)


def parameters_of(network: nn.Cell) -> dict[str, FloatArray]:
    """Copies of a network's parameters, batch norm's running statistics included.

    On a CPU `asnumpy` shares memory with the parameter, which goes on learning.
    """
    return {name: np.array(value.asnumpy()) for name, value in network.parameters_and_names()}


def load_parameters(network: nn.Cell, parameters: Mapping[str, FloatArray]) -> None:
    """Set every parameter of a network.

    Raises:
        BundleError: names or shapes differ; lists which. The network is then unchanged.
    """
    own = dict(network.parameters_and_names())
    require_fit(
        "the set of parameters",
        {name: tuple(parameter.shape) for name, parameter in own.items()},
        {name: value.shape for name, value in parameters.items()},
        "build the network that the checkpoint was made with",
    )
    for name, parameter in own.items():
        parameter.set_data(ms.Tensor(parameters[name]))


def network_from(checkpoint: Checkpoint) -> Network:
    """The network that a checkpoint holds, ready for inference.

    Raises:
        BundleError: the parameters do not fit the description.
    """
    spec = checkpoint.spec
    network = build_from_spec(spec)
    if network.feature_shape != spec.feature_shape:
        raise BundleError(
            f"the checkpoint's features should be {spec.feature_shape}, its network makes "
            f"{network.feature_shape}; train or import it again"
        )
    load_parameters(network, checkpoint.parameters)
    return network


def build_from_spec(spec: ModelSpec) -> Network:
    """Build the described network with random weights."""
    return build_network(
        NetworkConfig(
            spec.architecture,
            spec.num_segments,
            spec.preprocessing.image_size,
            len(spec.labels),
            spec.width,
        )
    )


def parse_spec(path: Path, text: Any) -> ModelSpec:
    """Parse the `model_spec` of a checkpoint of any version.

    Raises:
        BundleError: the version is unknown, or the text is malformed.
    """
    try:
        content = json.loads(str(text))
        if not isinstance(content, dict):
            raise ValueError(f"expected keys and values, got {type(content).__name__}")
        version = content.pop(VERSION_KEY, 1)
        if type(version) is int and 1 <= version <= SCHEMA_VERSION:
            for migrate in MIGRATIONS[version - 1 :]:
                content = migrate(content)
            return ModelSpec.from_json(content)
    except (ValueError, TypeError, KeyError, RecursionError, BundleError) as error:
        raise BundleError(f"{path}: {MODEL_SPEC} is malformed: {one_line(error)}") from error
    raise BundleError(
        f"{path}: checkpoint version is {version!r}, this program reads 1 to {SCHEMA_VERSION}; "
        "install the ecolite-stream that wrote it, or a newer one"
    )
