"""How a human body moves: key poses of the ten Weizmann actions and of idling, as numbers.

An action is a `Motion`: for each joint a few key angles spread evenly over one cycle, read off the
real clips frame by frame, with the cycle times and speeds measured there. `perform` strings
motions together on a stage and gives, for each frame, all joint angles, where the person is and
which way the body faces; `skeleton` turns the angles into points in space. Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

ACTIONS: tuple[str, ...] = (
    "bend",
    "jack",
    "jump",
    "pjump",
    "run",
    "side",
    "skip",
    "walk",
    "wave1",
    "wave2",
    "idle",
)
"""The eleven labels, in the order a network's outputs have them."""

_PAIRED = ("hip", "out", "knee", "arm", "spread", "elbow", "fold")
CHANNELS: tuple[str, ...] = (
    "pitch",
    "roll",
    "nod",
    "air",
    *(f"{stem}_{side}" for stem in _PAIRED for side in "lr"),
)
"""Channels of a pose, in degrees except `air`.

pitch, roll: the trunk leans forward, towards the person's left.  nod: the head, beyond the trunk.
hip, out: the thigh swings forward, outward.  knee: how far the shank folds back.
arm, spread: the upper arm swings forward, outward, measured from hanging straight down.
elbow, fold: the forearm folds further forward, further outward (over the head when it is raised).
air: how far the lower foot is above the ground, in thousandths of the body's height.
"""

_COLUMN = {name: column for column, name in enumerate(CHANNELS)}
_SWAPPED = [
    _COLUMN[name[:-1] + {"l": "r", "r": "l"}[name[-1]]] if name[-2] == "_" else column
    for column, name in enumerate(CHANNELS)
]
_HABIT_SD = np.array([{"arm": 5.0, "elbow": 8.0}.get(n.split("_")[0], 2.5) for n in CHANNELS])
_REAL_FPS = 25.0
_TURN_S = 0.4
_TRANSITION_S = 0.4

Keys = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Motion:
    """One action.

    keys: channel -> angles at equally spaced moments of the cycle (one value: held still).
    cycle_frames: shortest and longest cycle, in frames of 1/25 s.
    speed: slowest and fastest travel, body heights a second.
    side_view: the body faces along the picture, not the camera.
    gallops: left leg leads when moving right (the person faces us), right leg when moving left.
    once: the cycle starts with the action and is stretched to fill the time, if that is enough.
    unrest: slow random wandering of every angle, degrees.
    """

    keys: Keys
    cycle_frames: tuple[float, float] = (25.0, 25.0)
    speed: tuple[float, float] = (0.0, 0.0)
    side_view: bool = False
    gallops: bool = False
    once: bool = False
    unrest: float = 1.0


def _alike(keys: Keys) -> dict[str, tuple[float, ...]]:
    """Both sides of the body do the same at the same time."""
    return {f"{stem}_{side}": values for stem, values in keys.items() for side in "lr"}


