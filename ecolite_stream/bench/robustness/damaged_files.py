"""Read damaged videos, bundles and configurations: nothing may crash or hang.

    python -m ecolite_stream.bench.robustness.damaged_files
        [--videos 1000] [--bundles 100] [--configs 100] [--seed 0]

Each file is damaged at random and read in a watched process. It may be read, or refused with one of
our own errors. Other exceptions, crashes and timeouts are findings: their files are kept, and the
exit code is 1.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import click
import numpy as np

from ecolite_stream.app.entry import run
from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.bench.robustness.numbered_video import write_numbered_video
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.strict import load_config
from ecolite_stream.errors import ConfigError, EcoliteError
from ecolite_stream.model.bundle import ModelSpec, demo_bundle_path, read_bundle
from ecolite_stream.model.preprocess import Preprocessing
from ecolite_stream.recognition.recognizer import Recognizer
from ecolite_stream.sources import open_source
from ecolite_stream.types import FloatArray

LIMIT_S = 30.0
SEEDS = (("a.mp4", "libx264"), ("b.avi", "mpeg4"), ("c.webm", "libvpx-vp9"), ("d.ts", "libx264"))
START_S = 300.0
READY, READ, REFUSED = "ready", "read", "refused"
SPEC = ModelSpec(
    "eco_lite", 1.0, 4, (1, 1, 1), ("a", "b", "c"), 1.6, Preprocessing(16, framing="whole")
)
CONFIGS = Path("configs/stream")


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """One to four random changes: bytes flipped, cut out, doubled, blanked, put in, cut off."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            break
        start = int(rng.integers(len(data)))
        length = int(min(len(data) - start, 2 ** rng.integers(0, 12)))
        match int(rng.integers(6)):
            case 0:
                for place in rng.integers(start, start + length, 8):
                    data[place] ^= 1 << int(rng.integers(8))
            case 1:
                del data[start : start + length]
            case 2:
                data[start:start] = data[start : start + length]
            case 3:
                data[start : start + length] = bytes(length)
            case 4:
                data[start:start] = rng.bytes(length)
            case 5:
                del data[max(1, start) :]
    return bytes(data)


class ZeroEngine:
    """Computes nothing, so that reading takes the time."""

    name = "zeros"

    def encode(self, images: FloatArray) -> FloatArray:
        return np.zeros((len(images), *SPEC.feature_shape), np.float32)

    def classify(self, features: FloatArray) -> FloatArray:
        return np.zeros((len(features), len(SPEC.labels)), np.float32)

    def close(self) -> None:
        pass


def watch_video(path: Path) -> None:
    """Every frame through a recognizer."""
    recognizer = Recognizer(ZeroEngine(), SPEC, StreamConfig())
    with open_source(str(path)) as source:
        for frame in source:
            recognizer.observe(frame)


def read_settings(path: Path) -> None:
    load_config(path, RunConfig)


def make_trouble(path: Path) -> None:
    """What a file asks for, to see that it is found."""
    match path.read_text():
        case "raise":
            raise ZeroDivisionError
        case "die":
            os._exit(3)
        case "hang":
            time.sleep(1000)


READERS: dict[str, Callable[[Path], object]] = {
    "videos": watch_video,
    "bundles": read_bundle,
    "configs": read_settings,
    "trouble": make_trouble,
}


def serve(kind: str, requests: Connection) -> None:
    """Read the files that the other end names, in turn."""
    requests.send(READY)
    while path := requests.recv():
        try:
            READERS[kind](path)
            requests.send(READ)
        except EcoliteError as error:
            requests.send(REFUSED if len(str(error).splitlines()) == 1 else f"lines: {error}")
        except Exception:
            requests.send(traceback.format_exc())


