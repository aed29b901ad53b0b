"""One square for each of several subjects that move, each with an identity.

Active pixels are grouped into parts, over gaps that one body may have. A part goes to the subject
nearest to it. A part that no subject reaches begins a new one: at once, or, close beside a subject,
when it has not turned out to be a limb of it for `APART_S`.

- Standing still, hiding: a subject keeps its identity for `GONE_S` without motion. It is searched
  where it was and where its speed takes it, the farther the longer it is not seen.
- Passing: two who touch share a part, and each goes on with the speed it had. Who turns back while
  they touch is taken for the other. Who shares a part for longer than `TOGETHER_S` joins the older.
- Side by side: two who come in closer than a body's height are two after `APART_S`; two whose
  motion never parts are one.

The square of a subject moves as the one of `follow` does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from ecolite_stream.types import Box
from ecolite_stream.views.follow import (
    LEAST_ACTIVE,
    NARROW_TAILS,
    SMALLEST,
    TAILS,
    FollowingSquare,
    extent,
)
from ecolite_stream.views.motion import Mask, Motion

MOST = 16
"""Subjects of one stream, at most."""
GONE_S = 1.5
"""Seconds without motion after which a subject has ended."""
CONFIRM_LOOKS, DOUBT_S = 5, 0.3
"""Looks with motion that make a subject; seconds without that end what is not yet one."""
APART_S = 1.0
"""Seconds after which motion beside a subject is another one, and not a limb."""
TOGETHER_S = 2.0
"""Seconds that two may share a part before they are one; at most twice those they were apart."""
JOIN_WIDE, JOIN_TALL = 0.05, 0.14
"""Gaps that one subject's motion may have, in long sides of the picture: people are upright."""
LIMB_GAP = 1.0
"""Gap between the parts of one subject, in heights of its body: two arms, and a trunk at rest."""
REACH, REACH_PER_S = 0.3, 1.0
"""How far beside its body a subject is looked for, in heights of it; more while it is not seen."""
SPEED_S, SHRINK_S = 0.4, 0.8
"""Time constants of the speed, and of the size where it shrinks."""


@dataclass(frozen=True)
class Subject:
    """Somebody, or something, that moves.

    Attributes:
        id: 1, 2, 3, ... in the order they came; never used again in the stream.
        box: the square that follows it.
        age_s: seconds since it was first seen.
    """

    id: int
    box: Box
    age_s: float


@dataclass(frozen=True)
class _Bounds:
    """A rectangle in pixels of the masks."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    def moved(self, x: float) -> _Bounds:
        return _Bounds(self.x0 + x, self.y0, self.x1 + x, self.y1)

    def with_(self, other: _Bounds) -> _Bounds:
        return _Bounds(
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
        )

    def gap(self, other: _Bounds) -> float:
        """Pixels between two rectangles, 0 where they overlap."""
        x = max(self.x0 - other.x1, other.x0 - self.x1, 0.0)
        y = max(self.y0 - other.y1, other.y0 - self.y1, 0.0)
        return math.hypot(x, y)

    def apart(self, other: _Bounds) -> float:
        """Pixels between two centres."""
        x, y = self.x0 + self.x1 - other.x0 - other.x1, self.y0 + self.y1 - other.y0 - other.y1
        return math.hypot(x, y) / 2


@dataclass(frozen=True, eq=False)
class _Part:
    """Connected motion."""

    mask: Mask = field(repr=False)
    bounds: _Bounds
    pixels: int


class _Track:
    """What is known of one subject, or of motion that may become one."""

    def __init__(self, shape: tuple[int, ...], time_s: float, smallest: float) -> None:
        self.square = FollowingSquare(shape, time_s, smallest)
        self.id = 0
        self.looks = 0
        self.began_s = self.seen_s = time_s
        self.alone_s = time_s
        self.parent: _Track | None = None
        """Whose limb it may be."""
        self.speed = 0.0
        self.body = self.core = _Bounds(0, 0, 0, 0)
        """All of its motion, remembered; its own part at the last look, without limbs."""

    def expected(self, time_s: float) -> _Bounds:
        """Its body, had it kept its speed since it was seen."""
        return self.body.moved(self.speed * (time_s - self.seen_s))

    def distance(self, part: _Bounds, time_s: float) -> float:
        """Pixels to a part, from where it was or is expected; infinite if out of reach."""
        unseen_s = time_s - self.seen_s
        ahead = self.speed * unseen_s
        between = self.body.with_(self.body.moved(ahead))
        if between.gap(part) > (REACH + REACH_PER_S * unseen_s) * self.body.height:
            return math.inf
        return min(self.core.apart(part), self.core.moved(ahead).apart(part))

    def is_near(self, other: _Bounds) -> bool:
        """Whether motion may be a limb of its."""
        return self.core.gap(other) <= LIMB_GAP * max(self.body.height, other.height)

    def see(self, motion: Motion, mask: Mask, alone: bool) -> None:
        """Note its own pixels at a look; `alone` where they are nobody else's."""
        own = Motion(motion.time_s, motion.moving * mask, motion.active * mask)
        self.square.update(own)
        time_s, step_s = motion.time_s, motion.time_s - self.seen_s
        expected, ahead = self.expected(time_s), self.speed * step_s
        self.seen_s = time_s
        self.looks += 1
        if not alone:
            self.body, self.core = expected, self.core.moved(ahead)
            return
        self.alone_s = time_s
        if not own.active.any():
            return
        x0, x1, y0, y1 = extent(own.active, TAILS)
        if own.moving.any():
            x0, x1, *_ = extent(own.moving, NARROW_TAILS / 2)
        if self.looks == 1:
            self.body = _Bounds(x0, y0, x1, y1)
            return
        self._measured(_Bounds(x0, y0, x1, y1), step_s)

    def _measured(self, seen: _Bounds, step_s: float) -> None:
        """Follow the place at once, the speed smoothed, and shrink slowly."""
        old = self.body
        speed = (seen.x0 + seen.x1 - old.x0 - old.x1) / 2 / max(step_s, 1e-3)
        self.speed += (1 - math.exp(-step_s / SPEED_S)) * (speed - self.speed)
        slow = 1 - math.exp(-step_s / SHRINK_S)
        wide = seen.x1 - seen.x0, old.x1 - old.x0
        width = wide[0] if wide[0] > wide[1] else wide[1] + slow * (wide[0] - wide[1])
        y0 = min(seen.y0, old.y0 + slow * (seen.y0 - old.y0))
        y1 = max(seen.y1, old.y1 + slow * (seen.y1 - old.y1))
        x = (seen.x0 + seen.x1) / 2
        self.body = _Bounds(x - width / 2, y0, x + width / 2, y1)