def _alternating(keys: Keys) -> dict[str, tuple[float, ...]]:
    """The right side does what the left side does, half a cycle later."""
    right = {f"{s}_r": v[len(v) // 2 :] + v[: len(v) // 2] for s, v in keys.items()}
    return {f"{s}_l": v for s, v in keys.items()} | right


_STAND = {"pitch": (2.0,)} | _alike({"out": (2.5,), "spread": (7.0,), "elbow": (8.0,)})

_WALK = _alternating(
    {
        "hip": (23, 15, 3, -11, -21, -10, 16, 26),
        "knee": (4, 14, 8, 6, 20, 50, 48, 14),
        "arm": (-22, -18, -4, 10, 20, 17, 4, -12),
        "elbow": (10, 12, 16, 22, 28, 26, 20, 12),
    }
)
_RUN = _alternating(
    {
        "hip": (24, 13, -6, -22, -18, 6, 31, 34),
        "knee": (16, 34, 28, 14, 52, 86, 76, 34),
        "arm": (-45, -36, -16, 4, 14, 8, -12, -34),
        "elbow": (86, 90, 96, 102, 104, 102, 96, 90),
    }
)
# The left leg hops; the right one stays bent and swings.
_SKIP = {
    "hip_l": (11, 16, 11, -6, -20, -12, 2, 10),
    "knee_l": (10, 34, 46, 30, 7, 28, 24, 9),
    "hip_r": (-4, 0, 12, 28, 35, 24, 8, -2),
    "knee_r": (74, 84, 82, 76, 72, 76, 80, 76),
    "arm_l": (-34, -38, -28, -6, 12, 6, -12, -26),
    "arm_r": (-14, -8, -12, -24, -38, -34, -24, -18),
    "elbow_l": (95,),
    "elbow_r": (95,),
    "air": (0, 0, 0, 0, 12, 78, 90, 40),
    "pitch": (9, 13, 14, 11, 7, 5, 6, 7),
}
_JUMP = {"pitch": (8, 14, 18, 9, 3, 3, 5, 7), "air": (0, 0, 0, 0, 16, 82, 100, 55)} | _alike(
    {
        "hip": (14, 32, 37, 8, -16, -11, 5, 15),
        "knee": (12, 48, 60, 18, 6, 34, 36, 14),
        "arm": (-4, -14, -18, -4, 8, 4, 0, -2),
        "elbow": (14, 18, 22, 16, 12, 14, 16, 14),
    }
)
_PJUMP = {"pitch": (4, 9, 11, 4, 0, 0, 0, 2), "air": (0, 0, 0, 0, 30, 92, 100, 52)} | _alike(
    {
        "hip": (10, 36, 42, 14, -2, -4, -2, 4),
        "knee": (18, 66, 76, 26, 3, 8, 8, 8),
        "spread": (9, 12, 12, 8, 7, 9, 11, 10),
        "elbow": (12, 18, 20, 14, 8, 8, 8, 10),
        "out": (2,),
    }
)
_JACK = {"air": (0, 24, 58, 34, 0, 24, 58, 34)} | _alike(
    {
        "spread": (8, 34, 84, 132, 158, 134, 86, 36),
        "fold": (2, 4, 6, 14, 22, 14, 6, 4),
        "out": (2, 2, 7, 19, 23, 18, 7, 2),
        "hip": (12, 5, 0, 2, 8, 4, 0, 4),
        "knee": (24, 10, 2, 4, 14, 6, 2, 8),
    }
)
# The left leg leads: it reaches out, then the right one is drawn after it in a low flight.
_SIDE = {"air": (0, 0, 14, 54, 58, 18, 0, 0), "roll": (0, 2, 2, 0, 0, -2, -2, -1)} | {
    "out_l": (25, 12, 2, 0, 2, 12, 24, 29),
    "out_r": (25, 33, 22, 4, 0, 0, 5, 15),
    "knee_l": (10, 14, 8, 4, 6, 8, 6, 5),
    "knee_r": (10, 6, 8, 6, 6, 14, 18, 14),
    "spread_l": (8, 6, 6, 8, 10, 10, 9, 8),
    "spread_r": (8, 6, 6, 8, 10, 10, 9, 8),
    "elbow_l": (10,),
    "elbow_r": (10,),
}
_WAVE = {
    "spread": (80, 92, 112, 128, 134, 127, 110, 91),
    "fold": (2, 6, 22, 44, 54, 44, 22, 6),
}
_BEND = {
    "pitch": (0, 2, 12, 38, 68, 88, 94, 92, 76, 46, 16, 3),
    "nod": (0, 4, 8, 10, 8, 4, 2, 2, 0, 0, 0, 0),
} | _alike(
    {
        "hip": (0, 0, 2, 6, 12, 18, 20, 19, 13, 7, 3, 0),
        "knee": (2, 2, 4, 10, 20, 28, 32, 30, 22, 12, 5, 2),
        "arm": (0, 2, 10, 20, 26, 22, 16, 16, 22, 18, 8, 0),
        "elbow": (10, 14, 20, 24, 18, 10, 8, 8, 12, 16, 14, 10),
        "out": (3,),
    }
)

MOTIONS: Mapping[str, Motion] = {
    "bend": Motion(_STAND | _BEND, (50, 75), side_view=True, once=True),
    "jack": Motion(_STAND | _JACK, (24, 30)),
    "jump": Motion(_STAND | _JUMP, (11, 15), (0.8, 1.15), side_view=True),
    "pjump": Motion(_STAND | _PJUMP, (14, 19)),
    "run": Motion(
        _STAND | _RUN | {"pitch": (8,), "air": (0, 0, 0, 42, 0, 0, 0, 42)},
        (18, 23),
        (0.85, 1.6),
        side_view=True,
    ),
    "side": Motion(_STAND | _SIDE, (14, 18), (0.82, 1.15), gallops=True),
    "skip": Motion(_STAND | _SKIP, (11, 14), (0.7, 1.35), side_view=True),
    "walk": Motion(_STAND | _WALK | {"pitch": (3,)}, (25, 29), (0.65, 0.9), side_view=True),
    "wave1": Motion(_STAND | {f"{stem}_r": v for stem, v in _WAVE.items()}, (25, 32)),
    "wave2": Motion(_STAND | _alike(_WAVE), (25, 32)),
    "idle": Motion(_STAND, unrest=2.0),
}

_ODD_POSES: tuple[Keys, ...] = (
    _alike({"spread": (88,)}),
    _alike({"spread": (150,), "fold": (15,)}),
    _alike({"spread": (120,), "fold": (70,)}),
    _alike({"spread": (42,), "fold": (-85,)}),
    _alike({"arm": (25,), "elbow": (95,), "fold": (-40,)}),
    _alike({"arm": (85,), "elbow": (5,)}),
    {"spread_r": (130,), "fold_r": (30,)},
    {"spread_r": (90,)},
    {"arm_r": (30,), "elbow_r": (125,), "nod": (10,)},
    {"roll": (14,), "spread_l": (50,), "out_l": (-10,), "out_r": (14,)},
    {"pitch": (30,)} | _alike({"arm": (35,), "elbow": (30,), "hip": (25,), "knee": (45,)}),
    _alike({"out": (20,), "spread": (25,)}),
    _alike({"hip": (88,), "knee": (88,), "arm": (45,), "elbow": (40,), "out": (8,)}),
    _alike({"hip": (95,), "knee": (110,), "arm": (60,), "elbow": (20,), "out": (12,)}),
)


def odd_pose(rng: np.random.Generator) -> Motion:
    """An `idle` person holding a pose that a single picture could mistake for an action."""
    keys = _ODD_POSES[rng.integers(len(_ODD_POSES))]
    return Motion({**_STAND, **keys}, side_view=bool(rng.random() < 0.4), unrest=1.5 * rng.random())


def standing(rng: np.random.Generator) -> Motion:
    """An `idle` person just standing: facing us or sideways, restless or nearly frozen."""
    unrest = float(rng.choice((0.15, 1.0, 2.0, 3.5)))
    return replace(MOTIONS["idle"], side_view=bool(rng.random() < 0.4), unrest=unrest)


def fidgeting(rng: np.random.Generator) -> Motion:
    """A fidgeting `idle` person, often sideways."""
    unrest = rng.uniform(2.0, 5.0)
    return replace(MOTIONS["idle"], side_view=bool(rng.random() < 0.6), unrest=unrest)


@dataclass(frozen=True)
class Stage:
    """Where a performance happens: frames a second, the borders in pixels, a person's height."""

    fps: float
    left: float
    right: float
    height_px: float


@dataclass(frozen=True)
class Performance:
    """Motion of a person, for each of F frames.

    pose: (F, len(CHANNELS)) degrees.  yaw: (F,) radians, 0 faces us, positive faces right.
    x: (F,) pixels.  planted: (F,) 0 to 1, how far the feet rather than the hips stay in place.
    """

    pose: FloatArray
    yaw: FloatArray
    x: FloatArray
    planted: FloatArray


def perform(
    parts: Sequence[tuple[Motion, int]], stage: Stage, rng: np.random.Generator
) -> Performance:
    """One person does `parts` (motion, number of frames) one after another without a break."""
    num_frames = sum(frames for _, frames in parts)
    pose = np.zeros((num_frames, len(CHANNELS)))
    speed, side_view, gallops = np.zeros((3, num_frames))
    start = 0
    for (motion, frames), weight in zip(parts, _weights(parts, stage.fps), strict=True):
        time_s = (np.arange(num_frames) - start) / stage.fps
        vigour = rng.random()  # fast people take long strides
        pose += weight[:, None] * _angles(motion, time_s, frames / stage.fps, vigour, rng)
        slowest, fastest = motion.speed
        speed += weight * (slowest + vigour * (fastest - slowest)) * stage.height_px
        side_view += weight * motion.side_view
        gallops += weight * motion.gallops
        start += frames
    x, facing = _wander(speed, stage, rng)
    mirrored = (gallops * (1 - facing) / 2)[:, None]
    pose += mirrored * (pose[:, _SWAPPED] - pose)
    yaw = np.pi / 2 * side_view * facing + np.deg2rad(rng.normal(0.0, 8.0))
    planted = 1 - np.clip(speed / (0.4 * stage.height_px), 0, 1)
    return Performance(pose, yaw, x, planted)


def _weights(parts: Sequence[tuple[Motion, int]], fps: float) -> list[FloatArray]:
    """How much each part shapes each frame: (F,) each, 1 inside, smoothly crossing at the seams."""
    lengths = [frames for _, frames in parts]
    half = max(0.5, min(_TRANSITION_S * fps, *lengths) / 2)
    frame = np.arange(sum(lengths))
    seams = np.cumsum(lengths)[:-1]
    begun = [np.ones(len(frame)), *(_smooth((frame - s + half) / (2 * half)) for s in seams)]
    return [a - b for a, b in zip(begun, [*begun[1:], np.zeros(len(frame))], strict=True)]


def _smooth(u: FloatArray) -> FloatArray:
    u = np.clip(u, 0.0, 1.0)
    return u * u * (3 - 2 * u)


def _angles(
    motion: Motion, time_s: FloatArray, duration_s: float, vigour: float, rng: np.random.Generator
) -> FloatArray:
    """(F, len(CHANNELS)) degrees, in one person's own manner of doing it."""
    cycle_s = rng.uniform(*motion.cycle_frames) / _REAL_FPS
    phase = rng.random()
    if motion.once and duration_s < 0.8 * cycle_s:
        phase *= 1 - duration_s / cycle_s  # too short for all of it: some part of it
    elif motion.once:
        cycle_s = duration_s / max(1, round(duration_s / cycle_s - 0.25))  # rather slow than fast
        phase = rng.uniform(-0.04, 0.04)
    u = time_s / cycle_s + phase
    pose = np.zeros((len(time_s), len(CHANNELS)))
    for name, values in motion.keys.items():
        pose[:, _COLUMN[name]] = _interpolate(values, u)
    middle = pose.mean(0)
    pose = middle + (pose - middle) * (0.85 + 0.3 * vigour) * rng.normal(1, 0.06, len(CHANNELS))
    pose += rng.normal(0.0, _HABIT_SD) + motion.unrest * _restlessness(time_s, rng)
    pose[:, _COLUMN["air"]] = np.maximum(_interpolate(motion.keys.get("air", (0,)), u), 0)
    pose[:, _COLUMN["air"]] *= rng.uniform(0.7, 1.25)
    for joint in ("knee_l", "knee_r", "elbow_l", "elbow_r"):
        pose[:, _COLUMN[joint]] = np.maximum(pose[:, _COLUMN[joint]], 0.0)
    return pose[:, _SWAPPED] if rng.random() < 0.5 and not motion.gallops else pose


def _interpolate(values: Sequence[float], u: FloatArray) -> FloatArray:
    """Periodic Catmull-Rom curve through values spread evenly over u = 0 to 1."""
    keys = np.asarray(values, np.float64)
    position = u * len(keys)
    index = np.floor(position).astype(int)
    f = position - index
    a, b, c, d = (keys[(index + k) % len(keys)] for k in (-1, 0, 1, 2))
    return b + 0.5 * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a)))


