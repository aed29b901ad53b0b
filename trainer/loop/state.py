"""The state of a training in one file, `last.state`, from which it resumes exactly.

A NumPy `.npz` archive of the network's parameters, the optimiser's, and a JSON text with the rest.
It is written at the end of each epoch, before that epoch's checkpoints; resuming writes those
again. Random numbers need no state: each is drawn from (seed, epoch, place).
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt

from ecolite_stream.errors import BundleError, ConfigError, one_line
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.types import FloatArray
from trainer.config.schema import TrainConfig
from trainer.loop.curves import COLUMNS
from trainer.weights.files import write_whole
from trainer.weights.reading import require_readable

STATE = "last.state"
SCHEMA_VERSION = 1
MAY_DIFFER = frozenset(
    {"output", "resume", "epochs", "device_target", "device_id", "data.workers", "data.cache_mb"}
)
"""Configuration keys that a resumed training may change."""
_FACTS, _NETWORK, _OPTIMIZER = "facts", "network/", "optimizer/"


@dataclass(frozen=True)
class TrainingState:
    """State after a complete epoch.

    Attributes:
        config: the configuration, as plain containers.
        spec: describes the network after this epoch.
        epoch: number of complete epochs.
        best_top1: highest validation top-1 so far; -1 without validation.
        is_best: whether this epoch's network is the best so far.
        steps_per_epoch: differs if the clips do.
        schedule: `Schedule.state()`.
        scaler: of the loss in mixed precision, see `trainer.loop.precision`.
        curves: one row an epoch, see `trainer.loop.curves`.
        network: parameters by name.
        optimizer: momentum and counters by name.
    """

    config: Mapping[str, Any]
    spec: ModelSpec
    epoch: int
    best_top1: float
    is_best: bool
    steps_per_epoch: int
    schedule: Mapping[str, float]
    curves: tuple[Mapping[str, float | None], ...]
    network: Mapping[str, FloatArray]
    optimizer: Mapping[str, npt.NDArray[Any]]
    scaler: Mapping[str, float] = field(default_factory=dict)


def save_state(path: Path, state: TrainingState) -> None:
    """Write a state; whatever happens, `path` holds the old file or the whole new one.

    Raises:
        BundleError: the file cannot be written.
    """
    facts = {
        name: getattr(state, name)
        for name in (
            "config",
            "epoch",
            "best_top1",
            "is_best",
            "steps_per_epoch",
            "schedule",
            "scaler",
        )
    }
    facts |= {"version": SCHEMA_VERSION, "spec": state.spec.to_json(), "curves": state.curves}
    arrays: dict[str, npt.NDArray[Any]] = {_FACTS: np.array(json.dumps(facts))}
    arrays |= {_NETWORK + name: value for name, value in state.network.items()}
    arrays |= {_OPTIMIZER + name: value for name, value in state.optimizer.items()}

    def write(temporary: Path) -> None:
        # np.savez would leave closing to Python's clean-up after Ctrl-C or on a full disk, which
        # prints a traceback.
        with zipfile.ZipFile(temporary, "w") as archive:
            for name, value in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(  # type: ignore[no-untyped-call]
                        file, value, allow_pickle=False
                    )

    try:
        write_whole(path, write)
    except OSError as error:
        raise BundleError(
            f"training state {path} cannot be written: {one_line(error)}; check the folder and the "
            "space left on its disk"
        ) from error


def load_state(path: Path) -> TrainingState:
    """Read a state.

    Raises:
        BundleError: the file is missing, damaged or of an unknown version.
    """
    try:
        require_readable(path)
    except FileNotFoundError as error:
        raise BundleError(
            f"{path} does not exist: no epoch was finished there, or it is no folder of a "
            "training; name the folder that holds last.ckpt, or start without --resume"
        ) from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or one_line(error)}") from error
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = dict(content)
        facts = json.loads(str(arrays.pop(_FACTS)))
        version = _require("facts", facts, dict).pop("version", None)
        if version == SCHEMA_VERSION:
            return _from_parts(facts, arrays)
    except Exception as error:  # zip, NumPy and JSON each have their own
        raise BundleError(
            f"{path} is no training state, or is damaged ({one_line(error)[:120]}); the "
            "checkpoints beside it can start another training: --init_checkpoint"
        ) from error
    raise BundleError(
        f"{path}: version is {version!r}, this program reads {SCHEMA_VERSION}; resume with the "
        "ecolite-stream that wrote it"
    )


def _from_parts(facts: dict[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> TrainingState:
    def beginning(prefix: str) -> dict[str, npt.NDArray[Any]]:
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    _require("config", facts["config"], dict)
    _require("is_best", facts["is_best"], bool)
    for name in ("epoch", "steps_per_epoch"):
        if _require(name, facts[name], int) < 1:
            raise ValueError(f"{name} is {facts[name]}, expected at least 1")
    _require("best_top1", facts["best_top1"], int, float)
    _require_numbers("schedule", facts["schedule"], {"best_score", "epochs_without_gain", "drops"})
    if scaler := facts.get("scaler"):
        _require_numbers("scaler", scaler, {"scale", "steps"})
    for row in _require("curves", facts["curves"], list):
        _require_row(row)
    facts["spec"] = ModelSpec.from_json(_require("spec", facts["spec"], dict))
    facts["curves"] = tuple(facts["curves"])
    return TrainingState(**facts, network=beginning(_NETWORK), optimizer=beginning(_OPTIMIZER))


def _require(name: str, value: Any, *kinds: type) -> Any:
    """Return a value of one of these types, exactly: `True` is no int."""
    if type(value) not in kinds:
        raise ValueError(f"{name} is {type(value).__name__}, expected {kinds[0].__name__}")
    return value


def _require_row(row: Any) -> None:
    values = _require("a row of curves", row, dict)
    if not set(COLUMNS[:5]) <= set(values) <= set(COLUMNS):
        raise ValueError(f"a row of curves has other columns than {', '.join(COLUMNS)}")
    for name, value in values.items():
        if value is not None:
            _require(name, value, int, float)


def _require_numbers(name: str, value: Any, keys: set[str]) -> None:
    if set(_require(name, value, dict)) != keys:
        raise ValueError(f"{name} has other keys than {', '.join(sorted(keys))}")
    for key, number in value.items():
        _require(f"{name}.{key}", number, int, float)


def plain_config(config: TrainConfig) -> dict[str, Any]:
    """A configuration as plain containers, as JSON keeps them."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return plain


