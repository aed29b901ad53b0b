"""What the outcomes of whole clips amount to, and how it compares with what was published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecolite_stream.bench.offline import EARLY, TOP, Outcome, Pace
from ecolite_stream.bench.report import Cell, Table
from ecolite_stream.bench.splits import Selection

WORST_PAIRS = 20


@dataclass(frozen=True)
class Published:
    """A published result; shares of 1, None where it was not stated."""

    what: str
    top1: float
    top5: float | None
    videos: int | None


PUBLISHED: Mapping[int, tuple[Published, ...]] = {
    4: (
        Published("paper, ECO-Lite, 4 frames, mean of the splits", 0.874, None, None),
        Published("ModelZoo, 4 frames, split 1, Ascend 910", 0.8803, 0.9804, 3783),
        Published("the same, Ascend 310", 0.8806, 0.9804, 3776),
    ),
    16: (Published("paper, ECO-Lite, 16 frames, mean of the splits", 0.916, None, None),),
}
"""By N. The 310 run left the last, partial batch out."""


@dataclass(frozen=True)
class Scores:
    """Outcomes and what is missing, as shares of all videos of the split.

    Attributes:
        outcomes: one a clip.
        missing: how many videos of the split are not there; they are wrong.
    """

    outcomes: Sequence[Outcome]
    missing: int = 0

    @property
    def total(self) -> int:
        """All videos, unreadable and missing ones too."""
        return len(self.outcomes) + self.missing

    @property
    def read(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.error is None]

    @property
    def unreadable(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.error is not None]

    @property
    def top1(self) -> float:
        return self._within(1)

    @property
    def top5(self) -> float:
        return self._within(TOP)

    @property
    def loss(self) -> float:
        """Mean cross entropy of the videos that could be read; NaN where none could."""
        losses = [outcome.loss for outcome in self.read if outcome.loss is not None]
        return sum(losses) / len(losses) if losses else float("nan")

    def _within(self, best: int) -> float:
        right = sum(outcome.is_within(best) for outcome in self.outcomes)
        return right / self.total if self.total else 0.0

    def published_lines(self) -> str:
        """The two lines that the published evaluations end with."""
        return (
            f"{{'Loss': {self.loss:.4f}, 'Top1-Acc': {self.top1:.4f}, "
            f"'Top5-Acc': {self.top5:.4f}}}\n"
            f"Total data: {self.total}, top1 accuracy: {self.top1:.4f}, "
            f"top5 accuracy: {self.top5:.4f}"
        )

    def by_class(self) -> list[tuple[str, int, int]]:
        """(class, videos, right), the worst share first."""
        videos = Counter(outcome.label for outcome in self.outcomes)
        right = Counter(outcome.label for outcome in self.outcomes if outcome.is_within(1))
        rows = [(label, count, right[label]) for label, count in videos.items()]
        return sorted(rows, key=lambda row: (row[2] / row[1], row[0]))

    def worst_pairs(self) -> list[tuple[str, str, int]]:
        """(class, taken for, how often), the most frequent first."""
        pairs = Counter(
            (outcome.label, outcome.taken_for)
            for outcome in self.read
            if outcome.taken_for and outcome.taken_for != outcome.label
        )
        rows = [(label, other, count) for (label, other), count in pairs.items()]
        return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))

    def confusion(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Labels (classes,), and how often row's class was taken for column's: (classes, classes).

        Only labels that a readable clip has or was taken for are there.
        """
        pairs = [(o.label, o.taken_for) for o in self.read if o.taken_for is not None]
        labels = sorted({label for pair in pairs for label in pair})
        counts = np.zeros((len(labels), len(labels)), np.int64)
        for label, other in pairs:
            counts[labels.index(label), labels.index(other)] += 1
        return labels, counts

    def to_json(self) -> dict[str, Any]:
        """Plain containers."""
        labels, counts = self.confusion()
        return {
            "videos": self.total,
            "evaluated": len(self.read),
            "top1": round(self.top1, 6),
            "top5": round(self.top5, 6),
            "loss": round(self.loss, 6) if self.read else None,
            "classes": [
                {"label": label, "videos": count, "right": right}
                for label, count, right in sorted(self.by_class())
            ],
            "confusion": {"labels": labels, "counts": counts.tolist()},
            "unreadable": {o.clip: o.error for o in self.unreadable},
        }


def score_tables(
    scores: Scores, selection: Selection, num_segments: int, pace: Pace
) -> list[Table]:
    """The result beside published ones, speed, classes, confusions and what is not in order."""
    tables = [_results(scores, selection, num_segments), _speed(pace), _classes(scores)]
    if pairs := scores.worst_pairs():
        title = f"Most frequent confusions: {min(WORST_PAIRS, len(pairs))} of {len(pairs)} pairs"
        tables.append(Table(title, ("class", "taken for", "videos"), pairs[:WORST_PAIRS]))
    if problems := _problems(scores, selection):
        tables.append(Table("Not in order", ("what", "video", "why"), problems))
    return tables


def _results(scores: Scores, selection: Selection, num_segments: int) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            "this bundle",
            _percent(scores.top1),
            _percent(scores.top5),
            f"{scores.loss:.4f}" if scores.read else None,
            f"{len(scores.read)} of {scores.total}",
        )
    ]
    for other in PUBLISHED.get(num_segments, ()):
        top5 = None if other.top5 is None else _percent(other.top5)
        rows.append((f"published: {other.what}", _percent(other.top1), top5, None, other.videos))
    return Table(
        f"Whole clips, N={num_segments}: {selection.note}",
        ("what", "top-1 %", "top-5 %", "loss", "videos"),
        rows,
        notes=(
            "videos: evaluated of all. What cannot be read or is missing counts as wrong.",
            "Ties count as wrong. loss: of what could be read, without the bundle's temperature.",
            "Published results are of UCF101; compare the same split, crops and all its videos.",
        ),
    )


def _speed(pace: Pace) -> Table:
    measured = pace.to_json()
    return Table(
        "Speed of this run",
        (
            *("videos recognized", "videos/s", "videos/s without decoding"),
            *("peak resident MB", f"after {EARLY} videos"),
        ),
        [
            (
                pace.videos,
                _number(measured, "videos_per_s"),
                _number(measured, _WITHOUT),
                _number(measured, "peak_resident_mb"),
                _number(measured, "early_resident_mb"),
            )
        ],
        notes=(
            "without decoding: from pixels to logits, measured while next clips are decoded beside "
            "it. Results kept from an earlier run are not counted. peak resident: of this process.",
        ),
    )


_WITHOUT = "videos_per_s_without_decoding"


def _number(measured: Mapping[str, Any], key: str) -> str | None:
    return None if measured[key] is None else f"{measured[key]:.2f}"


def _classes(scores: Scores) -> Table:
    rows = [(label, n, right, _percent(right / n)) for label, n, right in scores.by_class()]
    return Table("By class, the worst first", ("class", "videos", "right", "top-1 %"), rows)


def _problems(scores: Scores, selection: Selection) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = [("unreadable", o.clip, o.error) for o in scores.unreadable]
    rows += [("missing", name, "of the split, not on disk") for name in selection.missing]
    if selection.unnamed:
        rows.append(("missing", f"{selection.unnamed} more", "by the published count"))
    return rows + [("extra", name, "not of the split; not evaluated") for name in selection.extra]


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
