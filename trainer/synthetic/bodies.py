"""Bodies of synthetic people: from joint angles to a skeleton, and on to flesh and clothes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from trainer.synthetic.poses import CHANNELS, FloatArray, Performance
from trainer.synthetic.scenes import Colour, Image, random_colour


@dataclass(frozen=True)
class Limbs:
    """Lengths of a body whose height is 1."""

    shank: float = 0.245
    thigh: float = 0.245
    hips: float = 0.05
    trunk: float = 0.29
    shoulders: float = 0.1
    upper_arm: float = 0.16
    forearm: float = 0.145
    hand: float = 0.045
    foot: float = 0.1
    neck: float = 0.12


_SOLE = 0.03
_SHOULDER_HEIGHT = 0.94  # along the trunk
_AIR_UNIT = 0.001


def skeleton(performance: Performance, limbs: Limbs) -> dict[str, FloatArray]:
    """Joints in body heights, (F, 3) each: right in the picture, up, away from us.

    The origin is the spot on the ground where the person stands; `head` is the head's middle.
    """
    angle = dict(zip(CHANNELS, np.deg2rad(performance.pose).T, strict=True))
    zero = np.zeros(len(performance.x))
    pitch, roll = angle["pitch"], angle["roll"]
    spine = np.stack([np.sin(roll), np.sin(pitch) * np.cos(roll), np.cos(pitch) * np.cos(roll)], 1)
    across = np.stack([np.cos(roll), zero, -np.sin(roll)], 1)
    joints = {"hips": np.zeros((len(zero), 3)), "chest": spine * limbs.trunk}
    gaze = 0.7 * pitch + angle["nod"]
    forward = np.stack([zero, np.cos(gaze), -np.sin(gaze)], 1)
    upward = np.stack([np.sin(roll), np.sin(gaze), np.cos(gaze)], 1)
    joints["head"] = joints["chest"] + limbs.neck * upward + 0.015 * forward
    joints["face"] = joints["head"] + 0.02 * forward - 0.01 * upward
    joints["crown"] = joints["head"] - 0.008 * forward + 0.022 * upward
    joints["nape"] = joints["head"] - 0.03 * forward - 0.03 * upward
    for side, sign in (("l", 1.0), ("r", -1.0)):
        joints |= _leg(angle, side, sign, limbs) | _arm(angle, side, sign, limbs, joints, across)
    return _placed(joints, performance)


def _toward(flex: FloatArray, out: FloatArray, sign: float) -> FloatArray:
    """Unit vectors (F, 3) of a limb that hangs down when both angles are 0."""
    inward = np.cos(out)
    return np.stack([sign * np.sin(out), inward * np.sin(flex), -inward * np.cos(flex)], 1)


def _leg(
    angle: Mapping[str, FloatArray], side: str, sign: float, limbs: Limbs
) -> dict[str, FloatArray]:
    hip, out, knee = (angle[f"{stem}_{side}"] for stem in ("hip", "out", "knee"))
    top = np.array([sign * limbs.hips, 0.0, 0.0]) + np.zeros((len(hip), 3))
    middle = top + limbs.thigh * _toward(hip, out, sign)
    ankle = middle + limbs.shank * _toward(hip - knee, out, sign)
    tip = 0.9 * (hip - knee)
    foot = np.stack([np.full(len(tip), 0.3 * sign), np.cos(tip), np.sin(tip)], 1)
    return {
        f"hip_{side}": top,
        f"knee_{side}": middle,
        f"ankle_{side}": ankle,
        f"toe_{side}": ankle + limbs.foot * foot,
    }


def _arm(
    angle: Mapping[str, FloatArray],
    side: str,
    sign: float,
    limbs: Limbs,
    joints: Mapping[str, FloatArray],
    across: FloatArray,
) -> dict[str, FloatArray]:
    arm, spread, elbow, fold = (angle[f"{s}_{side}"] for s in ("arm", "spread", "elbow", "fold"))
    shoulder = _SHOULDER_HEIGHT * joints["chest"] + sign * limbs.shoulders * across
    middle = shoulder + limbs.upper_arm * _toward(arm, spread, sign)
    forearm = _toward(arm + elbow, spread + fold, sign)
    wrist = middle + limbs.forearm * forearm
    return {
        f"shoulder_{side}": shoulder,
        f"elbow_{side}": middle,
        f"wrist_{side}": wrist,
        f"hand_{side}": wrist + limbs.hand * forearm,
    }


def _placed(joints: Mapping[str, FloatArray], performance: Performance) -> dict[str, FloatArray]:
    """Set a body on its lower foot, keep planted feet in place and turn it by its yaw."""
    air = performance.pose[:, CHANNELS.index("air")]
    feet = [joints[f"{name}_{side}"] for name in ("ankle", "toe") for side in "lr"]
    ground = np.min([foot[:, 2] for foot in feet], 0) - _SOLE - _AIR_UNIT * air
    middle = (feet[0] + feet[1])[:, :2] / 2 * performance.planted[:, None]
    sine, cosine = np.sin(performance.yaw), np.cos(performance.yaw)
    placed = {}
    for name, joint in joints.items():
        left, front = (joint[:, :2] - middle).T
        right, away = left * cosine + front * sine, left * sine - front * cosine
        placed[name] = np.stack([right, joint[:, 2] - ground, away], 1)
    return placed


@dataclass(frozen=True)
class Part:
    """A piece of a body or of its clothes: the hull of circles around joints.

    circles: (joint, radius in body heights).  bias: how much nearer to us than its joints it is.
    """

    circles: tuple[tuple[str, float], ...]
    colour: Colour
    bias: float = 0.0


@dataclass(frozen=True)
class Looks:
    """A person's build and clothes. girth: 1 is average.  Colours are BGR, 0 to 255."""

    limbs: Limbs
    girth: float
    skin: Colour
    hair: Colour
    top: Colour
    trousers: Colour
    shoes: Colour
    long_sleeves: bool
    long_trousers: bool
    long_hair: bool
    coat_length: float


