"""The views of one stream: where each looks, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ecolite_stream.config.views import Mask, ViewConfig, view_name
from ecolite_stream.types import Box, Frame
from ecolite_stream.views.follow import Follower
from ecolite_stream.views.motion import Mask as Pixels
from ecolite_stream.views.motion import Motion, MotionDetector
from ecolite_stream.views.subjects import SubjectTracker

TURNING_S = 1.0
"""Seconds of motion everywhere after which the camera moves; a light switch is shorter."""
STILL = 0.0003
"""Share of the pixels of a view that may move while it counts as still: a few specks of noise."""


@dataclass(frozen=True)
class Look:
    """Where one view looks in one frame.

    Attributes:
        view: its name; empty where the stream has one view.
        box: the box to cut out first; None for the whole picture.
        framing: how the square of the network is taken from the box: `center` or `whole`.
        still_s: seconds of stream time for which nothing has moved there.
        ended: the view has ended; the box is its last.
    """

    view: str
    box: Box | None
    framing: str
    still_s: float = 0.0
    ended: bool = False


class StreamViews:
    """Where all views of one stream look.

    Attributes:
        most_looks: places that are looked at in one frame, at most.

    Args:
        framing: of the bundle; without `views` it is the only view.
        views: names of plain views, regions and subjects.
        mask: where motion does not count.
        gate: whether it matters if anything moves, even where no view follows it.

    Attributes:
        follows: whether a view follows what moves; where none does, all views stay and keep their
            places.
        camera_moves: whether a view should follow and cannot, since everything has moved for
            `TURNING_S`.
    """

    def __init__(
        self,
        framing: str,
        views: Sequence[str | ViewConfig] = (),
        mask: Mask = (),
        gate: bool = True,
    ) -> None:
        self._configured: Sequence[str | ViewConfig] = views
        self._framing, self._gate = framing, gate
        self._made: dict[tuple[str | ViewConfig, bool], _View | _SubjectsView] = {}
        self._detector = MotionDetector()
        self._everywhere_since_s: float | None = None
        self._noticed_s = 0.0
        self.camera_moves = False
        self.change(views, mask)

    def change(self, views: Sequence[str | ViewConfig], mask: Mask) -> set[str]:
        """Look at other views from now on; those that stay go on as they are.

        Returns:
            Names of the views, subjects included, that are gone.
        """
        single, before, within = len(views) < 2, self._made, _within(self._framing)
        self._configured = views
        self._made = {
            (view, single): before.get((view, single)) or _make(view, single, within, self._framing)
            for view in views or [self._framing]
        }
        self._views = list(self._made.values())
        self.most_looks = sum(view.most for view in self._views)
        self.follows = any(view.follows for view in self._views)
        self._needs_motion = self._gate or self.follows
        self._mask = mask
        self._keep: Pixels | None = None
        return {name for view in before.values() if view not in self._views for name in view.names}

    def change_bundle(self, framing: str, gate: bool) -> None:
        """Use the framing of another bundle from now on; subjects keep their views."""
        self._framing, self._gate = framing, gate
        self._made = {
            key: view.framed(_within(framing))
            for key, view in self._made.items()
            if isinstance(view, _SubjectsView)
        }
        self.change(self._configured, self._mask)

    def look(self, frame: Frame) -> list[Look]:
        """What each view looks at now; frames come in order."""
        motion = self._unmasked(self._detector.look(frame)) if self._needs_motion else None
        self._notice_the_camera(motion, frame.time_s)
        return [look for view in self._views for look in view.look(motion, frame.time_s)]

    def _notice_the_camera(self, motion: Motion | None, time_s: float) -> None:
        step_s, self._noticed_s = time_s - self._noticed_s, time_s
        if motion is None or not self.follows or not motion.everywhere:
            self._everywhere_since_s = None
        elif self._everywhere_since_s is None or not 0 <= step_s < TURNING_S:  # or after a gap
            self._everywhere_since_s = time_s
        since_s = self._everywhere_since_s
        self.camera_moves = since_s is not None and time_s - since_s >= TURNING_S

    def _unmasked(self, motion: Motion) -> Motion:
        if not self._mask:
            return motion
        keep = self._keep
        if keep is None or keep.shape != motion.moving.shape:
            keep = self._keep = np.asarray(1 - draw_mask(self._mask, motion.moving.shape), np.uint8)
        return motion.each(lambda pixels: pixels * keep)


class _View:
    """One view with a place of its own: the picture, a region of it, or what moves there."""

    most = 1

    def __init__(self, name: str, framing: str, region: Box | None, follows: bool) -> None:
        self.follows = follows
        self._name = name
        self._framing = framing
        self._region = region
        self._follower = Follower() if follows else None
        self._moved_s: float | None = None

    @property
    def names(self) -> Sequence[str]:
        """Its own name."""
        return (self._name,)

    def look(self, motion: Motion | None, time_s: float) -> Iterator[Look]:
        """The view itself, as the only look."""
        if motion is None:
            yield Look(self._name, self._region, self._framing)
            return
        if self._region is not None:
            motion = crop_motion(motion, self._region)
        if self._moved_s is None or time_s < self._moved_s or moves(motion):
            self._moved_s = time_s
        box = self._region
        if self._follower is not None:
            box = within(self._region, self._follower.follow(motion))
        yield Look(self._name, box, self._framing, time_s - self._moved_s)


class _SubjectsView:
    """A view for each subject that moves, for as long as it is there."""

    follows = True

    def __init__(self, most: int, framing: str) -> None:
        self.most = most
        self._tracker = SubjectTracker(most)
        self._framing = framing
        self._boxes: dict[int, Box] = {}
        self._moved_s: dict[int, float] = {}

    @property
    def names(self) -> Sequence[str]:
        """Names of the subjects that are there."""
        return [_subject_name(number) for number in self._boxes]

    def framed(self, framing: str) -> _SubjectsView:
        """The same view with another framing."""
        self._framing = framing
        return self

    def look(self, motion: Motion | None, time_s: float) -> Iterator[Look]:
        """One look a subject, and a last one of each that has ended."""
        assert motion is not None  # `follows`
        subjects = self._tracker.track(motion)
        there = {subject.id for subject in subjects}
        for number in [number for number in self._boxes if number not in there]:
            self._moved_s.pop(number)
            yield self._look(number, self._boxes.pop(number), 0.0, ended=True)
        for subject in subjects:
            self._boxes[subject.id] = subject.box
            if subject.id not in self._moved_s or motion.within(subject.box) > STILL:
                self._moved_s[subject.id] = time_s
            yield self._look(subject.id, subject.box, time_s - self._moved_s[subject.id])

    def _look(self, number: int, box: Box, still_s: float, ended: bool = False) -> Look:
        return Look(_subject_name(number), box, self._framing, still_s, ended)


def _within(framing: str) -> str:
    """How a square is taken from a region, with a bundle of that framing."""
    return "whole" if framing == "whole" else "center"


def _subject_name(number: int) -> str:
    return f"subject {number}"


def moves(motion: Motion) -> bool:
    """Whether anything moves at a look, or everything does."""
    if motion.everywhere or motion.faint is not None:
        return True
    return cv2.countNonZero(motion.moving) > STILL * motion.moving.size


def crop_motion(motion: Motion, region: Box) -> Motion:
    """The motion inside of a region alone."""
    height, width = motion.moving.shape
    top, left = math.floor(region.y * height), math.floor(region.x * width)
    bottom = max(top + 1, math.ceil((region.y + region.height) * height))
    right = max(left + 1, math.ceil((region.x + region.width) * width))
    rows, columns = slice(top, bottom), slice(left, right)
    return motion.each(lambda pixels: pixels[rows, columns])


def within(region: Box | None, box: Box) -> Box:
    """A box in shares of a region, in shares of the picture."""
    if region is None:
        return box
    return Box(
        region.x + box.x * region.width,
        region.y + box.y * region.height,
        box.width * region.width,
        box.height * region.height,
    )


def draw_mask(mask: Mask, shape: tuple[int, ...]) -> Pixels:
    """(h, w) uint8, 1 where motion does not count."""
    height, width = shape
    drawn = np.zeros(shape, np.uint8)
    for values in mask:
        if len(values) == 4:
            x, y, box_width, box_height = values
            points = [
                (x, y),
                (x + box_width, y),
                (x + box_width, y + box_height),
                (x, y + box_height),
            ]
        else:
            points = list(zip(values[::2], values[1::2], strict=True))
        corners = np.array([(round(x * width), round(y * height)) for x, y in points], np.int32)
        cv2.fillPoly(drawn, [corners], 1)
    return drawn


def _make(
    view: str | ViewConfig, single: bool, framing: str, bundle_framing: str
) -> _View | _SubjectsView:
    name = view_name(view)
    if isinstance(view, str):
        own = view if view != "follow" else framing
        return _View("" if single else name, own, None, view == "follow")
    if view.region is not None:
        return _View(name, framing, Box(*view.box), bundle_framing == "follow")
    return _SubjectsView(view.subjects or 1, framing)
