"""Published accuracies of the paper and of the MindSpore ModelZoo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecolite_stream.model.bundle import ModelSpec


@dataclass(frozen=True)
class Published:
    """A published result; shares from 0 to 1, None if not stated.

    Attributes:
        what: source and setting.
        classes: of the data set: 101 of UCF101, 51 of HMDB51.
        top1: share right.
        top5: share with the right label among the best five.
        videos: how many were evaluated.
    """

    what: str
    classes: int
    top1: float
    top5: float | None = None
    videos: int | None = None


def _paper(network: str, num_segments: int, ucf101: float, hmdb51: float) -> tuple[Published, ...]:
    what = f"paper, {network}, {num_segments} frames, {{}}, mean of the splits"
    return (
        Published(what.format("UCF101"), 101, ucf101),
        Published(what.format("HMDB51"), 51, hmdb51),
    )


PUBLISHED: Mapping[tuple[str, int], tuple[Published, ...]] = {
    ("eco_lite", 4): (
        *_paper("ECO-Lite", 4, 0.874, 0.581),
        Published("ModelZoo, 4 frames, UCF101 split 1, Ascend 910", 101, 0.8803, 0.9804, 3783),
        Published("the same, Ascend 310", 101, 0.8806, 0.9804, 3776),
    ),
    ("eco_lite", 16): _paper("ECO-Lite", 16, 0.916, 0.682),
    ("eco_full", 4): _paper("ECO", 4, 0.903, 0.617),
    ("eco_full", 12): _paper("ECO", 12, 0.924, 0.683),
    ("eco_full", 20): _paper("ECO", 20, 0.930, 0.690),
    ("eco_full", 24): _paper("ECO", 24, 0.936, 0.684),
}
"""By architecture and N. The 310 run left the last, partial batch out."""


def published_for(spec: ModelSpec) -> tuple[Published, ...]:
    """Published results for this architecture and N: HMDB51 for 51 labels, else UCF101."""
    classes = 51 if len(spec.labels) == 51 else 101
    found = PUBLISHED.get((spec.architecture, spec.num_segments), ())
    return tuple(other for other in found if other.classes == classes)
