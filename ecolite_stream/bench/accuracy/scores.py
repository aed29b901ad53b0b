"""Scores of whole clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecolite_stream.bench.accuracy.offline import TOP, Outcome


@dataclass(frozen=True)
class Scores:
    """Outcomes and what is missing, as shares of all videos of the split.

    Attributes:
        outcomes: one a clip.
        missing: names, `<class>/<file>`, of missing videos of the split; they count as wrong.
        unnamed: how many more are missing, by the published count; likewise.
    """

    outcomes: Sequence[Outcome]
    missing: Sequence[str] = ()
    unnamed: int = 0

    @property
    def total(self) -> int:
        """Number of videos, with unreadable and missing ones."""
        return len(self.outcomes) + len(self.missing) + self.unnamed

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
        """Mean cross entropy of the readable videos; NaN without any."""
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
        """(class, videos, right), the worst share first; without what is missing and unnamed."""
        videos = Counter(outcome.label for outcome in self.outcomes)
        videos.update(name.partition("/")[0] for name in self.missing)
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

        Only labels that a readable clip has or was taken for are listed.
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
