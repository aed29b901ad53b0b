"""Published checkpoints: their files, read safely, and what they call their parameters.

ECO-pytorch writes `module.base_model.<layer>.<leaf>`, the MindSpore ModelZoo's ecolite
`base_model.<block>.{conv2d,bn2d}.<leaf>`. Both are functions of our own names, so no list can go
stale; the tests hold them against the published lists in `tests/data/golden`.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt

from ecolite_stream.errors import BundleError, one_line
from ecolite_stream.types import FloatArray

Arrays = dict[str, npt.NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]

CLASSIFIER = "head.new_fc"
FIRST_WEIGHT = "encoder.stem.conv1.conv.weight"
LAST_WEIGHT = "head.net3d.res5.b_2.conv.weight"
LAST_CHANNELS = 512  # of LAST_WEIGHT at width 1; the finest measure of the width
MAX_WIDTH = 4
MOST_LISTED = 5

PYTORCH_LEAVES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
PYTORCH_LAYERS = {
    "conv1": "conv1_7x7_s2",
    "conv2_reduce": "conv2_3x3_reduce",
    "conv2": "conv2_3x3",
}
PYTORCH_BRANCHES = {
    "one": "1x1",
    "three_reduce": "3x3_reduce",
    "three": "3x3",
    "double_reduce": "double_3x3_reduce",
    "double_1": "double_3x3_1",
    "double_2": "double_3x3_2",
    "projection": "pool_proj",
    "reduce": "double_3x3_reduce",  # inception_3c_reduce: 3c has one branch in ECO-Lite
}
MODELZOO_LAYERS = {
    "conv1": "conv1",
    "conv2_reduce": "conv2",
    "conv2": "conv3",
    "inception_3c_reduce": "conv4",
    "inception_3c_double_1": "conv5",
}
MODELZOO_BRANCHES = {
    "one": "b1",
    "three_reduce": "b2.0",
    "three": "b2.1",
    "double_reduce": "b3.0",
    "double_1": "b3.1",
    "double_2": "b3.2",
    "projection": "b4",
}
INCEPTION = re.compile(r"inception_(?P<block>\d[a-e])[._](?P<branch>\w+)")

# What MindSpore's optimisers, loss scaling and callbacks add to a training checkpoint.
TRAINING_STATE = re.compile(
    r"(accum|stat|moments|moment[12]?|velocity)\..+"
    r"|learning_rate(_group_\d+)?|momentum|global_step|beta[12]_power|weight_decay"
    r"|epoch_num|step_num|loss_scale|scale_sense|(current|last_overflow)_iterator_step"
)
HEAD_WITHOUT_DROPOUT = re.compile(r"^base_model\.(fc_final|dense1)\.")  # ECO-pytorch, ModelZoo
BATCH_COUNTS = re.compile(r".+\.num_batches_tracked")  # PyTorch's, which no formula uses


def pytorch_name(own_name: str) -> str:
    """ECO-pytorch's name of a parameter without `module.`, such as `base_model.res3a_bn.weight`."""
    layer, kind, leaf = _parts(own_name)
    if layer == CLASSIFIER:
        return f"new_fc.{leaf}"
    inception = INCEPTION.fullmatch(layer)
    if inception:
        layer = f"inception_{inception['block']}_{PYTORCH_BRANCHES[inception['branch']]}"
    layer = PYTORCH_LAYERS.get(layer, layer)
    if kind == "bn" and not layer.endswith("_bn"):  # 3D: a layer of its own, res3a_bn
        layer += "_bn"
    return f"base_model.{layer}.{PYTORCH_LEAVES.get(leaf, leaf)}"


def modelzoo_name(own_name: str) -> str:
    """ModelZoo's name of a parameter of ECO-Lite; it has no ECO-Full, whose names stay ours."""
    layer, kind, leaf = _parts(own_name)
    if layer == CLASSIFIER:
        return f"new_fc.{leaf}"
    if layer.startswith("res"):
        part = "bn3d.bn2d" if kind == "bn" else "conv3d"
        return f"base_model.{layer}_{part}.{leaf}"
    inception = INCEPTION.fullmatch(layer)
    if layer in MODELZOO_LAYERS:
        layer = MODELZOO_LAYERS[layer]
    elif inception and inception["block"] in ("3a", "3b"):
        layer = f"block{inception['block']}.{MODELZOO_BRANCHES[inception['branch']]}"
    else:
        return own_name
    return f"base_model.{layer}.{kind}2d.{leaf}"


