"""Features from workers: the same as those of one process, whatever becomes of a worker."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.archive.tasks import OpenJob
from ecolite_stream.archive.workers import ProcessCrew
from ecolite_stream.errors import BundleError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from tests.archive.test_archive import Saboteurs
from tests.trainer.teaching.films import film
from trainer.teaching.clips import TaughtClip, find_taught, load_features

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("openvino", reason="openvino is not installed")
pytestmark = pytest.mark.timeout(180)

FRAMINGS = ("center", "follow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips, a marked video of both actions, and a file that is no video."""
    folder = tmp_path_factory.mktemp("taught") / "clips"
    for number, label in enumerate(("across", "up")):
        film(folder / label / "a.mp4", label, number, seconds=2)
    film(folder / "monday.mp4", "up", 7, seconds=5)
    (folder / "monday.csv").write_text("start_s,end_s,label\n0,2,up\n2.5,4.5,across\n")
    (folder / "up" / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(demo_bundle_path())


@pytest.fixture(scope="module")
def here(
    folder: Path, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> list[TaughtClip]:
    return load_features(
        find_taught(folder), bundle, FRAMINGS, "openvino", tmp_path_factory.mktemp("cache")
    )


def hire(open_job: OpenJob) -> contextlib.closing[ProcessCrew]:
    return contextlib.closing(ProcessCrew(open_job, 2))


def assert_same(some: Sequence[TaughtClip], others: Sequence[TaughtClip]) -> None:
    assert [clip.name for clip in some] == [clip.name for clip in others]
    for one, other in zip(some, others, strict=True):
        assert one.by_framing.keys() == other.by_framing.keys() == set(FRAMINGS)
        for framing in FRAMINGS:
            for variant, windows in one.by_framing[framing].items():
                same = other.by_framing[framing][variant]
                np.testing.assert_array_equal(windows.fill, same.fill)
                np.testing.assert_allclose(windows.pooled, same.pooled, rtol=1e-5, atol=1e-5)


def test_workers_give_the_features_of_one_process(
    folder: Path,
    bundle: Bundle,
    here: list[TaughtClip],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps: list[tuple[int, int]] = []
    files = find_taught(folder)
    with caplog.at_level(logging.WARNING):
        there = load_features(
            *(files, bundle, FRAMINGS, "openvino", tmp_path),
            on_clip=lambda done, total: steps.append((done, total)),
            hire=hire,
        )
    assert len(there) == 4
    assert_same(there, here)
    assert steps == [(done, 5) for done in range(1, 6)]
    (warning,) = caplog.messages
    assert warning.startswith("left out up/broken.mp4: ")
    # Nothing is left to compute, but for what cannot be read.
    (folder / "up" / "broken.mp4").rename(folder / "up" / "broken.txt")
    try:
        again = load_features(
            *(find_taught(folder), bundle, FRAMINGS, "openvino", tmp_path),
            hire=lambda open_job: pytest.fail("a crew was hired"),
        )
    finally:
        (folder / "up" / "broken.txt").rename(folder / "up" / "broken.mp4")
    assert_same(again, here)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_worker_that_is_killed_costs_nothing(
    folder: Path, bundle: Bundle, here: list[TaughtClip], tmp_path: Path
) -> None:
    crews: list[Saboteurs] = []

    def hire_killing(open_job: OpenJob) -> contextlib.closing[ProcessCrew]:
        crews.append(Saboteurs(open_job, 1))
        crews[-1].signal_number = signal.SIGKILL
        return contextlib.closing(crews[-1])

    there = load_features(
        *(find_taught(folder), bundle, FRAMINGS, "openvino", tmp_path), hire=hire_killing
    )
    assert crews[0].hired >= 2
    assert_same(there, here)


def test_a_worker_with_another_bundle_is_refused(
    folder: Path, bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="is another bundle here"):
        load_features(
            find_taught(folder),
            replace(bundle, digest="0" * 40),
            FRAMINGS,
            "openvino",
            tmp_path,
            hire=hire,
        )