def _restlessness(time_s: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Slow wandering of each channel, about 1 in size: (F, len(CHANNELS))."""
    rate_hz, phase = rng.uniform(0.1, 0.6, (2, 1, len(CHANNELS))), rng.random((2, 1, len(CHANNELS)))
    return np.sin(2 * np.pi * (rate_hz * time_s[:, None] + phase)).sum(0) / np.sqrt(2)


def _wander(
    speed: FloatArray, stage: Stage, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Across the stage at `speed` (F,) pixels a second, turning round at its borders.

    Gives x (F,) in pixels and facing (F,): 1 rightward, -1 leftward, between them while turning.
    """
    x_now, heading = _entrance(speed, stage, rng)
    facing_now = heading
    turn, room = 2 / (_TURN_S * stage.fps), stage.right - stage.left
    x, facing = np.empty((2, len(speed)))
    was_moving = speed[0] > 0
    for i, speed_now in enumerate(speed):
        x[i], facing[i] = x_now, facing_now
        ahead = stage.right - x_now if heading > 0 else x_now - stage.left
        sets_off = speed_now > 0 and not was_moving
        wanted = room / 2 if sets_off else speed_now * _TURN_S / 4
        if speed_now > 0 and ahead < wanted:
            heading = -heading
        was_moving = speed_now > 0
        facing_now += np.clip(heading - facing_now, -turn, turn)
        x_now += facing_now * speed_now / stage.fps
    return x, facing


def _entrance(speed: FloatArray, stage: Stage, rng: np.random.Generator) -> tuple[float, float]:
    """Where to start and which way: so that the way fits in, or from a border if it cannot."""
    heading = float(rng.choice((-1.0, 1.0)))
    way, room = float(speed.sum()) / stage.fps, stage.right - stage.left
    if speed[0] == 0:
        reach = min(0.4 * stage.height_px, 0.45 * room)
        return rng.uniform(stage.left + reach, stage.right - reach), heading
    start = max(0.1 * room, room - way) * rng.random()
    return (stage.left + start if heading > 0 else stage.right - start), heading
