"""Run a module as a program that ends when its parent does, however that ends.

python -m trainer.teaching.attached MODULE [ARGUMENT]...

Its stdin is a pipe from the parent. Where the pipe closes, the program gets a SIGTERM.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Run the module that the command line names."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(0, 1024):  # sys.stdin would be locked when the program ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