def _parts(own_name: str) -> tuple[str, str, str]:
    """`head.net3d.res4.a_1.conv.weight` -> (`res4a_1`, `conv`, `weight`)."""
    path, leaf = own_name.rsplit(".", 1)
    if path == CLASSIFIER:
        return path, "dense", leaf
    layer, kind = path.rsplit(".", 1)
    layer = re.sub(r"^(encoder|head)\.((stem|stream2d|net3d)\.)?", "", layer)
    return re.sub(r"^(res[45])\.", r"\1", layer), kind, leaf


@dataclass(frozen=True)
class Naming:
    """One way to call the parameters.

    Attributes:
        origin: whose way it is.
        name: our name of a parameter -> theirs.
        wrappers: what may stand before their names.
        ignored: entries that are no parameters.
        num_segments: N of the checkpoints that were published under these names.
    """

    origin: str
    name: Callable[[str], str]
    wrappers: re.Pattern[str]
    ignored: re.Pattern[str]
    num_segments: int = 16


NAMINGS = (
    Naming("ECO-pytorch", pytorch_name, re.compile(r"^(module\.)?"), BATCH_COUNTS),
    Naming(
        "ModelZoo",
        modelzoo_name,
        re.compile(r"^((network|_?backbone)\.)*"),
        TRAINING_STATE,
        num_segments=4,
    ),
    Naming("ecolite-stream", str, re.compile(r"^"), TRAINING_STATE),
)


@dataclass(frozen=True)
class Recognized:
    """The network that a file's names and shapes say it holds.

    Attributes:
        naming: how the parameters are called.
        architecture: `eco_lite` or `eco_full`.
        width: channel multiplier.
        num_classes: outputs of the classifier; None where there is none.
        entries: the parameters by their name, without wrappers and training state.
    """

    naming: Naming
    architecture: str
    width: float
    num_classes: int | None
    entries: Arrays


def recognize(where: str, entries: Arrays) -> Recognized:
    """Tell architecture, width and class count from names and shapes.

    Args:
        where: the file, for messages.
        entries: what the file holds, by its own names.

    Raises:
        BundleError: no naming fits, or two entries come down to one name.
    """
    for naming in NAMINGS:
        found = _unwrap(where, naming, entries)
        if naming.name(FIRST_WEIGHT) in found:
            break
    else:
        anchors = " nor ".join(f"{naming.name(FIRST_WEIGHT)}" for naming in NAMINGS)
        raise BundleError(
            f"{where} holds no ECO network: among its {len(entries)} entries is neither {anchors}; "
            "name a checkpoint of ECO-pytorch, of the ModelZoo's ecolite or of this project"
        )
    full = any(re.search(r"inception_[45]", name) for name in found)
    return Recognized(
        naming,
        "eco_full" if full else "eco_lite",
        width=_width(_outputs(found, naming.name(LAST_WEIGHT))),
        num_classes=_outputs(found, naming.name(f"{CLASSIFIER}.weight")),
        entries=found,
    )


def _unwrap(where: str, naming: Naming, entries: Arrays) -> Arrays:
    found: Arrays = {}
    for original, value in entries.items():
        if naming.ignored.fullmatch(original):
            continue
        name = naming.wrappers.sub("", original, count=1)
        name = HEAD_WITHOUT_DROPOUT.sub("new_fc.", name)
        if name in found:
            raise BundleError(f"{where} holds {name} twice; name a file with one network")
        found[name] = value
    return found


def _outputs(entries: Arrays, name: str) -> int | None:
    """First dimension of a weight; None where it is missing or has none."""
    return next(iter(entries[name].shape), 0) or None if name in entries else None


def _width(last_channels: int | None) -> float:
    """Channel multiplier; 1 where there is nothing to tell it from, and the rest cannot fit."""
    if last_channels is None or last_channels > MAX_WIDTH * LAST_CHANNELS:
        return 1.0
    return last_channels / LAST_CHANNELS


