"""Time whole clips, from files to labels, against a plain loop with another library."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ecolite_stream.bench.accuracy.offline import Outcome, Pace, evaluate, judge
from ecolite_stream.bench.measuring.timing import Clock
from ecolite_stream.bench.report.report import Report, Table
from ecolite_stream.bench.speed.references import REFERENCES
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle, ModelSpec
from ecolite_stream.model.preprocess import preprocess
from ecolite_stream.model.sampling import segment_frames
from ecolite_stream.types import FloatArray, Image

TURNS = 4


@dataclass(frozen=True)
class Against:
    """Times of the same clips both ways, in turns.

    Attributes:
        library: the other one.
        clips: number in each turn.
        same_labels: how many get the same label both ways.
        ours_s: wall-clock seconds of each turn.
        theirs_s: likewise.
    """

    library: str
    clips: int
    same_labels: int
    ours_s: tuple[float, ...]
    theirs_s: tuple[float, ...]

    @property
    def gain(self) -> float:
        """Ratio of videos/s to the plain loop: the median over the turns."""
        pairs = zip(self.ours_s, self.theirs_s, strict=True)
        return statistics.median(theirs_s / ours_s for ours_s, theirs_s in pairs)

    def to_json(self) -> dict[str, Any]:
        """Plain containers."""
        return {**vars(self), "gain": round(self.gain, 3)}


def check_against(library: str) -> None:
    """Check that a reference exists.

    Raises:
        ConfigError: it does not.
    """
    if library not in REFERENCES:
        advice = (
            "run it as python -m trainer.reference.benchmark ucf101 ..., where torch is installed"
            if library == "torch"
            else f"expected torch, {', '.join(REFERENCES)}"
        )
        raise ConfigError(f"--against {library}: there is no such reference here; {advice}")


def open_reference(library: str, bundle: Bundle) -> Engine:
    """Open a reference that `check_against` accepts.

    Raises:
        ConfigError: its library is not installed.
        EngineError: it cannot run the bundle.
    """
    try:
        return REFERENCES[library](bundle)
    except ModuleNotFoundError as error:
        raise ConfigError(f"--against {library} needs {error.name}; install it") from error


def video_files(
    clips: Sequence[ClipFile], outcomes: Sequence[Outcome], most: int
) -> list[ClipFile]:
    """At most so many of the clips that could be read, spread evenly.

    Raises:
        ConfigError: they are folders of frames, or unreadable.
    """
    read = [clip for clip, outcome in zip(clips, outcomes, strict=True) if not outcome.error]
    files = [clip for clip in read if clip.path.is_file()]
    if not files:
        raise ConfigError("--against decodes video files, and none of the clips is one it can read")
    most = min(most, len(files))
    return [files[place * len(files) // most] for place in range(most)]


def plain_label(clip: ClipFile, reference: Engine, spec: ModelSpec) -> str | None:
    """Classify a clip as a plain script does: read all frames, run the network on N of them."""
    images = _all_frames(clip.path)
    chosen = [images[number] for number in segment_frames(len(images), spec.num_segments)]
    inputs: FloatArray = np.stack([preprocess(image, spec.preprocessing) for image in chosen])
    logits = reference.classify(reference.encode(inputs)[None])[0]
    return judge(clip, len(images), logits, spec.labels).taken_for


def _all_frames(path: Path) -> list[Image]:
    capture = cv2.VideoCapture(str(path))
    images: list[Image] = []
    try:
        while True:
            ok, image = capture.read()
            if not ok:
                return images
            images.append(np.asarray(image, np.uint8))
    finally:
        capture.release()


def measure_against(
    clips: Sequence[ClipFile],
    engines: tuple[Engine, Engine],
    spec: ModelSpec,
    workers: int,
    on_turn: Callable[[], None] = lambda: None,
    clock: Clock = time.perf_counter,
) -> Against:
    """Classify the same clips both ways, from their files, one crop each, in `TURNS` turns.

    Args:
        clips: video files.
        engines: the engine and the reference.
        spec: of the bundle that both have opened.
        workers: threads that decode for the engine; OpenCV chooses its own.
        on_turn: called after each turn of either.
        clock: wall-clock seconds.
    """
    engine, reference = engines

    def ours(chosen: Sequence[ClipFile]) -> list[str | None]:
        return [o.taken_for for o in evaluate(chosen, engine, spec, 1, workers, Pace())]

    def theirs(chosen: Sequence[ClipFile]) -> list[str | None]:
        return [plain_label(clip, reference, spec) for clip in chosen]

    seconds, labels = _in_turns((ours, theirs), clips, on_turn, clock)
    same = sum(a == b for a, b in zip(*labels, strict=True))
    return Against(reference.name, len(clips), same, tuple(seconds[0]), tuple(seconds[1]))


def _in_turns(
    ways: Sequence[Callable[[Sequence[ClipFile]], list[str | None]]],
    clips: Sequence[ClipFile],
    on_turn: Callable[[], None],
    clock: Clock,
) -> tuple[list[list[float]], list[list[str | None]]]:
    """Seconds of each turn, and the labels of the last, of each way."""
    seconds: list[list[float]] = [[] for _ in ways]
    labels: list[list[str | None]] = []
    for recognize in ways:
        recognize(clips[:1])  # warm-up, not counted
    for _ in range(TURNS):
        labels = []
        for recognize, times_s in zip(ways, seconds, strict=True):
            start_s = clock()
            labels.append(recognize(clips))
            times_s.append(clock() - start_s)
            on_turn()
    return seconds, labels


def with_against(report: Report, against: Against) -> Report:
    """A report with the comparison as its second table."""
    first, *others = report.tables
    results = {**report.results, "against": against.to_json()}
    return replace(report, tables=[first, against_table(against), *others], results=results)


def against_table(against: Against) -> Table:
    """The ratio and its parts."""
    ours_s, theirs_s = map(statistics.median, (against.ours_s, against.theirs_s))
    name = against.library
    return Table(
        f"From video files to labels, against {name}",
        ("this / plain loop", "videos/s", f"videos/s, {name}", "clips", "same labels"),
        [
            (
                f"{against.gain:.2f}x",
                f"{against.clips / ours_s:.2f}",
                f"{against.clips / theirs_s:.2f}",
                against.clips,
                against.same_labels,
            )
        ],
        notes=(
            f"Decoding included, one crop, {len(against.ours_s)} turns each, medians. The plain "
            "loop: OpenCV reads all frames of a clip, the N that stand for its segments are "
            f"preprocessed, {name} recognizes them on the same weights; then the next clip.",
        ),
    )
