"""What teaching prints: how good the bundle will be, and what to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecolite_stream.bench.accuracy.calibrate import Calibration
from trainer.teaching.clips import TaughtClip
from trainer.teaching.groups import Grouping
from trainer.teaching.held_out import HeldOut, Verdict, wilson, wilson_by_groups

FEW_CLIPS = 10
"""Of an action, fewer are said to be few."""
QUICK = "the quick way"
MOST_NAMED = 20
"""Of the clips that are wrong."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The same held-out clips by the bundle that runs now.

    Attributes:
        bundle: its name.
        labels: that both have.
        taught: verdicts on the clips of those labels, held out.
        now: verdicts of the bundle that runs now, of all its labels.
    """

    bundle: str
    labels: tuple[str, ...]
    taught: Sequence[Verdict]
    now: Sequence[Verdict]

    @property
    def counts(self) -> tuple[int, int]:
        """Clips right: taught, and now."""
        return sum(v.is_right for v in self.taught), sum(v.is_right for v in self.now)

    def to_json(self) -> dict[str, Any]:
        """Clips right of both, of how many, of which labels."""
        taught, now = self.counts
        return {
            "taught": taught,
            "now": now,
            "clips": len(self.now),
            "bundle": self.bundle,
            "labels": list(self.labels),
        }

    def lines(self) -> Iterator[str]:
        taught, now = self.counts
        total = len(self.now)
        verdict = "WORSE than" if taught < now else "as good as" if taught == now else "better than"
        yield (
            f"{verdict} {self.bundle}, which has {now} of {total} clips right of "
            f"{', '.join(self.labels)}; taught and held out {taught} of {total}"
        )


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that is known before the bundle runs.

    Attributes:
        clips: that were taught.
        grouping: how they were held out.
        by_framing: framing -> its held-out clips.
        chosen: the framing of the bundle.
        own: the framing of the bundle that was taught.
        comparison: with the bundle that runs now; None where no label is in both.
        calibration: None where nothing could be fitted.
        thorough: the held-out clips by networks whose layers were all trained; None where the
            last layer alone was taught.
    """

    clips: Sequence[TaughtClip]
    grouping: Grouping
    by_framing: Mapping[str, HeldOut]
    chosen: str
    own: str
    comparison: Comparison | None = None
    calibration: Calibration | None = None
    thorough: HeldOut | None = None

    @property
    def held_out(self) -> HeldOut:
        """The clips by the way that makes the bundle."""
        return self.thorough or self.by_framing[self.chosen]

    @property
    def against_quick(self) -> Comparison | None:
        """The thorough way's clips by the quick way, which was taught with the same clips.

        None without such clips.
        """
        if self.thorough is None or not self.thorough.total:
            return None
        names = {verdict.name for verdict in self.thorough.verdicts}
        quick = [v for v in self.by_framing[self.chosen].verdicts if v.name in names]
        labels = tuple(sorted({verdict.label for verdict in quick}))
        return Comparison(QUICK, labels, self.thorough.verdicts, quick)

    def lines(self) -> Iterator[str]:
        """The report, line by line."""
        yield from self._material()
        yield ""
        yield from self._framings()
        yield from self._score()
        yield ""
        yield from self._confusion()
        yield from self._wrong()
        yield from self._scores()

    def to_json(self) -> dict[str, Any]:
        """Plain containers, as the bundle's scores and --json carry them."""
        held_out = self.held_out
        low, high = wilson(held_out.right, held_out.total)
        compared, against_quick = self.comparison, self.against_quick
        return {
            "clips_right": held_out.right,
            "clips": held_out.total,
            "interval_95": [round(low, 4), round(high, 4)],
            "interval_95_by_groups": [round(one, 4) for one in self._interval_by_groups()],
            "grouping": self.grouping.how,
            "groups": len(self.grouping.groups),
            "folds": len(self.grouping.folds),
            "framings": {name: one.right for name, one in self.by_framing.items()},
            "unjudged": list(held_out.unjudged),
            "wrong": {v.name: v.taken_for for v in held_out.wrong},
            "confusion": [[*pair, n] for pair, n in sorted(held_out.confusion().items())],
            "compared": compared and compared.to_json(),
            "quick": against_quick and against_quick.to_json(),
        }

    def _material(self) -> Iterator[str]:
        counts = Counter(clip.label for clip in self.clips)
        yield (
            f"{len(self.clips)} clips of {len(counts)} actions in {len(self.grouping.groups)} "
            f"groups ({self.grouping.how}), {self._turns()}"
        )
        for label, count in sorted(counts.items()):
            groups = len({self.grouping.group_of(c.name) for c in self.clips if c.label == label})
            few = "  few: record more" if count < FEW_CLIPS else ""
            yield f"  {label:<20} {count:4} clips, {groups:3} groups{few}"

    def _turns(self) -> str:
        folds = self.grouping.folds
        if len(folds) > 1:
            return f"held out in {len(folds)} turns"
        return f"{len(folds[0])} of the clips held out once"

    def _framings(self) -> Iterator[str]:
        if len(self.by_framing) == 1:
            yield f"framing {self.chosen}; --framing auto compares all of them"
            return
        how = "" if self.thorough is None else f"{QUICK}, "
        for framing, one in self.by_framing.items():
            own = "  (the bundle's own)" if framing == self.own else ""
            yield f"{how}framing {framing:<8} {one.right}/{one.total} clips right{own}"
        most = max(one.right for one in self.by_framing.values())
        others = [name for name, one in self.by_framing.items() if one.right == most]
        why = "no other has more clips right" if self.chosen == self.own else "most clips right"
        if self.chosen != self.own and len(others) > 1:
            why += f", as {', '.join(name for name in others if name != self.chosen)} has"
        yield f"framing {self.chosen} is used: {why}"

    def _score(self) -> Iterator[str]:
        held_out = self.held_out
        low, high = wilson(held_out.right, held_out.total)
        if held_out.total:
            yield (
                f"held out: {held_out.right} of {held_out.total} clips right, "
                f"{100 * held_out.right / held_out.total:.1f} %; so few clips can show "
                f"{100 * low:.0f} to {100 * high:.0f} % (95 % Wilson interval)"
            )
            low, high = self._interval_by_groups()
            if len(self._by_group()) < held_out.total:
                yield (
                    f"counted by groups, whose clips are often right or wrong together: "
                    f"{100 * low:.0f} to {100 * high:.0f} %"
                )
        if held_out.unjudged:
            labels = sorted({name.partition("/")[0] for name in held_out.unjudged})
            yield (
                f"not judged: {len(held_out.unjudged)} clips of {', '.join(labels)}, which no "
                "other group shows; record them at another place or of another person"
            )
        for comparison in (self.comparison, self.against_quick):
            if comparison is not None:
                yield from comparison.lines()

    def _by_group(self) -> dict[str, tuple[int, int]]:
        """(held-out clips right, held-out clips) of each group."""
        right, total = Counter[str](), Counter[str]()
        for verdict in self.held_out.verdicts:
            group = self.grouping.group_of(verdict.name)
            right[group] += verdict.is_right
            total[group] += 1
        return {group: (right[group], total[group]) for group in total}

    def _interval_by_groups(self) -> tuple[float, float]:
        return wilson_by_groups(list(self._by_group().values()))

    def _confusion(self) -> Iterator[str]:
        confusion = self.held_out.confusion()
        for label in self.held_out.labels:
            row = [(n, other) for (own, other), n in confusion.items() if own == label]
            if row:
                right = confusion[label, label]
                total = sum(n for n, _ in row)
                others = ", ".join(
                    f"{other} {n}" for n, other in sorted(row)[::-1] if other != label
                )
                yield f"  {label:<20} {right:3}/{total} right" + (
                    f"; taken for {others}" if others else ""
                )

    def _wrong(self) -> Iterator[str]:
        wrong = self.held_out.wrong
        for verdict in wrong[:MOST_NAMED]:
            yield f"  look at {verdict.name}: {verdict.taken_for}, {100 * verdict.score:.0f} %"
        if len(wrong) > MOST_NAMED:
            yield f"  and {len(wrong) - MOST_NAMED} more; --json lists them all"

    def _scores(self) -> Iterator[str]:
        fitted = self.calibration
        if fitted is None:
            return
        yield (
            f"scores: temperature {fitted.temperature:g}, off by {100 * fitted.before:.0f} points "
            f"on average before and {100 * fitted.after:.0f} after; below its threshold a label is "
            "unknown"
        )
        if fitted.energy_bound is None:
            yield "too few clips are right to fit the bound below which all labels are unknown"
        for label, threshold in fitted.thresholds.items():
            never = "never right often enough: never an event" if threshold >= 1 else ""
            yield f"  {label:<20} {never or f'from {100 * threshold:.0f} %'}"