@dataclass
class Watcher:
    """A process that reads damaged files, restarted after a crash."""

    kind: str

    def __post_init__(self) -> None:
        self._start()

    def outcome(self, path: Path) -> str:
        """`READ`, `REFUSED`, or the finding."""
        self._pipe.send(path)
        if not self._pipe.poll(LIMIT_S):
            self._restart()
            return f"took longer than {LIMIT_S:g} s"
        try:
            return str(self._pipe.recv())
        except EOFError:
            self._process.join(LIMIT_S)
            code = self._process.exitcode
            self._restart()
            return f"the process ended with exit code {code}"

    def close(self) -> None:
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, other = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(self.kind, other), daemon=True)
        self._process.start()
        other.close()
        # Imports do not count for a file's time.
        if not (self._pipe.poll(START_S) and self._pipe.recv() == READY):
            raise EcoliteError(f"a process that reads files did not start within {START_S:g} s")

    def _restart(self) -> None:
        self.close()
        self._start()


def damaged_videos(folder: Path, count: int, rng: np.random.Generator) -> Iterator[Path]:
    seeds = []
    for name, codec in SEEDS:
        write_numbered_video(folder / name, 40, codec=codec)
        seeds.append(folder / name)
    for number in range(count):
        seed = seeds[number % len(seeds)]
        path = folder / f"{number:05d}{seed.suffix}"
        path.write_bytes(damage(seed.read_bytes(), rng))
        yield path


def damaged_bundles(folder: Path, count: int, rng: np.random.Generator) -> Iterator[Path]:
    names = sorted(path.name for path in demo_bundle_path().iterdir())
    for number in range(count):
        path = folder / f"bundle{number:05d}"
        shutil.copytree(demo_bundle_path(), path)
        chosen = path / (names[number % len(names)] if number % 2 else "bundle.json")
        chosen.write_bytes(damage(chosen.read_bytes(), rng))
        yield path


def damaged_configs(folder: Path, count: int, rng: np.random.Generator) -> Iterator[Path]:
    seeds = sorted(CONFIGS.glob("*.yaml"))
    for number in range(count):
        path = folder / f"config{number:05d}.yaml"
        path.write_bytes(damage(seeds[number % len(seeds)].read_bytes(), rng))
        yield path


def try_all(kind: str, paths: Iterator[Path], keep: Path) -> Counter[str]:
    """Count files read, refused and findings; keep and report the last."""
    counts: Counter[str] = Counter()
    watcher = Watcher(kind)
    try:
        for path in paths:
            outcome = watcher.outcome(path)
            counts[outcome if outcome in (READ, REFUSED) else "findings"] += 1
            if outcome not in (READ, REFUSED):
                keep.mkdir(parents=True, exist_ok=True)
                shutil.move(path, keep / path.name)
                click.echo(f"{keep / path.name}: {outcome}", err=True)
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    finally:
        watcher.close()
    return counts


def findings(
    videos: int, bundles: int, configs: int, seed: int, keep: Path
) -> dict[str, Counter[str]]:
    """The counts of each kind."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made = {
            "videos": damaged_videos(folder, videos, rng),
            "bundles": damaged_bundles(folder, bundles, rng),
            "configs": damaged_configs(folder, configs, rng),
        }
        return {kind: try_all(kind, paths, keep) for kind, paths in made.items()}


@click.command()
@click.option("--videos", default=1000, show_default=True)
@click.option("--bundles", default=100, show_default=True)
@click.option("--configs", default=100, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--keep", default=Path("runs/mutation"), type=click.Path(path_type=Path))
def main(videos: int, bundles: int, configs: int, seed: int, keep: Path) -> None:
    """Read randomly damaged files and count findings."""
    if not CONFIGS.is_dir():
        raise ConfigError(f"there is no {CONFIGS}; run this at the top of the sources")
    counts = findings(videos, bundles, configs, seed, keep)
    for kind, count in counts.items():
        click.echo(f"{kind}: {', '.join(f'{n} {what}' for what, n in sorted(count.items()))}")
    if any(count["findings"] for count in counts.values()):
        raise EcoliteError(f"files that broke something are kept in {keep}")


if __name__ == "__main__":
    run(main)
