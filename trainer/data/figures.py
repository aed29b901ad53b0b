"""Drawn people doing the ten Weizmann actions, and idling: clips that need no download.

`draw_clip` draws one action, `draw_sequence` one person doing several after another, with a track
of who did what when. All chance comes from the generator given, so a seed is a clip. `poses` knows
how a body moves, `bodies` what it looks like and `scenes` where it stands; here are the camera, the
files and the command line:

    python -m trainer.data.figures clips --out DIR --clips-per-class 20 --seed 0
    python -m trainer.data.figures sequence --out FILE.mp4 --part walk:4 --part wave2:4
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, repeat
from pathlib import Path

import av
import click
import cv2
import numpy as np
import numpy.typing as npt

from ecolite_stream.commands import run
from ecolite_stream.errors import ConfigError
from trainer.data.bodies import Looks, Person, View, random_looks
from trainer.data.poses import ACTIONS, MOTIONS, Motion, Stage, odd_pose, perform, standing
from trainer.data.scenes import Image, paint_scene

__all__ = ["ACTIONS", "draw_clip", "draw_sequence", "write_video"]

Track = list[tuple[float, float, str]]

_OVERSAMPLING = 2
_REACH = 1.22  # how high raised hands are, in body heights
_GRAIN_MARGIN = 16
_CLIP_FRAMES = (36, 90)
_ENCODERS = {
    ".avi": ("mpeg4", {"qmin": "2", "qmax": "3", "flags": "+bitexact"}),
    # x264's macroblock tree is not quite deterministic at 180x144, seen with PyAV 18.
    ".mp4": ("libx264", {"crf": "16", "flags": "+bitexact", "x264-params": "mbtree=0"}),
}


@dataclass(frozen=True)
class Camera:
    """What a camera adds. gain, flicker: of the light.  blur, noise: sigma in pixels and levels."""

    gain: float
    flicker: float
    blur: float
    noise: float


@dataclass(frozen=True)
class Set:
    """Who is filmed and where; the view is `_OVERSAMPLING` times as large as the film."""

    view: View
    stage: Stage
    looks: Looks
    camera: Camera


def draw_clip(
    action: str,
    num_frames: int,
    rng: np.random.Generator,
    *,
    fps: float = 25.0,
    size: tuple[int, int] = (180, 144),
) -> npt.NDArray[np.uint8]:
    """One of `ACTIONS`, by a person, in a place and in a manner that chance chooses.

    size is (width, height) in pixels. Gives (num_frames, height, width, 3) uint8 BGR. Half of the
    `idle` clips show a standing person, a quarter an odd still pose, a quarter nobody. The same
    seed gives the same person and place whatever the action is.
    Raises ConfigError for an unknown action, fewer than one frame or a size below 16 pixels.
    """
    _check(action, num_frames, fps)
    scene = _random_set(size, fps, rng)
    motion = MOTIONS[action]
    if action == "idle":
        kind = rng.random()
        if kind < 0.25:
            return _film(scene, repeat(scene.view.background, num_frames), num_frames, rng)
        motion = standing(rng) if kind < 0.75 else odd_pose(rng)
    return _play(scene, [(motion, num_frames)], rng)


def draw_sequence(
    parts: Sequence[tuple[str, float]],
    rng: np.random.Generator,
    *,
    fps: float = 25.0,
    size: tuple[int, int] = (180, 144),
) -> tuple[npt.NDArray[np.uint8], Track]:
    """One person in one place doing several actions, (label, seconds) each, one after another.

    Gives frames (F, height, width, 3) uint8 BGR and the track: (start_s, end_s, label) for each
    part, without gaps. The changes from one to the next take about 0.4 s, half on either side.
    Raises ConfigError for no part, an unknown action or a part shorter than a frame.
    """
    if not parts:
        raise ConfigError("a sequence needs at least one part such as walk:4")
    if not all(np.isfinite(seconds) for _, seconds in parts):
        raise ConfigError("every part of a sequence must last a finite time, such as walk:4")
    seams = [round(end_s * fps) for end_s in np.cumsum([0.0, *(s for _, s in parts)])]
    for (action, _), (start, end) in zip(parts, pairwise(seams), strict=True):
        _check(action, end - start, fps)
    scene = _random_set(size, fps, rng)
    motions = [
        (standing(rng) if action == "idle" else MOTIONS[action], end - start)
        for (action, _), (start, end) in zip(parts, pairwise(seams), strict=True)
    ]
    track = [
        (start / fps, end / fps, action)
        for (action, _), (start, end) in zip(parts, pairwise(seams), strict=True)
    ]
    return _play(scene, motions, rng), track


def _check(action: str, num_frames: int, fps: float) -> None:
    if action not in MOTIONS:
        raise ConfigError(f"unknown action {action!r}; known are {', '.join(ACTIONS)}")
    if num_frames < 1 or fps <= 0:
        raise ConfigError(
            f"{action} is to last {num_frames} frames at {fps} fps; give it at least 1"
        )


def _random_set(size: tuple[int, int], fps: float, rng: np.random.Generator) -> Set:
    if min(size) < 16:
        raise ConfigError(f"a picture of {size[0]}x{size[1]} is too small; use 16 pixels or more")
    width, height = size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING
    share = rng.normal(0.48, 0.05) if rng.random() < 0.7 else rng.uniform(0.35, 0.75)
    share = min(max(share, 0.35), 0.75)
    ground = rng.uniform(max(0.6, _REACH * share + 0.02), max(0.9, _REACH * share + 0.03))
    ground_y = min(ground, 0.97) * height
    tall = share * height
    view = View(
        background=paint_scene(width, height, round(ground_y), rng),
        ground_y=ground_y,
        height_px=tall,
        tilt=rng.uniform(0.0, 0.12),
        shutter=float(rng.choice((0.0, 0.25, 0.5))),
        light=rng.uniform(-0.5, 0.5),
    )
    camera = Camera(
        gain=rng.uniform(0.7, 1.15),
        flicker=float(rng.choice((0.0, 0.01, 0.03))),
        blur=rng.uniform(0.0, 0.8),
        noise=rng.uniform(0.5, 5.0),
    )
    edge = min(0.2 * tall, 0.25 * width)
    stage = Stage(fps, edge, width - edge, tall)
    return Set(view, stage, random_looks(view.background, rng), camera)


def _play(scene: Set, motions: Sequence[tuple[Motion, int]], rng: np.random.Generator) -> Image:
    """The film of a person doing `motions` (motion, number of frames): (F, H, W, 3) BGR."""
    performance = perform(motions, scene.stage, rng)
    person = Person(performance, scene.looks, scene.view)
    return _film(scene, person.pictures(), len(performance.x), rng)


def _film(
    scene: Set, pictures: Iterable[Image], num_frames: int, rng: np.random.Generator
) -> Image:
    """Pictures shrunk to the film's size, with the camera's blur, exposure and noise."""
    camera = scene.camera
    height, width = (side // _OVERSAMPLING for side in scene.view.background.shape[:2])
    film = np.empty((num_frames, height, width, 3), np.uint8)
    noise_shape = (height + _GRAIN_MARGIN, width + _GRAIN_MARGIN, 3)
    noise = rng.normal(0, camera.noise, noise_shape).astype(np.float32)
    corners = rng.integers(0, _GRAIN_MARGIN, (num_frames, 2))
    gains = camera.gain * (1 + camera.flicker * rng.normal(0, 1, num_frames))
    for frame, picture in enumerate(pictures):
        small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        if camera.blur > 0.25:
            small = cv2.GaussianBlur(small, (0, 0), camera.blur)
        top, left = corners[frame]
        grain = noise[top : top + height, left : left + width]
        film[frame] = np.clip(small * np.float32(gains[frame]) + grain, 0, 255)
    return film


def write_video(path: Path | str, frames: npt.NDArray[np.uint8], fps: float) -> None:
    """Write (F, H, W, 3) BGR frames: MPEG-4 for a name ending in .avi, H.264 for .mp4.

    H and W must be even. The same frames give the same bytes.
    Raises ConfigError if the ending, the size or the place to write to will not do.
    """
    path = Path(path)
    if path.suffix not in _ENCODERS:
        raise ConfigError(f"{path.name}: a video's name must end in {' or '.join(_ENCODERS)}")
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ConfigError(
            f"{path.name}: a video of {width}x{height} needs an even width and height"
        )
    codec, options = _ENCODERS[path.suffix]
    try:
        with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
            stream = container.add_stream(codec, Fraction(fps).limit_denominator(1001), options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.thread_count = 1  # several threads may cut slices differently
            for image in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
            container.mux(stream.encode())
    except OSError as error:  # PyAV's errors are OSErrors too
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error


@click.group()
def cli() -> None:
    """Draw moving people as videos, with their actions as labels."""


@cli.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--clips-per-class", default=20, show_default=True, type=click.IntRange(1))
@click.option("--action", "actions", multiple=True, help="Only this action; may be repeated.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def clips(out: Path, clips_per_class: int, actions: tuple[str, ...], seed: int) -> None:
    """Write a folder of labelled clips: DIR/<action>/figure<NNN>_<action>.avi.

    Each figure's number is another person in another place, the same in all actions.
    """
    for action in actions:
        _check(action, 1, 25.0)
    jobs = [(a, n) for a in actions or ACTIONS for n in range(clips_per_class)]
    with click.progressbar(jobs, label="drawing", file=sys.stderr) as bar:
        for action, number in bar:
            length = np.random.default_rng([seed, number, ACTIONS.index(action)])
            num_frames = int(length.integers(*_CLIP_FRAMES, endpoint=True))
            frames = draw_clip(action, num_frames, np.random.default_rng([seed, number]))
            path = out / action / f"figure{number:03d}_{action}.avi"
            _make_folder(path.parent)
            write_video(path, frames, 25.0)


def _parse_parts(
    ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[str, float]]:
    """Turn texts such as walk:4 into actions and seconds."""
    parts = []
    for text in texts:
        action, _, seconds = text.partition(":")
        try:
            parts.append((action, float(seconds)))
        except ValueError:
            raise ConfigError(f"--part {text}: expected ACTION:SECONDS, such as walk:4") from None
    return parts


@cli.command()
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--part", "parts", required=True, multiple=True, metavar="ACTION:SECONDS", callback=_parse_parts
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--fps", default=25.0, show_default=True, type=click.FloatRange(1, 120))
@click.option("--size", default=(180, 144), show_default=True, type=(int, int))
def sequence(
    out: Path, parts: list[tuple[str, float]], seed: int, fps: float, size: tuple[int, int]
) -> None:
    """Write one video of several actions, and FILE.csv with the start and end of each."""
    frames, track = draw_sequence(parts, np.random.default_rng(seed), fps=fps, size=size)
    _make_folder(out.parent)
    write_video(out, frames, fps)
    with out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("start_s", "end_s", "label"))
        writer.writerows((f"{start:.3f}", f"{end:.3f}", label) for start, end, label in track)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {error.strerror}") from error


if __name__ == "__main__":
    run(cli)
