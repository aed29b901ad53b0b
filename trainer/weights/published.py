"""Published checkpoints: the names that they give to the parameters.

ECO-pytorch writes `module.base_model.<layer>.<leaf>`, the MindSpore ModelZoo's ecolite
`base_model.<block>.{conv2d,bn2d}.<leaf>`. Both are functions of our own names, so no list can go
stale; tests compare them with the published lists in `tests/data/golden`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ecolite_stream.errors import BundleError
from ecolite_stream.types import FloatArray
from trainer.weights.reading import Arrays

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
    """A naming of the parameters.

    Attributes:
        origin: who published it.
        name: our name of a parameter -> theirs.
        wrappers: prefixes that may precede the names.
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
    """The network found by a file's names and shapes.

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
    """Find architecture, width and class count by names and shapes.

    Args:
        where: the file, for messages.
        entries: what the file holds, by its own names.

    Raises:
        BundleError: no naming fits, or two entries have one name.
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
    """Channel multiplier; 1 if it does not follow from the weights, which then cannot fit."""
    if last_channels is None or last_channels > MAX_WIDTH * LAST_CHANNELS:
        return 1.0
    return last_channels / LAST_CHANNELS


def require_fit(where: str, expected: Shapes, found: Shapes, advice: str) -> None:
    """Check that names and shapes agree exactly.

    Raises:
        BundleError: they do not; lists up to `MOST_LISTED` missing, unexpected and misshapen
            names, with counts, and ends in `advice`.
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
    """Convert entries to float32.

    Raises:
        BundleError: an entry does not hold floating point numbers.
    """
    for name, value in entries.items():
        if value.dtype.kind != "f":
            raise BundleError(f"{where}: {name} holds {value.dtype}, expected float32")
    return {name: np.asarray(value, np.float32) for name, value in entries.items()}