class SubjectTracker:
    """Follows the subjects of one stream.

    Memory is bounded: by `most` subjects, and as many that are not confirmed yet.

    Args:
        most: subjects at a time, 1 to `MOST`; those who are there stay, larger ones come first.
        smallest: smallest side of a square, in short sides of the picture.

    Raises:
        ValueError: `most` is out of range.
    """

    def __init__(self, most: int, smallest: float = SMALLEST) -> None:
        if not 1 <= most <= MOST:
            raise ValueError(f"subjects: expected 1 to {MOST}, got {most}")
        self._most, self._smallest = most, smallest
        self._tracks: list[_Track] = []
        self._last_id = 0
        self._shape: tuple[int, ...] = ()
        self._time_s = -math.inf
        self.ended: tuple[int, ...] = ()
        """Ids of the subjects that ended at the last look."""

    def track(self, motion: Motion) -> list[Subject]:
        """The subjects at a look, oldest first; looks come in order.

        While the camera turns nobody new is found, and squares stay where they are.
        """
        if not motion.looked:
            self.ended = ()
            return self._present()
        before = {track.id for track in self._tracks if track.id}
        if motion.active.shape != self._shape or motion.time_s < self._time_s:
            self._tracks = []
        self._shape, self._time_s = motion.active.shape, motion.time_s
        self._end(motion.time_s)  # after a gap in the stream, before anybody is taken for them
        if not motion.everywhere:
            self._update(motion)
        self._end(motion.time_s)
        self._confirm()
        self.ended = tuple(sorted(before - {track.id for track in self._tracks}))
        return self._present()

    def _present(self) -> list[Subject]:
        return [
            Subject(track.id, track.square.box(), self._time_s - track.began_s)
            for track in sorted(self._tracks, key=lambda track: track.id)
            if track.id
        ]

    def _update(self, motion: Motion) -> None:
        parts = _parts(motion.active)
        owners = self._assign(parts, motion.time_s)
        for track in self._tracks:
            own = [part for part, its in zip(parts, owners, strict=True) if track in its]
            if not own:
                continue
            shared = any(track in its and len(its) > 1 for its in owners)
            if shared:
                body = _box_mask(self._shape, track.expected(motion.time_s))
                track.see(motion, _union(own) * body, alone=False)
            else:
                limbs = [
                    part
                    for part, its in zip(parts, owners, strict=True)
                    if any(other.parent is track for other in its)
                ]
                track.core = own[0].bounds
                track.see(motion, _union(own + limbs), alone=True)
        self._begin(motion, [p for p, its in zip(parts, owners, strict=True) if not its])
        for track in self._tracks:
            late = motion.time_s - track.began_s >= APART_S
            if track.parent and (late or not track.parent.is_near(track.core)):
                track.parent = None

    def _assign(self, parts: Sequence[_Part], time_s: float) -> list[list[_Track]]:
        """The tracks to which each part belongs: of best pairs first, then to those who met."""
        owners: list[list[_Track]] = [[] for _ in parts]
        pairs = []
        for track in self._tracks:
            for number, part in enumerate(parts):
                distance = track.distance(part.bounds, time_s)
                if math.isfinite(distance):
                    # Those who are confirmed choose first.
                    pairs.append((not track.id, distance, track.began_s, number, track))
        chosen: set[int] = set()
        for *_, number, track in sorted(pairs, key=lambda pair: pair[:4]):
            if not owners[number] and id(track) not in chosen:
                owners[number].append(track)
                chosen.add(id(track))
        for track in self._tracks:
            if track.id and id(track) not in chosen:
                middle = _middle(track.expected(time_s))
                for number, part in enumerate(parts):
                    if owners[number] and part.bounds.gap(middle) == 0:
                        owners[number].append(track)
        return owners

    def _begin(self, motion: Motion, parts: list[_Part]) -> None:
        """New tracks, of the largest parts that are nobody's."""
        doubtful = sum(not track.id for track in self._tracks)
        least = LEAST_ACTIVE * motion.active.size
        for part in sorted(parts, key=lambda part: -part.pixels):
            if part.pixels <= least or doubtful == self._most:
                return
            track = _Track(self._shape, motion.time_s, self._smallest)
            track.core = part.bounds
            track.see(motion, part.mask, alone=True)
            near = [other for other in self._tracks if other.is_near(part.bounds)]
            track.parent = min(near, key=lambda other: other.body.gap(part.bounds), default=None)
            self._tracks.append(track)
            doubtful += 1

    def _end(self, time_s: float) -> None:
        def stays(track: _Track) -> bool:
            if time_s - track.seen_s > (GONE_S if track.id else DOUBT_S):
                return False
            together_s = time_s - track.alone_s
            limit_s = min(TOGETHER_S, 2 * (track.alone_s - track.began_s))
            return together_s <= limit_s or self._oldest_here(track)

        self._tracks = [track for track in self._tracks if stays(track)]
        for track in self._tracks:
            if track.parent not in self._tracks:
                track.parent = None

    def _oldest_here(self, track: _Track) -> bool:
        """Whether nobody older is where a track is: of those who become one the oldest stays."""
        return not any(
            other.id and other.id < track.id and other.body.gap(track.body) == 0
            for other in self._tracks
        )

    def _confirm(self) -> None:
        present = sum(bool(track.id) for track in self._tracks)
        for track in self._tracks:
            is_new = not track.id and not track.parent and track.looks >= CONFIRM_LOOKS
            if is_new and present < self._most:
                self._last_id += 1
                track.id = self._last_id
                present += 1


