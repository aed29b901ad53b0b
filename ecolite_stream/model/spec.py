"""What a model is and how to feed it: `ModelSpec`, which checkpoints and bundles carry."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecolite_stream.config.strict import make_config
from ecolite_stream.errors import BundleError, ConfigError
from ecolite_stream.model import limits
from ecolite_stream.model.preprocess import Preprocessing

ENERGY_BOUND = "energy_bound"
"""The one key of a description that may be missing."""

IDLE_LABELS = ("idle", "nothing")
"""Names of a label that stands for nothing going on; the first that a bundle has counts."""


@dataclass(frozen=True)
class ModelSpec:
    """What a model is and how to feed it; the same in a checkpoint and in a bundle.

    Attributes:
        architecture: `eco_lite` or `eco_full`.
        width: channel multiplier of the network; 1 is the paper.
        num_segments: N, features a prediction is made from.
        feature_shape: shape of what the encoder makes of one frame.
        labels: name of each class, in the order of the logits.
        clip_seconds: how many seconds the N segments span.
        preprocessing: how a picture becomes an input.
        temperature: logits are divided by it before softmax; 1 where nobody calibrated.
        thresholds: lowest score at which a label counts, by label.
        energy_bound: lowest log-sum-exp of the logits, before the temperature, of what looks like
            the training; None where nobody fitted one.
        training: how it was trained: free facts, shown but never interpreted.
        scores: what it scores, and on what: likewise.
    """

    architecture: str
    width: float
    num_segments: int
    feature_shape: tuple[int, ...]
    labels: tuple[str, ...]
    clip_seconds: float
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    temperature: float = 1.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    energy_bound: float | None = None

    def __post_init__(self) -> None:
        limits.require_names("architecture", [self.architecture])
        limits.require_between("num_segments", self.num_segments, 1, limits.MAX_SEGMENTS)
        limits.require_between("width", self.width, *limits.WIDTH)
        limits.require_between("clip_seconds", self.clip_seconds, *limits.CLIP_SECONDS)
        limits.require_between("temperature", self.temperature, *limits.TEMPERATURE)
        if self.energy_bound is not None:
            limits.require_between(ENERGY_BOUND, self.energy_bound, *limits.ENERGY)
        limits.require_feature_shape(self.feature_shape, self.num_segments)
        limits.require_labels(self.labels, self.thresholds)

    @property
    def idle_label(self) -> str | None:
        """The label that stands for nothing going on, if there is one."""
        return next((label for label in IDLE_LABELS if label in self.labels), None)

    def to_json(self) -> dict[str, Any]:
        """Plain containers, as `bundle.json` and a checkpoint carry them; no bound, no key."""
        values = dataclasses.asdict(self)
        if self.energy_bound is None:
            del values[ENERGY_BOUND]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ModelSpec:
        """The reverse of `to_json`.

        Args:
            values: every key must be there but that of the energy bound; no default of this
                program speaks for a model.

        Raises:
            BundleError: a key is missing, unknown, of the wrong kind or out of its range.
        """
        try:
            require_all(cls, values, "model", optional=(ENERGY_BOUND,))
            require_all(Preprocessing, values["preprocessing"], "preprocessing")
            return make_config(cls, values, "model")
        except ConfigError as error:
            raise BundleError(str(error)) from error


def require_all(kind: type, values: Any, where: str, optional: Sequence[str] = ()) -> None:
    """Raise a ConfigError unless a description has a value for each field of a dataclass."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected keys and values, got {values!r}")
    needed = [f.name for f in dataclasses.fields(kind) if f.name not in optional]
    if missing := [name for name in needed if name not in values]:
        raise ConfigError(f"{where}: missing key {', '.join(missing)}")
