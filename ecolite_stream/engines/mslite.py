"""MindSpore Lite, the runtime of Ascend 310: loads graphs, and converts them if needed.

Only this file uses the runtime, 2.0 to 2.7; `_Api` has the differences between versions. It imports
nothing of this package and runs on CPython 3.7, the only one with a runtime on the package index.
`mindspore_lite.py` is the engine. As a program it serves a process of another Python
(`lite_process.py`):

    python3.7 mslite.py cpu|ascend INDEX CACHE

A request is a line of JSON on stdin: `{"load": path, "batch_sizes": [1, ...]}`, answered by
`{"loaded": number}`; or `{"run": number, "shape": [...]}` and float32 values, answered by
`{"shape": [...]}` and values. Errors are answered by `{"error": text}`. The first answer,
`{"ready": true}`, comes without a request. A request that takes too long ends the process, since
the runtime may never return.

Source: https://www.mindspore.cn/lite/api/en/r2.0/mindspore_lite.html and its later editions.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Sequence  # noqa: UP035  CPython 3.7

import numpy as np

OLDEST = (2, 0)
LOAD_S, RUN_S = 1800, 60
"""Seconds that `serve` gives the runtime to convert and load a graph, and to run one."""
CONVERTED = (".mindir", ".ms")
"""Suffixes of the files of `converter_lite`."""

Run = Callable[[Any], Any]
"""A loaded graph: (K, ...) float32 -> (K, ...) float32, K >= 1."""


class LiteError(RuntimeError):
    """The runtime or its requirements are missing or unsuitable; has advice."""


class LiteRuntime:
    """Loads graphs with MindSpore Lite on one device.

    Args:
        kind: `cpu` or `ascend`. An Ascend computes in float16, a CPU in float32.
        index: which Ascend, from 0.
        cache: where converted graphs are kept; None is `cache_folder`.

    Raises:
        LiteError: the runtime is missing or too old, or there is no such device.
    """

    def __init__(self, kind: str = "cpu", index: int = 0, cache: Path | None = None) -> None:
        if kind == "ascend":
            require_ascend(index)
        self._api = _Api(kind, index)
        self._cache = cache_folder() if cache is None else cache

    def load(self, path: Path, batch_sizes: Sequence[int] = (1,)) -> Run:
        """Load a graph for some batch sizes, and run any number of samples with it.

        Args:
            path: ONNX, which is converted once for each size and kept; or what `converter_lite`
                wrote for this device, `.mindir` or `.ms`, which takes one sample at a time.
            batch_sizes: fixed from now on; 1 is among them. A batch is run in parts of the largest
                that fit.

        Raises:
            LiteError: it cannot be converted or loaded, or takes no single sample.
        """
        is_converted = path.suffix in CONVERTED
        one = self._api.load(path if is_converted else self._converted(path))
        name, shape = one.get_inputs()[0].name, tuple(one.get_inputs()[0].shape)
        if not shape or shape[0] != 1:
            raise LiteError(f"{path} takes inputs of shape {shape}; expected a batch of one")
        models = {1: one}
        for size in batch_sizes if not is_converted else ():
            if size not in models:
                inputs = {name: [size, *shape[1:]]}
                models[size] = self._api.load(self._converted(path, inputs))

        def run(batch: Any) -> Any:
            if batch.shape[1:] != shape[1:]:  # the runtime compares nothing but the bytes
                raise ValueError(f"inputs are {batch.shape[1:]}; expected {shape[1:]}")
            parts = parts_of(len(batch), models)
            return np.concatenate(
                [_run_one(models[stop - start], batch[start:stop]) for start, stop in parts]
            )

        return run

    def _converted(self, path: Path, inputs: dict[str, list[int]] | None = None) -> Path:
        """The runtime's own form of an ONNX graph, out of the cache where it is there already.

        Its name has its hash, so that a damaged one is converted again; several processes may do so
        at once.
        """
        made_from = f"{_hash(path)}\n{self._api.conversion}\n{inputs or ''}"
        key = hashlib.sha256(made_from.encode()).hexdigest()[:32]
        try:
            for kept in sorted(self._cache.glob(f"{key}.*.mindir")):
                with contextlib.suppress(FileNotFoundError):  # another process removed it
                    if kept.name == f"{key}.{_digest(kept)[:16]}.mindir":
                        return kept
                    kept.unlink()
            self._cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=str(self._cache)) as scratch:
                made = Path(scratch) / "graph.mindir"
                with _stdout_as_stderr():
                    self._api.convert(path, made, inputs)
                kept = self._cache / f"{key}.{_digest(made)[:16]}.mindir"
                made.replace(kept)  # whole, or not at all
        except OSError as error:
            raise LiteError(
                f"the converted graph cannot be kept in {self._cache}: {error}; make room there "
                "or set XDG_CACHE_HOME"
            ) from error
        return kept


def cache_folder() -> Path:
    """Folder of converted graphs: below `XDG_CACHE_HOME`, or `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "ecolite-stream" / "mslite"


def require_ascend(index: int, devices: Path = Path("/dev")) -> None:
    """Check that the driver is loaded and that Ascend can be opened.

    Args:
        index: from 0.
        devices: where the driver puts its device files.

    Raises:
        LiteError: it cannot; the runtime's own error is `Common error code`.
    """
    if not (devices / "davinci_manager").exists():
        raise LiteError(
            "no Ascend driver is loaded: {} is missing; install the driver, firmware and CANN and "
            "see whether npu-smi info lists the device, or use device cpu".format(
                devices / "davinci_manager"
            )
        )
    if not (devices / f"davinci{index}").exists():
        found = (re.match(r"davinci(\d+)$", path.name) for path in devices.iterdir())
        there = sorted(f"ascend:{match.group(1)}" for match in found if match)
        raise LiteError(
            "there is no device ascend:{}; the driver shows {}".format(
                index, ", ".join(there) or "none"
            )
        )
    for name in ("davinci_manager", f"davinci{index}"):
        if not os.access(str(devices / name), os.R_OK | os.W_OK):
            raise LiteError(
                f"{devices / name} may not be opened; add this user to the group HwHiAiUser, "
                "and in a container pass the device in"
            )


class _Api:
    """The runtime's calls, for all its versions."""

    def __init__(self, kind: str, index: int) -> None:
        os.environ.setdefault("GLOG_v", "3")  # errors only; read when the library is loaded
        try:
            import mindspore_lite
        except ModuleNotFoundError as error:
            if error.name != "mindspore_lite":
                raise _broken(error) from error
            raise LiteError(
                f"mindspore_lite is not installed for {sys.executable}; its wheel for this machine "
                "and this Python is on MindSpore's own site (the package index has 2.0.0, for "
                "CPython 3.7), or name a Python that has it in ECOLITE_MSLITE_PYTHON"
            ) from error
        except (ImportError, OSError, AttributeError) as error:
            raise _broken(error) from error
        self._lite: Any = mindspore_lite
        self._kind, self._index = kind, index
        self.version = _version(mindspore_lite)
        if self.version[:2] < OLDEST:
            raise LiteError(
                "mindspore_lite is {}; expected 2.0 or later, whose Python calls are others: "
                "install a newer one".format(".".join(map(str, self.version)) or "of no version")
            )

    @property
    def conversion(self) -> str:
        """What a converted graph depends on, beside the ONNX graph."""
        return "{} {}".format(".".join(map(str, self.version)), self._optimize)

    @property
    def _optimize(self) -> str:
        return "ascend_oriented" if self._kind == "ascend" else "general"

    def convert(self, onnx: Path, mindir: Path, inputs: dict[str, list[int]] | None) -> None:
        """Write an ONNX graph as the runtime's own MindIR, for inputs of other shapes if given.

        Raises:
            LiteError: the runtime has no converter, or cannot convert it.
        """
        if not hasattr(self._lite, "Converter"):  # a build for the device alone
            raise LiteError(
                f"this mindspore_lite has no converter; convert {onnx.name} with converter_lite "
                "where there is one, and put what it writes into the bundle"
            )
        converter = self._lite.Converter()
        converter.save_type = self._lite.ModelType.MINDIR
        converter.optimize = self._optimize
        if inputs is not None:
            converter.input_shape = inputs
        if self._kind == "ascend":
            converter.set_config_info("ascend_context", {"precision_mode": "enforce_fp16"})
        # It adds the suffix; later versions do not if there is one.
        output = str(mindir.with_suffix(""))
        with _said("cannot be converted", onnx, "export the bundle again with trainer.export"):
            converter.convert(self._lite.FmkType.ONNX, str(onnx), output)
        if not mindir.is_file():
            raise LiteError(f"{onnx}: the converter wrote no {mindir.name}")

    def load(self, path: Path) -> Any:
        """A model built for the device.

        Raises:
            LiteError: it cannot be.
        """
        what_to_do = (
            "it is damaged, or was converted by another version or for another device: convert it "
            "again"
        )
        if self._kind == "ascend":
            what_to_do = (
                "the device is busy or out of memory, CANN's set_env.sh was not sourced, or the "
                "graph was converted for another device or version: see npu-smi info and the log"
            )
        types = self._lite.ModelType
        model = self._lite.Model()
        with _said("cannot be loaded", path, what_to_do):
            kind = types.MINDIR_LITE if path.suffix == ".ms" else types.MINDIR
            model.build_from_file(str(path), kind, self._context())
        return model

    def _context(self) -> Any:
        context = self._lite.Context()
        context.target = [self._kind]
        if self._kind == "ascend":
            context.ascend.device_id = self._index
            context.ascend.precision_mode = "enforce_fp16"
        else:
            context.cpu.precision_mode = "enforce_fp32"
        return context


def parts_of(count: int, sizes: Iterable[int]) -> list[tuple[int, int]]:
    """(start, end) of each part of a batch, by the largest sizes first; 1 is among them."""
    parts = []  # type: list[tuple[int, int]]
    start = 0
    for size in sorted(sizes, reverse=True):
        while count - start >= size:
            parts.append((start, start + size))
            start += size
    return parts


def _run_one(model: Any, batch: Any) -> Any:
    """(K, ...) float32 -> (K, ...) float32, a new array; K is the model's batch size."""
    inputs = model.get_inputs()
    inputs[0].set_data_from_numpy(np.ascontiguousarray(batch, np.float32))
    # Outputs share the model's memory, and change with the next call.
    return np.array(model.predict(inputs)[0].get_data_to_numpy(), np.float32)


def _version(library: Any) -> tuple[int, ...]:
    text = getattr(library, "__version__", "")
    if not isinstance(text, str):
        text = getattr(text, "__version__", "")
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(number or 0) for number in match.groups()) if match else ()


def _broken(error: Exception) -> LiteError:
    return LiteError(
        f"mindspore_lite is installed but cannot be imported: {error}; install the one for "
        "this Python, and on an Ascend source CANN's set_env.sh"
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _hash(path: Path) -> str:
    try:
        return _digest(path)
    except OSError as error:
        raise LiteError(f"{path} cannot be read: {error}") from error


@contextlib.contextmanager
def _said(what: str, path: Path, what_to_do: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().rstrip(".")
        raise LiteError(f"{path} {what}: {reason}; {what_to_do}") from error


@contextlib.contextmanager
def _stdout_as_stderr() -> Iterator[None]:
    """Silence the converter, which writes to stdout, where labels go."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def serve(kind: str, index: str, cache: str) -> None:
    """Serve the process at the other end of stdin and stdout until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # other output on stdout would look like an answer
    runs = []  # type: list[Run]
    runtime = None  # type: Any
    try:
        runtime = LiteRuntime(kind, int(index), Path(cache))
        _answer(answers, {"ready": True})
    except LiteError as error:
        _answer(answers, {"error": str(error)})
        return
    for line in iter(sys.stdin.buffer.readline, b""):
        request = json.loads(line.decode())
        signal.alarm(LOAD_S if "load" in request else RUN_S)  # the kernel's: no Python is needed
        try:
            if "load" in request:
                runs.append(runtime.load(Path(request["load"]), request["batch_sizes"]))
                _answer(answers, {"loaded": len(runs) - 1})
            else:
                size = 4 * int(np.prod(request["shape"]))
                batch = np.frombuffer(sys.stdin.buffer.read(size), np.float32)
                result = runs[request["run"]](batch.reshape(request["shape"]))
                _answer(answers, {"shape": list(result.shape)}, result)
        except (LiteError, RuntimeError, ValueError, TypeError) as error:
            _answer(answers, {"error": str(error)})
        signal.alarm(0)


def _answer(answers: Any, header: Any, values: Any = None) -> None:
    answers.write(json.dumps(header).encode() + b"\n")
    if values is not None:
        answers.write(np.ascontiguousarray(values, np.float32).tobytes())
    answers.flush()


if __name__ == "__main__":
    del sys.path[0]  # this folder, whose mindspore_lite.py is not the runtime
    serve(*sys.argv[1:])
