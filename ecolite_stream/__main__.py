"""`ecolite-stream`, also as `python -m ecolite_stream`."""

from __future__ import annotations

import os
import signal
from typing import NoReturn


def main() -> NoReturn:
    """Entry point of `ecolite-stream`; interrupted before it has begun it ends without a word."""
    interrupted = signal.getsignal(signal.SIGINT)
    if callable(interrupted):  # not where a shell lets its background jobs ignore it
        # Libraries that are interrupted while they are imported say so at length.
        signal.signal(signal.SIGINT, lambda *what: os._exit(130))
    from ecolite_stream.app.cli import main as watch

    if callable(interrupted):
        signal.signal(signal.SIGINT, interrupted)
    watch()


if __name__ == "__main__":
    main()
