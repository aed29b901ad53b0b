"""Drawn clips: the same seed draws the same, and what is drawn moves as its label says."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from ecolite_stream.app import entry as commands
from ecolite_stream.errors import ConfigError
from trainer.synthetic import ACTIONS, draw_clip, draw_sequence, write_video
from trainer.synthetic import __main__ as figures
from trainer.synthetic.poses import CHANNELS, MOTIONS, Stage, perform, standing

TRAVELLING = ("jump", "run", "side", "skip", "walk")
STAGE = Stage(fps=25.0, left=10.0, right=170.0, height_px=70.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def read_video(path: Path) -> npt.NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="bgr24") for f in container.decode(video=0)])


def run_command(arguments: Sequence[str | Path]) -> int:
    with pytest.raises(SystemExit) as ended:
        commands.run(figures.cli, [str(argument) for argument in arguments])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def changed(action: str, seed: int, *, restless: bool = False) -> float:
    """The share of pixels that differ clearly from those of a fifth of a second before."""
    frames = draw_clip(action, 21, rng(seed), restless=restless).mean(3)
    return float((np.abs(frames[5:] - frames[:-5]) > 40).mean())


def test_labels_are_the_weizmann_ones_and_idle() -> None:
    assert " ".join(ACTIONS) == "bend jack jump pjump run side skip walk wave1 wave2 idle"


@pytest.mark.parametrize("action", ACTIONS)
def test_a_seed_is_a_clip(action: str) -> None:
    clip = draw_clip(action, 6, rng(3))
    assert clip.shape == (6, 144, 180, 3)
    assert clip.dtype == np.uint8
    assert np.array_equal(clip, draw_clip(action, 6, rng(3)))
    assert not np.array_equal(clip, draw_clip(action, 6, rng(4)))


@pytest.mark.parametrize("action", ACTIONS)
def test_a_single_frame_can_be_drawn(action: str) -> None:
    assert draw_clip(action, 1, rng()).shape == (1, 144, 180, 3)


@pytest.mark.parametrize("size", [(320, 240), (121, 161), (64, 48), (16, 160)])
def test_any_size(size: tuple[int, int]) -> None:
    assert draw_clip("run", 3, rng(), size=size).shape == (3, size[1], size[0], 3)


def test_idle_stands_out_by_stillness() -> None:
    mean = {action: np.mean([changed(action, seed) for seed in range(5)]) for action in ACTIONS}
    busy = {action: energy for action, energy in mean.items() if action != "idle"}
    assert mean["idle"] < 0.25 * min(busy.values()), mean


def test_restless_idling_moves_more_than_other_idling() -> None:
    seeds = range(12)
    idle = np.mean([changed("idle", seed) for seed in seeds])
    assert np.mean([changed("idle", seed, restless=True) for seed in seeds]) > 1.5 * idle


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("seed", range(5))
def test_who_travels_crosses_and_who_does_not_stays(action: str, seed: int) -> None:
    way = np.ptp(perform([(MOTIONS[action], 40)], STAGE, rng(seed)).x)
    assert way > 0.4 * 160 if action in TRAVELLING else way == 0


@pytest.mark.parametrize("action", TRAVELLING)
def test_a_long_way_turns_round_at_the_borders(action: str) -> None:
    x = perform([(MOTIONS[action], 400)], STAGE, rng()).x
    assert x.min() > STAGE.left - 20
    assert x.max() < STAGE.right + 20
    assert np.ptp(x) > 120


@pytest.mark.parametrize("fps", [10.0, 25.0, 50.0])
def test_time_counts_and_not_frames(fps: float) -> None:
    stage = Stage(fps, -1e6, 1e6, 70.0)
    x = perform([(MOTIONS["walk"], round(2 * fps) + 1)], stage, rng(1)).x
    slowest, fastest = MOTIONS["walk"].speed
    assert 2 * 70 * slowest <= np.ptp(x) + 1e-6
    assert np.ptp(x) <= 2 * 70 * fastest + 1e-6


def test_a_sequence_is_one_continuous_performance() -> None:
    parts = [(MOTIONS[a], 40) for a in ("walk", "wave2", "side", "bend", "jack", "run")]
    performance = perform([*parts, (standing(rng()), 40)], STAGE, rng(2))
    fastest = max(MOTIONS["run"].speed) * STAGE.height_px / STAGE.fps
    assert np.abs(np.diff(performance.x)).max() <= fastest
    angles = np.delete(performance.pose, CHANNELS.index("air"), 1)
    assert np.abs(np.diff(angles, axis=0)).max() < 35
    assert np.abs(np.diff(performance.yaw)).max() < np.deg2rad(45)


def test_the_track_covers_the_sequence() -> None:
    frames, track = draw_sequence([("walk", 0.5), ("wave1", 0.33), ("idle", 1.0)], rng(), fps=30.0)
    assert [label for _, _, label in track] == ["walk", "wave1", "idle"]
    assert track[0][0] == 0.0
    assert [end for _, end, _ in track[:-1]] == [start for start, _, _ in track[1:]]
    assert track[-1][1] * 30 == pytest.approx(len(frames))
    assert [end - start for start, end, _ in track] == pytest.approx([0.5, 0.33, 1.0], abs=1 / 30)


def test_the_same_seed_gives_the_same_sequence() -> None:
    parts = [("side", 0.3), ("pjump", 0.3)]
    assert np.array_equal(draw_sequence(parts, rng(5))[0], draw_sequence(parts, rng(5))[0])


@pytest.mark.parametrize(
    ("action", "num_frames", "fps", "size", "message"),
    [
        ("fly", 10, 25.0, (180, 144), "unknown action 'fly'; known are bend, jack"),
        ("walk", 0, 25.0, (180, 144), "at least 1"),
        ("walk", 10, 0.0, (180, 144), "0.0 fps"),
        ("walk", 10, 25.0, (180, 8), "180x8 is too small"),
    ],
)
def test_what_cannot_be_drawn(
    action: str, num_frames: int, fps: float, size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        draw_clip(action, num_frames, rng(), fps=fps, size=size)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [("walk", 0.0)],
        [("walk", -1.0)],
        [("walk", float("nan"))],
        [("walk", 1.0), ("fly", 1.0)],
    ],
)
def test_what_is_no_sequence(parts: list[tuple[str, float]]) -> None:
    with pytest.raises(ConfigError):
        draw_sequence(parts, rng())


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_a_video_reads_back(tmp_path: Path, suffix: str) -> None:
    frames = draw_clip("wave2", 12, rng(1))
    write_video(tmp_path / f"a{suffix}", frames, 25.0)
    write_video(tmp_path / f"b{suffix}", frames, 25.0)
    back = read_video(tmp_path / f"a{suffix}")
    assert back.shape == frames.shape
    assert np.abs(back.astype(float) - frames).mean() < 8
    with av.open(str(tmp_path / f"a{suffix}")) as container:
        assert float(container.streams.video[0].average_rate or 0) == 25.0
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_video_that_cannot_be_written(tmp_path: Path) -> None:
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"must end in \.avi or \.mp4"):
        write_video(tmp_path / "a.gif", frames, 25.0)
    with pytest.raises(ConfigError, match="even width"):
        write_video(tmp_path / "a.avi", frames[:, 1:], 25.0)
    with pytest.raises(ConfigError, match="cannot write"):
        write_video(tmp_path / "missing" / "a.avi", frames, 25.0)


def test_clips_command(tmp_path: Path) -> None:
    options = ["--clips-per-class", "1", "--action", "walk", "--action", "idle", "--seed", "7"]
    assert run_command(["clips", "--out", tmp_path, *options]) == 0
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert written == {"walk/figure000_walk.avi", "idle/figure000_idle.avi"}
    assert 36 <= len(read_video(tmp_path / "walk/figure000_walk.avi")) <= 90


def test_clips_command_draws_every_action(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(figures, "write_video", lambda path, *_: drawn.append(path.name))
    monkeypatch.setattr(figures, "draw_clip", lambda *_: None)
    assert run_command(["clips", "--out", tmp_path, "--clips-per-class", "2"]) == 0
    assert drawn == [f"figure{n:03d}_{action}.avi" for action in ACTIONS for n in range(2)]


def test_sequence_command(tmp_path: Path) -> None:
    out = tmp_path / "demo.mp4"
    assert run_command(["sequence", "--out", out, "--part", "walk:1", "--part", "wave1:0.4"]) == 0
    assert len(read_video(out)) == 35
    rows = list(csv.reader(out.with_suffix(".csv").open()))
    header, walk, wave = ["start_s", "end_s", "label"], ["0.000", "1.000", "walk"], "wave1"
    assert rows == [header, walk, ["1.000", "1.400", wave]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clips", "--action", "fly"], "unknown action 'fly'"),
        (["sequence", "--part", "fly:3"], "unknown action 'fly'"),
        (["sequence", "--part", "walk"], "expected ACTION:SECONDS"),
        (["sequence", "--part", "walk:0"], "at least 1"),
    ],
)
def test_commands_refuse_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run_command([*arguments, "--out", tmp_path / "x.mp4"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_bend_keeps_its_pace_however_short_or_long() -> None:
    """A short clip shows a part of it; no clip shows it hurried."""
    for frames in (20, 36, 60, 90, 200):
        pose = perform([(MOTIONS["bend"], frames)], STAGE, rng(frames)).pose
        pitch = pose[:, CHANNELS.index("pitch")]
        assert np.abs(np.diff(pitch)).max() < 12
        assert np.ptp(pitch) > 25
