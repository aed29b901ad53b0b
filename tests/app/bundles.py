"""Bundles made from the embedded one: other labels, other framing, wrong golden numbers."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.model.bundle import (
    GOLDEN,
    Bundle,
    demo_bundle_path,
    read_bundle,
    write_description,
)


def changed(folder: Path, **changes: Any) -> Bundle:
    """The embedded bundle in another folder, with changes of its description."""
    embedded = read_bundle(demo_bundle_path())
    shutil.copytree(embedded.path, folder)
    spec = dataclasses.replace(embedded.spec, **changes)
    return write_description(folder, spec, embedded.graphs, embedded.files)


def renamed(folder: Path, prefix: str = "my ", **changes: Any) -> Bundle:
    """The embedded bundle with other labels, as after `trainer.teach`: the encoder is the same."""
    labels = read_bundle(demo_bundle_path()).spec.labels
    return changed(folder, labels=tuple(prefix + label for label in labels), **changes)


def disagreeing(folder: Path) -> Bundle:
    """A bundle whose graphs do not give its golden numbers."""
    bundle = renamed(folder)
    golden = bundle.golden()
    np.savez(
        folder / GOLDEN,
        images=golden.images,
        features=golden.features,
        logits=np.ascontiguousarray(golden.logits[::-1]),
    )
    return write_description(folder, bundle.spec, bundle.graphs, bundle.files)
