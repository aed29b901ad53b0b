"""Extract videos to JPEG frames, `<class>/<video>/img_00001.jpg`, in the same tree.

python -m trainer.data.extract_frames --video_src_path DIR --image_save_path DIR

A clip's folder gets its name when it is complete, so an interrupted run can be repeated.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import cv2

from ecolite_stream.app.entry import run
from ecolite_stream.datasets.labelled_clips import find_videos
from ecolite_stream.errors import ConfigError, EcoliteError, SourceError, one_line
from ecolite_stream.sources import damage, open_source
from trainer.data.folders import naming
from trainer.data.parallel import in_parallel
from trainer.data.reading import shrink

NAME = "img_{:05d}.jpg"


@dataclass(frozen=True)
class Extraction:
    """How frames are written: JPEG quality 1 to 100; short side in pixels, None as filmed."""

    quality: int = 95
    short_side: int | None = None


def extract(video: Path, folder: Path, how: Extraction) -> None:
    """Write every frame of a video into a folder, unless it exists.

    Raises:
        SourceError: the video is damaged or cut off; no folder is left.
        EcoliteError: the frames cannot be written; the file is named.
    """
    if folder.exists():
        return
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        with _refusing_damage(), open_source(str(video)) as source:
            for frame in source:
                small = shrink(frame.image, how.short_side) if how.short_side else frame.image
                _write(temporary / NAME.format(frame.index + 1), small, how.quality)
        temporary.rename(folder)
    except OSError as error:
        raise EcoliteError(
            f"{error.filename or folder} cannot be written: {error.strerror}; free some space or "
            "name another --image_save_path, and run this again to continue"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _refusing_damage() -> Iterator[None]:
    """Raise an error where a source warns: skipped pieces, a cut file."""
    handler = _Keeping()
    log = logging.getLogger(damage.__name__)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
    if handler.messages:
        raise SourceError(handler.messages[0])


class _Keeping(logging.Handler):
    """Collects the warnings of its own thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(record.getMessage())


def _write(path: Path, image: cv2.typing.MatLike, quality: int) -> None:
    encoded, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not encoded:
        raise SourceError(f"{path} cannot be encoded; choose another --quality")
    with naming(path):
        path.write_bytes(data.tobytes())


def distinct_videos(folder: Path) -> list[Path]:
    """All videos below a folder, as `find_videos` finds them.

    Raises:
        ConfigError: there is none, or two differ only in their suffix.
    """
    found = find_videos(folder)
    by_target: dict[Path, Path] = {}
    for path in found:
        other = by_target.setdefault(path.with_suffix(""), path)
        if other != path:
            raise ConfigError(f"{other} and {path} differ only in their suffix; rename one")
    return found


@click.command()
@click.option("--video_src_path", required=True, type=click.Path(path_type=Path))
@click.option("--image_save_path", required=True, type=click.Path(path_type=Path))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option("--quality", default=95, show_default=True, type=click.IntRange(1, 100))
@click.option("--short-side", type=click.IntRange(16), help="Short side in pixels. [as filmed]")
def main(
    video_src_path: Path, image_save_path: Path, workers: int, quality: int, short_side: int | None
) -> None:
    """Extract the frames of every video; run it again to continue after an interruption."""
    videos = distinct_videos(video_src_path)
    how = Extraction(quality, short_side)

    def one(video: Path) -> str | None:
        target = image_save_path / video.relative_to(video_src_path).with_suffix("")
        try:
            extract(video, target, how)
        except SourceError as error:
            return one_line(error)
        return None

    failures = [text for text in in_parallel(one, videos, workers, "extracting") if text]
    for text in failures:
        click.echo(text, err=True)
    click.echo(f"{len(videos) - len(failures)} of {len(videos)} videos are in {image_save_path}")
    if failures:
        raise EcoliteError(f"{len(failures)} videos are damaged; replace them and run this again")


if __name__ == "__main__":
    run(main)
