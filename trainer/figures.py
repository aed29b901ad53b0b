"""The former name of `python -m trainer.synthetic`, for scripts that still use it."""

from __future__ import annotations

from ecolite_stream.app.entry import run
from trainer.synthetic.__main__ import cli

if __name__ == "__main__":
    run(cli)
