"""Compare streaming with the offline path on the same segments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ecolite_stream.bench.accuracy.offline import crops_of, logits_of
from ecolite_stream.bench.report.report import Table
from ecolite_stream.engines import Engine
from ecolite_stream.engines.check import relative_error
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import normalize
from ecolite_stream.sources import open_source
from ecolite_stream.types import FloatArray, Image

Key = bytes
"""Hash of a network input."""


@dataclass(frozen=True)
class LiveClip:
    """A clip classified while streaming: the inputs of its N segments, and the logits."""

    segments: tuple[Key, ...]
    logits: FloatArray = field(repr=False)


class Recorder:
    """An engine that records the hashes of each clip's inputs, and no pictures."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.close = engine.close
        self.clips: list[LiveClip] = []
        self._engine = engine
        self._input_of: dict[Key, Key] = {}  # by feature

    def encode(self, images: FloatArray) -> FloatArray:
        features = self._engine.encode(images)
        for image, feature in zip(images, features, strict=True):
            self._input_of[_key(feature)] = _key(image)
        return features

    def classify(self, features: FloatArray) -> FloatArray:
        logits = self._engine.classify(features)
        for clip, scores in zip(features, logits, strict=True):
            segments = tuple(self._input_of[_key(feature)] for feature in clip)
            self.clips.append(LiveClip(segments, scores.copy()))
        return logits


@dataclass(frozen=True)
class Agreed:
    """Agreement of the offline path with a stream.

    Attributes:
        clips: that were classified while streaming.
        unseen: of those, how many have an input that the offline path does not make.
        same: how many have the same best label.
        error: the largest difference of logits, relative to the largest logit of the clip.
    """

    clips: int = 0
    unseen: int = 0
    same: int = 0
    error: float = 0.0

    def __add__(self, other: Agreed) -> Agreed:
        return Agreed(
            self.clips + other.clips,
            self.unseen + other.unseen,
            self.same + other.same,
            max(self.error, other.error),
        )


def agree_offline(path: Path, clips: Sequence[LiveClip], engine: Engine, spec: ModelSpec) -> Agreed:
    """Decode a file again and classify the segments of each clip offline.

    Labels are those of the logits, before smoothing. Only pictures that are still needed are kept.

    Raises:
        SourceError: the file cannot be read.
        EngineError: the engine failed.
    """
    last_use = {key: number for number, clip in enumerate(clips) for key in clip.segments}
    squares: dict[Key, Image] = {}
    agreed, number = Agreed(), 0
    with open_source(str(path)) as source:
        for frame in source:
            [square] = crops_of(frame.image, spec.preprocessing, crops=1)
            key = _key(normalize(square, spec.preprocessing))
            if last_use.get(key, -1) >= number:
                squares[key] = square
            while number < len(clips) and squares.keys() >= set(clips[number].segments):
                agreed += _agree(clips[number], squares, engine, spec)
                number += 1
                squares = {key: kept for key, kept in squares.items() if last_use[key] >= number}
    left = len(clips) - number
    return agreed + Agreed(left, left)


def _agree(clip: LiveClip, squares: dict[Key, Image], engine: Engine, spec: ModelSpec) -> Agreed:
    whole = np.stack([[squares[key] for key in clip.segments]])
    logits = logits_of(whole, engine, spec)
    same = int(logits.argmax()) == int(clip.logits.argmax())
    return Agreed(1, 0, int(same), relative_error(logits, clip.logits))


def same_table(rows: Iterable[tuple[str, str, Agreed]]) -> Table:
    """Table of streams, memory policies and agreement."""
    return Table(
        "Streaming against offline, on the same segments",
        ("what", "memory", "same label", "predictions", "segments not found", "logits off"),
        [
            (what, policy, _percent(a), a.clips, a.unseen, f"{a.error:.1e}")
            for what, policy, a in rows
        ],
        notes=(
            "Each prediction's N segments again, from the file's frames, as one clip. same label: "
            "of the logits, before smoothing. logits off: relative to the largest.",
        ),
    )


def _percent(agreed: Agreed) -> str | None:
    return f"{100 * agreed.same / agreed.clips:.1f} %" if agreed.clips else None


def _key(array: FloatArray) -> Key:
    return hashlib.blake2b(array.tobytes(), digest_size=16).digest()