def require_fit(where: str, expected: Shapes, found: Shapes, advice: str) -> None:
    """Check that names and shapes agree exactly.

    Raises:
        BundleError: they do not; lists up to `MOST_LISTED` of what is missing, unexpected and
            misshapen, with the counts, and ends in `advice`.
    """
    misshapen = [
        f"{name} is {found[name]}, expected {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    problems = (
        _listed("missing", (name for name in expected if name not in found)),
        _listed("unexpected", (name for name in found if name not in expected)),
        _listed("misshapen", misshapen),
    )
    if any(problems):
        raise BundleError(f"{where} does not fit: {'; '.join(filter(None, problems))}; {advice}")


def _listed(what: str, names: Iterable[str]) -> str:
    names = list(names)
    if not names:
        return ""
    more = ", ..." if len(names) > MOST_LISTED else ""
    return f"{len(names)} {what} ({', '.join(names[:MOST_LISTED])}{more})"


def as_float32(where: str, entries: Arrays) -> dict[str, FloatArray]:
    """The same entries as float32, which float16 and float64 become.

    Raises:
        BundleError: an entry does not hold floating point numbers.
    """
    for name, value in entries.items():
        if value.dtype.kind != "f":
            raise BundleError(f"{where}: {name} holds {value.dtype}, expected float32")
    return {name: np.asarray(value, np.float32) for name, value in entries.items()}


def read_entries(path: Path) -> Arrays:
    """Everything a checkpoint file holds, by its own names; text is an array of strings.

    Raises:
        BundleError: the file is missing, damaged, unsafe or of a kind that is not known.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise BundleError(
            f"{path} is of no known kind; expected a name that ends in {', '.join(READERS)}"
        )
    return reader(path)


def read_mindspore(path: Path) -> Arrays:
    """`read_entries` of a MindSpore `.ckpt` file."""
    with _reading(path), silent_log():
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 17))
            has_crc = file.read(7) == b"crc_num"  # where there is none, MindSpore warns
        entries = ms.load_checkpoint(str(path), crc_check=has_crc)
        return {
            name: np.array(value if isinstance(value, str) else value.asnumpy())
            for name, value in entries.items()
        }


def _read_npz(path: Path) -> Arrays:
    with _reading(path), np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _read_torch(path: Path) -> Arrays:
    torch = _import_torch(path)
    with _reading(path):
        try:
            with warnings.catch_warnings(action="ignore"):
                content = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            culprit = re.search(r"GLOBAL (\S+)", str(error))
            raise BundleError(
                f"{path} is refused and was not run: a file of weights has tensors in plain "
                f"containers, this one {f'holds {culprit[1]}' if culprit else 'is something else'}"
                "; such a file can run any code: ask its author for the state_dict alone"
            ) from error
        state = content.get("state_dict", content) if isinstance(content, dict) else content
        if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
            raise BundleError(f"{path} holds no state_dict; expected tensors by name")
        return {
            str(name): (value.float() if value.is_floating_point() else value).detach().numpy()
            for name, value in state.items()
        }


def _import_torch(path: Path) -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise BundleError(
            f"reading {path} needs PyTorch; pip install 'ecolite-stream[torch]'"
        ) from error
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6):
        raise BundleError(  # CVE-2025-32434: until then weights_only could be made to run code
            f"reading {path} safely needs PyTorch 2.6 or newer, {torch.__version__} is installed; "
            "pip install -U 'ecolite-stream[torch]'"
        )
    return torch


READERS: dict[str, Callable[[Path], Arrays]] = {
    ".ckpt": read_mindspore,
    ".npz": _read_npz,
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".tar": _read_torch,
}


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a library says about an unreadable file into one line."""
    try:
        yield
    except BundleError:
        raise
    except FileNotFoundError as error:
        raise BundleError(f"{path} does not exist; name a checkpoint file") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or one_line(error)}") from error
    except Exception as error:  # protobuf, zip, pickle and NumPy each have their own
        raise BundleError(
            f"{path} is no {path.suffix} file of weights, or is damaged "
            f"({type(error).__name__}: {one_line(error)[:120]}); copy it again"
        ) from error


@contextlib.contextmanager
def silent_log() -> Iterator[None]:
    """MindSpore logs what it also raises; the user reads it once."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