def _stout(limbs: Limbs, rng: np.random.Generator) -> Limbs:
    return Limbs(**{name: length * rng.normal(1, 0.04) for name, length in vars(limbs).items()})


def random_looks(background: Image, rng: np.random.Generator) -> Looks:
    """A person whose clothes contrast with `background`, (H, W, 3) BGR."""
    tones = background[::8, ::8].reshape(-1, 3).mean(0)
    lightness = rng.uniform(0.35, 1.05)
    return Looks(
        limbs=_stout(Limbs(), rng),
        girth=rng.uniform(0.85, 1.25),
        skin=(150 * lightness, 180 * lightness, 225 * lightness),
        hair=random_colour(rng, (0.0, 0.5), (0.03, 0.5)),
        top=_contrasting(tones, rng),
        trousers=_contrasting(tones, rng),
        shoes=random_colour(rng, (0.0, 0.3), (0.05, 0.9)),
        long_sleeves=bool(rng.random() < 0.65),
        long_trousers=bool(rng.random() < 0.85),
        long_hair=bool(rng.random() < 0.35),
        coat_length=rng.uniform(0.0, 0.4),
    )


def _contrasting(tones: npt.NDArray[np.float64], rng: np.random.Generator) -> Colour:
    """A colour for clothes, often dark, at some distance from the mean BGR `tones`."""
    colour = (20.0, 20.0, 20.0)
    for _ in range(8):
        value = (0.05, 0.4) if rng.random() < 0.5 else (0.3, 1.0)
        colour = random_colour(rng, (0.0, 0.8), value)
        if np.abs(np.array(colour) - tones).mean() > 35:
            break
    return colour


