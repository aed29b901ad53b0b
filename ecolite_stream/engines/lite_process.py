"""Run MindSpore Lite in a process of another Python, if this one lacks it.

Each wheel of the runtime is for one Python: the package index has only CPython 3.7's, and an Atlas
box may have one for another. `PYTHON` names that interpreter; `mslite.py` has the protocol.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ecolite_stream.engines import mslite
from ecolite_stream.engines.base import Run
from ecolite_stream.engines.mslite import LiteError
from ecolite_stream.types import FloatArray

PYTHON = "ECOLITE_MSLITE_PYTHON"
"""The variable that names an interpreter with `mindspore_lite`."""
END_S = 1.0


class LiteProcess:
    """`mslite.LiteRuntime` in another process.

    Args:
        python: interpreter with `mindspore_lite`.
        kind, index, cache: as `LiteRuntime`'s.

    Raises:
        LiteError: it cannot be started, or as `LiteRuntime`.
    """

    def __init__(
        self, python: str, kind: str = "cpu", index: int = 0, cache: Path | None = None
    ) -> None:
        folder = mslite.cache_folder() if cache is None else cache
        self._python = python
        try:
            self._process = subprocess.Popen(
                [python, str(Path(mslite.__file__)), kind, str(index), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_environment(),
                start_new_session=True,  # only this process is interrupted; the other ends with it
            )
        except OSError as error:
            raise LiteError(
                f"{PYTHON} names {python}, which cannot be started: {error.strerror}; name a "
                "Python that has mindspore_lite"
            ) from error
        try:
            self._answer()
        except LiteError:
            self.close()
            raise

    def load(self, path: Path, batch_sizes: Sequence[int] = (1,)) -> Run:
        """As `LiteRuntime.load`."""
        number = self._ask({"load": str(path), "batch_sizes": list(batch_sizes)})["loaded"]

        def run(batch: FloatArray) -> FloatArray:
            values = np.ascontiguousarray(batch, np.float32)
            shape = self._ask({"run": number, "shape": values.shape}, values)["shape"]
            answered = self._read(4 * int(np.prod(shape)))
            return np.frombuffer(answered, np.float32).reshape(shape)

        return run

    def close(self) -> None:
        """End the process."""
        for pipe in (self._stdin, self._stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # already ended
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, request: dict[str, Any], values: FloatArray | None = None) -> dict[str, Any]:
        try:
            self._stdin.write(json.dumps(request).encode() + b"\n")
            if values is not None:
                self._stdin.write(values.tobytes())
            self._stdin.flush()
        except (BrokenPipeError, ValueError) as error:  # ValueError: closed
            raise self._ended() from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._stdout.readline()
        if not line.endswith(b"\n"):
            raise self._ended()
        try:
            answer: Any = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):  # not a Python
            raise LiteError(
                f"{PYTHON} names {self._python}, which answers {line[:40]!r}; name a Python that "
                "has mindspore_lite and numpy"
            )
        if "error" in answer:
            raise LiteError(answer["error"])
        return answer

    def _read(self, size: int) -> bytes:
        content = self._stdout.read(size)
        if len(content) < size:
            raise self._ended()
        return content

    def _ended(self) -> LiteError:
        try:
            code = self._process.wait(END_S)
            if code == -signal.SIGALRM:
                return LiteError(
                    f"the process of MindSpore Lite, {self._python}, was ended: the runtime "
                    f"did not run a graph in {mslite.RUN_S} s, or load one in {mslite.LOAD_S} s"
                )
            how = f"ended with exit code {code}"
        except subprocess.TimeoutExpired:
            how = "does not answer"
        return LiteError(
            f"the process of MindSpore Lite, {self._python}, {how}; see its output above; "
            f"{PYTHON} must name a Python that has mindspore_lite and numpy"
        )

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None  # it is a pipe
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None  # it is a pipe
        return self._process.stdout


def _environment() -> dict[str, str]:
    """This process's environment, without the folder of this package on PYTHONPATH.

    That folder may have libraries for this Python, such as NumPy.
    """
    own = Path(__file__).parents[2]
    environment = dict(os.environ)
    paths = environment.pop("PYTHONPATH", "").split(os.pathsep)
    others = [path for path in paths if path and Path(path).resolve() != own.resolve()]
    if others:  # CANN's set_env.sh names its own there
        environment["PYTHONPATH"] = os.pathsep.join(others)
    return environment