def require_same_config(where: Path, state: TrainingState, config: TrainConfig) -> None:
    """Raise a ConfigError, naming the first key that differs, unless `config` may resume it."""
    if difference := first_difference(state.config, config):
        key, before, now = difference
        raise ConfigError(
            f"{key} is {now!r}, the training in {where} began with {before!r}; "
            "resume it with that, or start a new one without --resume"
        )


def first_difference(
    before: Mapping[str, Any], config: TrainConfig
) -> tuple[str, object, object] | None:
    """The first key in which `config` differs from `before`, a `plain_config`.

    Returns:
        (key, value before, value now); None if only `MAY_DIFFER` differs.
    """
    old, new = _flat(before), _flat(plain_config(config))
    for key in new:
        if key in old and old[key] != new[key] and key not in MAY_DIFFER:
            return key, old[key], new[key]
    return None


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def state_of_optimizer(optimizer: ms.nn.Optimizer) -> dict[str, npt.NDArray[Any]]:
    """Copies of an optimiser's own parameters, without the network's."""
    return {name: np.array(p.asnumpy()) for name, p in _own_parameters(optimizer).items()}


def restore_optimizer(
    optimizer: ms.nn.Optimizer, state: Mapping[str, npt.NDArray[Any]], where: Path
) -> None:
    """Set an optimiser's own parameters.

    Raises:
        BundleError: names or shapes differ from `state`.
    """
    own = _own_parameters(optimizer)
    shapes = {name: p.shape for name, p in own.items()}
    if shapes != {name: value.shape for name, value in state.items()}:
        raise BundleError(
            f"{where} holds another optimiser's state; resume with the ecolite-stream that wrote it"
        )
    for name, parameter in own.items():
        parameter.set_data(ms.Tensor(state[name]))


def _own_parameters(optimizer: ms.nn.Optimizer) -> dict[str, ms.Parameter]:
    moved = {parameter.name for parameter in optimizer.parameters}
    return {n: p for n, p in optimizer.parameters_and_names() if p.name not in moved}