def dress(looks: Looks) -> list[Part]:
    """All parts of a body, for a person of height 1."""
    g = looks.girth
    trunk = [("shoulder_l", 0.042 * g), ("shoulder_r", 0.042 * g)]
    trunk += [("hip_l", 0.06 * g), ("hip_r", 0.06 * g), ("chest", 0.06 * g)]
    parts = [
        Part(tuple(trunk), looks.top),
        Part((("hip_l", 0.058 * g), ("hip_r", 0.058 * g)), looks.trousers, -0.01),
        Part((("chest", 0.032 * g), ("head", 0.03 * g)), looks.skin, -0.06),
        Part((("head", 0.054), ("crown", 0.052)), looks.hair, -0.01),
        Part((("face", 0.046), ("head", 0.04)), looks.skin, 0.03),
    ]
    if looks.long_hair:
        parts.append(Part((("crown", 0.05), ("nape", 0.05)), looks.hair, -0.005))
    for side in "lr":
        parts += _clothed_leg(looks, side) + _clothed_arm(looks, side)
    return parts


def _clothed_leg(looks: Looks, side: str) -> list[Part]:
    g = looks.girth
    shank = looks.trousers if looks.long_trousers else looks.skin
    hip, knee, ankle, toe = (f"{joint}_{side}" for joint in ("hip", "knee", "ankle", "toe"))
    return [
        Part(((ankle, 0.026), (toe, 0.018)), looks.shoes, -0.09),
        Part(((knee, 0.04 * g), (ankle, 0.03 * g)), shank, -0.085),
        Part(((hip, 0.056 * g), (knee, 0.042 * g)), looks.trousers, -0.08),
    ]


def _clothed_arm(looks: Looks, side: str) -> list[Part]:
    g = looks.girth
    forearm = looks.top if looks.long_sleeves else looks.skin
    shoulder, elbow, wrist, hand = (f"{j}_{side}" for j in ("shoulder", "elbow", "wrist", "hand"))
    return [
        Part(((wrist, 0.019), (hand, 0.019)), looks.skin, 0.03),
        Part(((elbow, 0.028 * g), (wrist, 0.022 * g)), forearm, 0.025),
        Part(((shoulder, 0.036 * g), (elbow, 0.03 * g)), looks.top, 0.02),
    ]


_SHIFT = 3  # fractional bits of the coordinates given to OpenCV
_CIRCLE = np.stack([np.cos(np.arange(10) * np.pi / 5), np.sin(np.arange(10) * np.pi / 5)], 1)
_SHINE = 1.12
_SHADE = 0.9
_FAR_SHADE = 0.7  # loss of brightness for each body height further away
_SHADOW = 0.4
_MOMENTS = 4  # drawn and averaged for each frame time that the shutter is open


@dataclass(frozen=True)
class View:
    """A picture to be drawn into.

    background: (H, W, 3) BGR.  ground_y: row of the feet.  height_px: of the person, in pixels.
    tilt: radians that the camera looks down.  shutter: share of a frame's time that it is open.
    light: from the left (-1) to the right (1).
    """

    background: Image
    ground_y: float
    height_px: float
    tilt: float
    shutter: float
    light: float