def _parts(active: Mask) -> list[_Part]:
    """Groups of active pixels, over the gaps that one subject may have."""
    if not cv2.countNonZero(active):
        return []
    long = max(active.shape)
    size = 2 * round(JOIN_WIDE * long / 2) + 1, 2 * round(JOIN_TALL * long / 2) + 1
    count, labels = cv2.connectedComponents(cv2.dilate(active, np.ones(size[::-1], np.uint8)))
    parts = []
    for label in range(1, count):
        mask = (labels == label).astype(np.uint8)
        own = mask * active
        x, y, width, height = cv2.boundingRect(own)
        bounds = _Bounds(x, y, x + width, y + height)
        parts.append(_Part(mask, bounds, cv2.countNonZero(own)))
    return parts


def _union(parts: Sequence[_Part]) -> Mask:
    mask = parts[0].mask
    for part in parts[1:]:
        mask = mask | part.mask
    return mask


def _middle(bounds: _Bounds) -> _Bounds:
    x, y = (bounds.x0 + bounds.x1) / 2, (bounds.y0 + bounds.y1) / 2
    return _Bounds(x, y, x, y)


def _box_mask(shape: tuple[int, ...], bounds: _Bounds) -> Mask:
    mask = np.zeros(shape, np.uint8)
    mask[
        max(0, math.floor(bounds.y0)) : max(0, math.ceil(bounds.y1)),
        max(0, math.floor(bounds.x0)) : max(0, math.ceil(bounds.x1)),
    ] = 1
    return mask
