"""Video files, and still images as videos of one frame."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from ecolite_stream.config.choices import SOFTWARE
from ecolite_stream.config.redact import redact_url
from ecolite_stream.errors import SourceError
from ecolite_stream.sources.container import ContainerSource, Input, open_container
from ecolite_stream.sources.failures import FILE_PROBLEMS, source_error


class FileSource(ContainerSource):
    """Every frame of a video file, in order, with the times of its timestamps."""

    def __init__(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        decode: str = SOFTWARE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        path: a file that FFmpeg decodes.
        name: name for messages; None takes the path.
        decode: device that decodes it, one of `DECODERS`.
        clock: arrival times of frames; seconds, monotonic.

        Raises:
            SourceError: no such file, not readable, or no video in it.
        """
        path = Path(path)
        name = redact_url(str(path)) if name is None else name
        check_file(path, name)
        # "file:" keeps FFmpeg from taking a colon in the path for a protocol. The image reader
        # would take "%03d" for a numbered series.
        options = {"pattern_type": "none"}
        what = Input(f"file:{path}", name, FILE_PROBLEMS, options=options, decode=decode)
        super().__init__(open_container(what), what, live=False, clock=clock)


def check_file(path: Path, name: str) -> None:
    """Check a path, with clearer errors than FFmpeg's.

    Raises:
        SourceError: the file is missing, empty or unreadable, or is a folder, a named pipe or a
            device.
    """
    try:
        state = path.stat()
    except FileNotFoundError:
        raise _missing(path, name) from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise source_error(name, error, FILE_PROBLEMS) from error
    if stat.S_ISDIR(state.st_mode):
        raise source_error(name, IsADirectoryError(errno.EISDIR, ""), FILE_PROBLEMS)
    if not stat.S_ISREG(state.st_mode):  # to open or to read it might take for ever
        advice = "write into standard input: ecolite-stream --source - < PIPE"
        if not stat.S_ISFIFO(state.st_mode):
            advice = "name a video file or a camera"
        kind = "a named pipe" if stat.S_ISFIFO(state.st_mode) else "a device or a socket"
        raise SourceError(f"{name}: is {kind}, expected a video file; {advice}", permanent=True)
    if not os.access(path, os.R_OK):
        raise source_error(name, PermissionError(errno.EACCES, ""), FILE_PROBLEMS)
    if state.st_size == 0:
        raise SourceError(f"{name}: the file is empty (0 bytes); record or copy it again")


def _missing(path: Path, name: str) -> SourceError:
    try:
        neighbours = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        neighbours = []
    near = get_close_matches(path.name, neighbours, n=1, cutoff=0.75)
    advice = f"did you mean {near[0]}?" if near else "check the path"
    return SourceError(f"{name}: no such file; {advice}", permanent=True)