class Person:
    """A person drawn in a view during a performance."""

    def __init__(self, performance: Performance, looks: Looks, view: View) -> None:
        joints = skeleton(performance, looks.limbs)
        self._view = view
        self._x = performance.x
        self._parts = dress(looks)
        centres = {name: self._seen(joint) for name, joint in joints.items()}
        depth = np.stack([_depth(part, joints) for part in self._parts], 1)
        self._order = np.argsort(-depth, axis=1)
        self._shade = 1 - _FAR_SHADE * np.clip(depth, 0.0, 0.3)
        self._shapes = [_outline(part, centres, view.height_px, 1.0) for part in self._parts]
        shift = np.array([view.light, -0.25]) * view.height_px
        self._shines = [_outline(p, centres, view.height_px, 0.6, shift) for p in self._parts]
        self._shadow = _soft_spot(round(0.2 * view.height_px), round(0.035 * view.height_px))

    def pictures(self) -> Iterator[Image]:
        """The pictures (H, W, 3) uint8 BGR, one after another."""
        for frame in range(len(self._x)):
            picture = self._draw(frame, 0.0)
            for count in range(2, 2 + round(self._view.shutter * _MOMENTS)):
                later = self._draw(frame, (count - 1) / _MOMENTS)
                picture = cv2.addWeighted(picture, 1 - 1 / count, later, 1 / count, 0)
            yield picture

    def _seen(self, joint: FloatArray) -> FloatArray:
        """From a joint in body heights (F, 3) to its place in the picture (F, 2)."""
        right, up, away = joint.T * self._view.height_px
        rise = up * np.cos(self._view.tilt) + away * np.sin(self._view.tilt)
        return np.stack([self._x + right, self._view.ground_y - rise], 1)

    def _draw(self, frame: int, later: float) -> Image:
        """The picture at `later` (0 to 1) of the way from a frame to the next."""
        canvas = self._view.background.copy()
        _darken(canvas, self._shadow, self._x[frame], self._view.ground_y)
        for index in self._order[frame]:
            shade = self._shade[frame, index]
            colour = self._parts[index].colour
            _fill(canvas, _between(self._shapes[index], frame, later), colour, _SHADE * shade)
            _fill(canvas, _between(self._shines[index], frame, later), colour, _SHINE * shade)
        return canvas


def _depth(part: Part, joints: Mapping[str, FloatArray]) -> FloatArray:
    """How far away a part is, in body heights: (F,)."""
    depth: FloatArray = np.mean([joints[name][:, 2] for name, _ in part.circles], 0) - part.bias
    return depth


def _outline(
    part: Part,
    centres: Mapping[str, FloatArray],
    height_px: float,
    thickness: float,
    shift: FloatArray | None = None,
) -> FloatArray:
    """Points (F, P, 2) in pixels whose convex hull is the part, thinner and shifted if wanted."""
    circles = []
    for joint, radius in part.circles:
        centre = centres[joint] if shift is None else centres[joint] + shift * radius
        circles.append(centre[:, None] + _CIRCLE * radius * height_px * thickness)
    return np.concatenate(circles, 1)


def _between(outlines: FloatArray, frame: int, later: float) -> FloatArray:
    if not later or frame + 1 == len(outlines):
        return outlines[frame]
    return outlines[frame] * (1 - later) + outlines[frame + 1] * later


def _fill(canvas: Image, points: FloatArray, colour: Colour, light: float) -> None:
    hull = cv2.convexHull(np.round(points * (1 << _SHIFT)).astype(np.int32))
    lit = (colour[0] * light, colour[1] * light, colour[2] * light)
    cv2.fillConvexPoly(canvas, hull, lit, cv2.LINE_AA, _SHIFT)


def _soft_spot(half_width: int, half_height: int) -> npt.NDArray[np.float32]:
    """The light that a soft elliptic shadow leaves, (2 h + 1, 2 w + 1, 1), 1 at its rim."""
    across = np.linspace(-1, 1, 2 * half_width + 1)
    down = np.linspace(-1, 1, 2 * half_height + 1)
    inside = np.clip(1 - across**2 - down[:, None] ** 2, 0, 1)
    return (1 - _SHADOW * inside[..., None]).astype(np.float32)


def _darken(canvas: Image, spot: npt.NDArray[np.float32], x: float, y: float) -> None:
    """Lay a shadow around a point, cut off at the borders."""
    height, width = canvas.shape[:2]
    top, left = round(y) - spot.shape[0] // 2, round(x) - spot.shape[1] // 2
    rows = slice(max(top, 0), min(top + spot.shape[0], height))
    columns = slice(max(left, 0), min(left + spot.shape[1], width))
    light = spot[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    canvas[rows, columns] = (canvas[rows, columns] * light).astype(np.uint8)
