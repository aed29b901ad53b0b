"""`ecolite-stream`, also as `python -m ecolite_stream`."""

from __future__ import annotations

import os
import signal
from typing import NoReturn


def main() -> NoReturn:
    """Entry point of `ecolite-stream`; an interruption during its imports ends it silently."""
    interrupted = signal.getsignal(signal.SIGINT)
    if callable(interrupted):  # a background job of a shell ignores SIGINT
        # An interrupted import prints a long traceback.
        signal.signal(signal.SIGINT, lambda *what: os._exit(130))
    from ecolite_stream.app.cli import main as watch

    if callable(interrupted):
        signal.signal(signal.SIGINT, interrupted)
    watch()


if __name__ == "__main__":
    main()
