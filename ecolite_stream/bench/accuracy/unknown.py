"""What a bound on the energy of the logits gives up of known actions, and catches of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecolite_stream.bench.accuracy.online import events_of
from ecolite_stream.bench.accuracy.samples import RecordingEngine
from ecolite_stream.bench.measuring.watch import watch
from ecolite_stream.bench.report.report import Cell, Table
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.known import (
    LEAST_FILL,
    SHARE_GIVEN_UP,
    energy,
    fit_energy_bound,
    share_below,
)
from ecolite_stream.recognition.recognizer import Recognizer
from ecolite_stream.sources import open_source
from ecolite_stream.types import Prediction

FILLS = (1.0, LEAST_FILL)
"""Least memory fill of the predictions that a row counts."""


@dataclass(frozen=True)
class Watched:
    """The predictions of one clip, with the logits behind each.

    Attributes:
        label: its class; None of other footage.
        predictions: in order, without the gate.
        logits: (K, classes) float64.
    """

    label: str | None
    predictions: tuple[Prediction, ...]
    logits: npt.NDArray[np.float64]


def watch_logits(
    path: Path, label: str | None, engine: Engine, spec: ModelSpec, config: StreamConfig
) -> Watched:
    """Stream a video through the pipeline of `ecolite-stream` and keep the logits.

    Raises:
        SourceError: it cannot be read.
        EngineError: the engine failed.
    """
    recording, predictions = RecordingEngine(engine), list[Prediction]()
    config = replace(config, gate=False, top=len(spec.labels))  # every prediction has logits
    watch(open_source(str(path)), Recognizer(recording, spec, config), predictions.append)
    shape = (len(predictions), len(spec.labels))
    logits = np.array(recording.logits, np.float64).reshape(shape)
    return Watched(label, tuple(predictions), logits)


Group = tuple[str, Sequence[Watched]]
"""Name of a folder, and its clips."""


def bound_of(known: Sequence[Watched], spec: ModelSpec) -> float:
    """The bundle's bound, or else one that is fitted to these clips.

    Raises:
        ConfigError: too few of them are right to fit one.
    """
    if spec.energy_bound is not None:
        return spec.energy_bound
    chosen = [(w, _fills(w) >= LEAST_FILL) for w in known]
    logits = np.concatenate([w.logits[counts] for w, counts in chosen])
    right = np.concatenate([_right(w)[counts] for w, counts in chosen])
    bound = fit_energy_bound(logits, right)
    if bound is None:
        raise ConfigError(
            f"the bundle has no bound, and {right.sum()} right predictions are too few to fit one "
            "to; name more clips with --data"
        )
    return bound


def unknown_tables(
    known: Group, others: Sequence[Group], spec: ModelSpec, config: StreamConfig, bound: float
) -> list[Table]:
    """What the bound gives up and catches, by the fill of the memory, and the events without it."""
    rows: list[tuple[Cell, ...]] = []
    for fill in FILLS:
        of_right = _energies(known[1], fill, _right)
        rows.append((f"{known[0]}, right: given up", f"{fill:g}", *_below(of_right, bound)))
        for name, clips in others:
            caught = _energies(clips, fill, lambda w: np.ones(len(w.logits), np.bool_))
            rows.append((f"{name}: caught", f"{fill:g}", *_below(caught, bound)))
    events: list[tuple[Cell, ...]] = [
        (name, *(_events(clips, spec, config, limit) for limit in (None, bound)))
        for name, clips in (known, *others)
    ]
    origin = "the bundle's" if spec.energy_bound is not None else f"fitted to {known[0]}"
    return [
        Table(
            f"Unknown: energy below {bound:.4f} ({origin})",
            ("predictions", "memory fill at least", "unknown", "of", "share"),
            rows,
            notes=(
                f"A bound is fitted so that it gives up {SHARE_GIVEN_UP:.0%} of what is right with "
                "a memory at least half full. The gate is off.",
            ),
        ),
        Table("Events with the defaults, gate off", ("footage", "no bound", "bound"), events),
    ]


def unknown_json(known: Group, others: Sequence[Group], bound: float) -> dict[str, Any]:
    """The energies behind the tables, by folder; of known clips those that are right."""
    right = _energies(known[1], LEAST_FILL, _right)
    rest = {
        n: _energies(c, LEAST_FILL, lambda w: np.ones(len(w.logits), np.bool_)) for n, c in others
    }
    shown = {known[0]: right, **rest}
    return {"bound": bound, "energies": {n: e.round(4).tolist() for n, e in shown.items()}}


def _energies(
    clips: Sequence[Watched], fill: float, counts: Callable[[Watched], npt.NDArray[np.bool_]]
) -> npt.NDArray[np.float64]:
    chosen = [energy(w.logits)[counts(w) & (_fills(w) >= fill)] for w in clips if len(w.logits)]
    return np.concatenate(chosen) if chosen else np.zeros(0)


def _below(energies: npt.NDArray[np.float64], bound: float) -> tuple[Cell, ...]:
    count = int((energies < bound).sum())
    return count, len(energies), f"{share_below(energies, bound):.1%}"


def _events(
    clips: Sequence[Watched], spec: ModelSpec, config: StreamConfig, bound: float | None
) -> int:
    """Events that begin in these clips; of None no prediction is unknown."""
    count = 0
    for clip in clips:
        is_known = _fills(clip) < LEAST_FILL
        is_known |= energy(clip.logits) >= (-np.inf if bound is None else bound)
        predictions = [
            replace(p, known=bool(k)) for p, k in zip(clip.predictions, is_known, strict=True)
        ]
        count += len(events_of(predictions, spec, config))
    return count


def _fills(clip: Watched) -> npt.NDArray[np.float64]:
    return np.array([p.memory_fill for p in clip.predictions], np.float64)


def _right(clip: Watched) -> npt.NDArray[np.bool_]:
    return np.array([p.label == clip.label for p in clip.predictions], np.bool_)
