"""Video that another program writes to standard input: `ffmpeg ... | ecolite-stream --source -`."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable

from ecolite_stream.errors import SourceError
from ecolite_stream.sources.container import ContainerSource, Input, open_container
from ecolite_stream.sources.failures import FILE_PROBLEMS

STDIN = "-"
"""Name of standard input on the command line."""

NAME = "stdin"


class PipeSource(ContainerSource):
    """Every frame of standard input, with the times of its timestamps.

    No frame is lost: a full pipe blocks its writer. The format must be readable front to back, such
    as MPEG-TS or Matroska.
    """

    def __init__(
        self, *, name: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Args:
        name: as people are shown it.
        clock: says when frames arrive; seconds, monotonic.

        Raises:
            SourceError: nothing is piped in, or no video.
        """
        name = NAME if name is None else name
        if _is_terminal():
            raise SourceError(
                f"{name}: nothing is piped in; as in: ffmpeg -i VIDEO -c copy -f mpegts - | "
                "ecolite-stream --source -",
                permanent=True,
            )
        what = Input("pipe:0", name, FILE_PROBLEMS)
        super().__init__(open_container(what), what, live=False, clock=clock)


def _is_terminal() -> bool:
    try:
        return stat.S_ISCHR(os.fstat(0).st_mode)  # a terminal, or /dev/null
    except OSError:
        return True
