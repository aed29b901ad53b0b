"""Which frames of a stream are due, and ready-made samples of them, one a view.

Runs in the thread that reads the stream. The engine's thread has the other half, `view_state`; the
two share nothing but the samples that pass from one to the other, so no lock is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import preprocess
from ecolite_stream.model.sampling import Ticker
from ecolite_stream.recognition.memory import empty_memory
from ecolite_stream.types import Frame, Sample
from ecolite_stream.views.squares import cut
from ecolite_stream.views.views import Look, StreamViews

FIRST_LABEL_S = 0.5
"""When a first label is due, in seconds, however rare the later ones.

A first label is promised within 1 s; half of it is left for frame rates that do not hit the tick.
"""
REFRESH_S = 5.0
"""A view in which nothing moves is encoded anew so often, in seconds: light changes slowly."""
_RAREST_LOOK_S = 1.0
"""Pictures further apart than that, in seconds, do not tell motion from what has changed."""


class StreamSampler:
    """Samples one stream in all of its views.

    It resets where stream time goes back, and, if the memory is reset across gaps, where no frame
    came for `gap_s`.

    Args:
        spec: the bundle's description.
        config: settings of the stream.
    """

    def __init__(self, spec: ModelSpec, config: StreamConfig) -> None:
        self._spec = spec
        self._config = config
        self._period_s = empty_memory(spec, config).sample_period_s
        framing = spec.preprocessing.framing
        self._gate = config.gate and spec.idle_label is not None
        self._views = StreamViews(framing, config.views, config.mask, self._gate)
        self._looks_at_all = self._views.follows or self._period_s > _RAREST_LOOK_S
        self._samplers: dict[str, _ViewSampler] = {}
        self._last: Frame | None = None
        self._looks: Sequence[Look] = ()

    @property
    def samples_per_prediction(self) -> int:
        """How many samples are due between two predictions of a view, at most."""
        return max(1, math.ceil(self._config.every_s / self._period_s - 1e-6))

    @property
    def samples_per_s(self) -> float:
        """How many samples of a view are due in a second."""
        return 1 / self._period_s

    @property
    def most_views(self) -> int:
        """How many views have samples in one frame, at most."""
        return self._views.most_looks

    def sample(self, frame: Frame) -> list[Sample]:
        """The frame as a sample of each view in which it is due; no picture is made otherwise."""
        if self._last is not None and self._breaks(frame.time_s - self._last.time_s):
            for sampler in self._samplers.values():
                sampler.reset()
        self._last = frame
        due = self._due_looks(frame)
        samples = [self._of(look.view).sample(frame, look) for look in due]
        for look in due:
            if look.ended:
                del self._samplers[look.view]
        return samples

    def _due_looks(self, frame: Frame) -> list[Look]:
        """Where the views look that are due, or that end.

        Views that follow something look at each frame. Others only need to know whether anything
        has moved from sample to sample.
        """
        if not self._looks or self._looks_at_all:
            self._looks = self._views.look(frame)
            return [look for look in self._looks if look.ended or self._is_due(look, frame)]
        due = [self._is_due(look, frame) for look in self._looks]
        if not any(due):
            return []
        self._looks = self._views.look(frame)
        return [look for look, is_due in zip(self._looks, due, strict=True) if is_due]

    def _is_due(self, look: Look, frame: Frame) -> bool:
        return self._of(look.view).is_due(frame.time_s)

    def finish(self) -> list[Sample]:
        """At the end of a stream too short for a prediction to become due: its last frame."""
        last = self._last
        if last is None:
            return []
        samples = [self._of(look.view).finish(last, look) for look in self._looks if not look.ended]
        return [sample for sample in samples if sample is not None]

    def _of(self, view: str) -> _ViewSampler:
        sampler = self._samplers.get(view)
        if sampler is None:
            sampler = _ViewSampler(self._spec, self._config, self._period_s, self._gate)
            self._samplers[view] = sampler
        return sampler

    def _breaks(self, step_s: float) -> bool:
        memory = self._config.memory
        return step_s < 0 or (memory.on_gap == "reset" and step_s > memory.gap_s)


class _ViewSampler:
    """When one view is due."""

    def __init__(self, spec: ModelSpec, config: StreamConfig, period_s: float, gate: bool) -> None:
        self._how = spec.preprocessing
        self._gate = gate
        self._every_s = config.every_s
        self._period_s = period_s
        self._predicts = self._predicted = False
        self.reset()
        self._reset_state = False  # a state that is new has nothing to forget

    def reset(self) -> None:
        """Begin anew with the next frame."""
        self._samples = Ticker(self._period_s)
        self._predictions = Ticker(self._every_s, min(self._every_s, FIRST_LABEL_S))
        self._reset_state = True
        self._encoded_s: float | None = None

    def is_due(self, time_s: float) -> bool:
        """Whether the frame at `time_s` is due; asked once a frame, in their order."""
        due = self._samples.due(time_s)
        # The sample nearest to the moment at which a prediction is due makes it, so that no frame
        # is encoded for a prediction alone. Samples that are rare would make the first one late.
        rare = self._period_s > FIRST_LABEL_S
        self._predicts = (due or rare) and self._predictions.due(time_s)
        self._predicted = self._predicted or self._predicts
        return due or self._predicts

    def sample(self, frame: Frame, look: Look) -> Sample:
        """The frame that is due, or with which the view ends."""
        if look.ended:
            return replace(self._make(frame, look, False, still=True), ends_view=True)
        return self._make(frame, look, self._predicts, self._is_still(frame, look))

    def finish(self, frame: Frame, look: Look) -> Sample | None:
        if self._predicted:
            return None
        return self._make(frame, look, predicts=True, still=False)

    def _is_still(self, frame: Frame, look: Look) -> bool:
        """Whether nothing has moved in the view since it was last encoded."""
        since_s = None if self._encoded_s is None else frame.time_s - self._encoded_s
        return self._gate and since_s is not None and since_s <= min(look.still_s, REFRESH_S)

    def _make(self, frame: Frame, look: Look, predicts: bool, still: bool) -> Sample:
        image = None
        if not still:
            self._encoded_s = frame.time_s
            picture = frame.image if look.box is None else cut(frame.image, look.box)
            image = preprocess(picture, replace(self._how, framing=look.framing))
        resets, self._reset_state = self._reset_state, False
        return Sample(
            frame.stream,
            frame.index,
            frame.time_s,
            frame.arrived_s,
            image,
            predicts,
            resets,
            view=look.view,
            box=look.box,
            still_s=look.still_s,
        )
