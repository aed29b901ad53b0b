"""Select the due frames of a stream and make a sample for each view.

Runs in the reading thread. The other half, `view_state`, runs in the engine thread. They share only
the samples, so no lock is needed.
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
"""Stream time at which the first label is due at the latest, in seconds.

The first label is promised within 1 s; the rest is a margin for low frame rates.
"""
REFRESH_S = 5.0
"""Longest time between encodings of a still view, in seconds: light changes slowly."""
_RAREST_LOOK_S = 1.0
"""Longest time between two pictures in which motion can be detected, in seconds."""


class StreamSampler:
    """Samples one stream in all of its views.

    It resets when stream time goes back and, with `memory.on_gap: reset`, after `gap_s` without a
    frame.

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
        """Most samples of a view between two predictions."""
        return max(1, math.ceil(self._config.every_s / self._period_s - 1e-6))

    @property
    def samples_per_s(self) -> float:
        """Samples of a view per second."""
        return 1 / self._period_s

    @property
    def camera_moves(self) -> bool:
        """Whether a view should follow and cannot, since the whole picture moves."""
        return self._views.camera_moves

    @property
    def most_views(self) -> int:
        """Most views with a sample in one frame."""
        return self._views.most_looks

    def change_bundle(self, spec: ModelSpec, keeps_features: bool) -> None:
        """Make samples for another bundle from now on.

        Args:
            spec: the bundle's description; `check_fits` accepts it.
            keeps_features: whether views keep their features; if not, each encodes its next sample.
        """
        gate = self._config.gate and spec.idle_label is not None
        keeps_samplers = keeps_features and gate == self._gate
        self._spec, self._gate = spec, gate
        if keeps_samplers:
            return
        self._period_s = empty_memory(spec, self._config).sample_period_s
        self._views.change_bundle(spec.preprocessing.framing, gate)
        self._looks_at_all = self._views.follows or self._period_s > _RAREST_LOOK_S
        self._looks = ()
        before, self._samplers = self._samplers, {}
        for view, old in before.items():
            self._of(view).follow(old)

    def sample(self, frame: Frame) -> list[Sample]:
        """A sample for each view in which the frame is due; only then is its picture made."""
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
        """The looks of views that are due or end.

        Views that follow something look at each frame. Others only detect motion between samples.
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

    def change_views(self, config: StreamConfig, frame: Frame) -> list[Sample]:
        """Take views and mask of other settings; views that stay go on as they are.

        Args:
            config: settings of the stream that differ in views and mask alone.
            frame: the next one.

        Returns:
            The last samples of views that are gone, to be followed by those of the frame.
        """
        gone = self._views.change(config.views, config.mask)
        ended = [
            self._of(look.view).sample(frame, replace(look, ended=True))
            for look in self._looks
            if look.view in gone and not look.ended
        ]
        for view in gone:
            self._samplers.pop(view, None)
        self._looks_at_all = self._views.follows or self._period_s > _RAREST_LOOK_S
        self._looks = ()
        return ended

    def finish(self) -> list[Sample]:
        """At the end: a predicting sample of the last frame for each view without a prediction."""
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
    """Samples one view."""

    def __init__(self, spec: ModelSpec, config: StreamConfig, period_s: float, gate: bool) -> None:
        self._how = spec.preprocessing
        self._gate = gate
        self._every_s = config.every_s
        self._period_s = period_s
        self._predicts = self._predicted = False
        self.reset()
        self._reset_state = False  # a new state is empty

    def reset(self) -> None:
        """Restart with the next frame."""
        self._samples = Ticker(self._period_s)
        self._predictions = Ticker(self._every_s, min(self._every_s, FIRST_LABEL_S))
        self._reset_state = True
        self._encoded_s: float | None = None

    def follow(self, old: _ViewSampler) -> None:
        """Take the place of another sampler of the view."""
        self._predicted, self._reset_state = old._predicted, old._reset_state

    def is_due(self, time_s: float) -> bool:
        """Whether the frame at `time_s` is due; call it once per frame, in order."""
        due = self._samples.due(time_s)
        # A prediction uses the sample nearest to its due time, so no frame is encoded just for
        # it. With rare samples that would delay the first prediction.
        rare = self._period_s > FIRST_LABEL_S
        self._predicts = (due or rare) and self._predictions.due(time_s)
        self._predicted = self._predicted or self._predicts
        return due or self._predicts

    def sample(self, frame: Frame, look: Look) -> Sample:
        """A sample of the due frame, or of the end of the view."""
        if look.ended:
            return replace(self._make(frame, look, False, still=True), ends_view=True)
        return self._make(frame, look, self._predicts, self._is_still(frame, look))

    def finish(self, frame: Frame, look: Look) -> Sample | None:
        if self._predicted:
            return None
        return self._make(frame, look, predicts=True, still=False)

    def _is_still(self, frame: Frame, look: Look) -> bool:
        """Whether nothing has moved in the view since its last encoding."""
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
