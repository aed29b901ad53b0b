"""Pooled features of all windows of a clip, as a live stream of it gives them.

A clip runs through the sampler, the views and the memory of `ecolite-stream`, with a prediction
every `EVERY_S` seconds, once for each framing and variant. So teaching sees what live sees.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.datasets.collecting import SHORTEST_S
from ecolite_stream.datasets.segments import Marked
from ecolite_stream.engines import Engine
from ecolite_stream.errors import SourceError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.known import LEAST_FILL
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.recognition.view_state import ViewState
from ecolite_stream.sources import open_source
from ecolite_stream.types import FloatArray, Frame, Sample

EVERY_S = 0.2
"""Seconds between two windows."""
LONGEST_S = 60.0
"""Of a clip so many seconds are used, from its start."""
VARIANTS = ("plain", "mirrored")
"""What a clip is shown as; the first is what a live stream sees."""


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one clip in one variant.

    Attributes:
        pooled: (K, D) float32 pooled features, K >= 1, in the order of time.
        fill: (K,) float32, the share of the memory that had been seen, 0 to 1.
    """

    pooled: FloatArray = field(repr=False)
    fill: FloatArray = field(repr=False)

    @property
    def judged(self) -> FloatArray:
        """Windows of a full memory; all of them where none was full."""
        full_K = self.fill == 1
        return self.pooled[full_K] if full_K.any() else self.pooled

    @property
    def half_full(self) -> FloatArray:
        """Windows of a memory that was at least half full."""
        return self.pooled[self.fill >= LEAST_FILL]


ClipWindows = Mapping[str, Windows]
"""Variant -> its windows."""
Found = dict[str, ClipWindows] | SourceError
"""Framing -> windows of a part of a file, or why it has none."""
Wanted = Mapping[Path, Mapping[Marked, list[str]]]
"""File -> its parts -> framings."""
Take = Callable[[Path, Marked, Found], object]
"""Called with each part of a file, once."""


class FeatureMaker:
    """Makes the windows of clips.

    Args:
        engine: as `head_graph.opened_without_classifier` opens it.
        spec: the description of the bundle.
    """

    def __init__(self, engine: Engine, spec: ModelSpec) -> None:
        self._engine = engine
        self._spec = spec

    def all_windows(
        self,
        path: Path,
        wanted: Mapping[Marked, Sequence[str]],
        on_position: Callable[[float], object] = lambda time_s: None,
    ) -> Iterator[tuple[Marked, Found]]:
        """As `windows`; of a file that cannot be read, why, for each part that is left.

        Raises:
            EngineError: the engine failed.
        """
        left = set(wanted)
        try:
            for part, found in self.windows(path, wanted, on_position):
                left.discard(part)
                yield part, found
        except SourceError as error:
            yield from ((part, error) for part in wanted if part in left)

    def windows(
        self,
        path: Path,
        wanted: Mapping[Marked, Sequence[str]],
        on_position: Callable[[float], object] = lambda time_s: None,
    ) -> Iterator[tuple[Marked, Found]]:
        """Parts of a file, each as it ends: framing -> its windows, or why it has none.

        The file is decoded once.

        Args:
            path: the file.
            wanted: part -> framings. A part is seen as if it were cut out.
            on_position: called with the stream time of each frame, in seconds.

        Raises:
            SourceError: the file cannot be read.
            EngineError: the engine failed.
        """
        in_order = sorted(wanted, key=lambda part: part.start)
        queues = [deque(p for p in in_order if p.in_frames is unit) for unit in (False, True)]
        begun: list[_Part] = []
        newest_s = 0.0
        with open_source(str(path)) as source:
            for frame in source:
                newest_s = frame.time_s
                on_position(newest_s)
                if not (any(queues) or begun):
                    break
                for queue in queues:
                    while queue and queue[0].start <= queue[0].place_of(frame):
                        part = queue.popleft()
                        runs = {framing: self._run(framing) for framing in wanted[part]}
                        begun.append(_Part(part, runs))
                for one in [one for one in begun if one.is_over(frame)]:
                    begun.remove(one)
                    yield one.part, one.finish()
                frame = replace(frame, pixels=cache(lambda frame=frame: frame.image))
                for one in begun:
                    one.observe(frame)
        for one in begun:
            yield one.part, one.finish()
        for part in (part for queue in queues for part in queue):
            yield part, SourceError(f"the video ends before it, at {newest_s:.1f} s")

    def _run(self, framing: str) -> _Run:
        how = replace(self._spec.preprocessing, framing=framing)
        return _Run(self._engine, replace(self._spec, preprocessing=how))


@dataclass
class _Part:
    """A part of a file whose frames are coming, by framing."""

    part: Marked
    runs: Mapping[str, _Run]
    first_s: float | None = None
    newest_s: float = 0.0

    def is_over(self, frame: Frame) -> bool:
        too_long = self.first_s is not None and frame.time_s - self.first_s > LONGEST_S
        return too_long or self.part.place_of(frame) >= self.part.end

    def observe(self, frame: Frame) -> None:
        if self.first_s is None:
            self.first_s = frame.time_s
        self.newest_s = frame.time_s
        frame = replace(frame, time_s=frame.time_s - self.first_s)
        for run in self.runs.values():
            run.observe(frame)

    def finish(self) -> Found:
        length_s = self.newest_s - (self.first_s or 0.0)
        if self.part.end < math.inf and length_s < SHORTEST_S:
            return SourceError(
                f"it lasts {length_s:.1f} s; at least {SHORTEST_S:g} s are needed to show an action"
            )
        made = {framing: run.finish() for framing, run in self.runs.items()}
        if not all(made.values()):
            return SourceError("it holds no frame; record it again")
        return made


class _Run:
    """One framing of one clip, seen plain and mirrored.

    The square that is due is mirrored, not the picture: the network sees the same, for half of the
    work.
    """

    def __init__(self, engine: Engine, spec: ModelSpec) -> None:
        config = StreamConfig(every_s=EVERY_S, gate=False, smoothing=0.0, top=1)
        self._engine = engine
        self._sampler = StreamSampler(spec, config)
        self._states = [ViewState(spec, config) for _ in VARIANTS]
        self._logits = np.zeros(len(spec.labels), np.float32)  # which nobody reads
        self._pooled: list[FloatArray] = []
        self._fill: list[float] = []

    def observe(self, frame: Frame) -> None:
        for sample in self._sampler.sample(frame):
            self._take(sample)

    def finish(self) -> ClipWindows:
        """Variant -> windows; nothing where there was no frame."""
        for sample in self._sampler.finish():
            self._take(sample)
        if not self._pooled:
            return {}
        pooled_K2D, fill_K = np.stack(self._pooled), np.array(self._fill, np.float32)
        return {
            name: Windows(np.ascontiguousarray(pooled_K2D[:, side]), fill_K)
            for side, name in enumerate(VARIANTS)
        }

    def _take(self, sample: Sample) -> None:
        image = sample.image
        if image is None:  # which happens with a gate only
            return
        features = self._engine.encode(np.stack([image, image[:, :, ::-1]]))
        clips = [s.remember(sample, f) for s, f in zip(self._states, features, strict=True)]
        clips_BNCHW = [clip for clip in clips if clip is not None]
        if clips_BNCHW:
            self._pooled.append(self._engine.classify(np.stack(clips_BNCHW)))
            self._fill.append(self._states[0].conclude(self._logits).memory_fill)
