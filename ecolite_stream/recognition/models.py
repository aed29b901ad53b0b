"""The models of a run: streams may change from one to another."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from ecolite_stream.engines import choose_engine, require_graphs
from ecolite_stream.errors import EcoliteError
from ecolite_stream.model.bundle import Bundle, ModelSpec


@dataclass(frozen=True, eq=False)
class Model:
    """A bundle as the streams need it.

    Attributes:
        spec: the bundle's description.
        digest: of the bundle; empty if unknown.
        features: stands for the features of a picture: equal ones are of the same encoder and
            preprocessing; empty if unknown.
    """

    spec: ModelSpec
    digest: str = ""
    features: str = ""

    def has_features_of(self, other: Model) -> bool:
        """Whether a memory of another model's features serves this model, too."""
        return self is other or (
            self.features == other.features != ""
            and self.spec.num_segments == other.spec.num_segments
            and self.spec.clip_seconds == other.spec.clip_seconds
        )


def model_of(
    bundle: Bundle, engine: str = "auto", device: str | None = None, precision: str | None = None
) -> Model:
    """The model of a bundle that an engine runs; arguments as for `open_engine`."""
    try:
        name = choose_engine(engine, bundle, device, precision)
        encoder, _ = require_graphs(name, bundle, device, precision)
    except EcoliteError:  # opening the engine gives the reason
        return Model(bundle.spec, bundle.digest)
    facts = [name, device, precision, encoder.sha256, asdict(bundle.spec.preprocessing)]
    features = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return Model(bundle.spec, bundle.digest, features)
