"""Checkpoint files of any origin into arrays by name, within bounds and without running code."""

from __future__ import annotations

import contextlib
import logging
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt

from ecolite_stream.errors import BundleError, one_line
from ecolite_stream.model.limits import require_regular

Arrays = dict[str, npt.NDArray[Any]]

MAX_CHECKPOINT_BYTES = 4_000_000_000
"""Of a file, and of an archive once unpacked; ECO-Full with its optimiser's state has 0.6 GB."""
COPY_AGAIN = "copy it again"
SAVE_WEIGHTS = (
    'its author, or you if you trust the file, can save the weights alone: python -c "import torch;'
    " torch.save(torch.load('IN', 'cpu', weights_only=False)['state_dict'], 'OUT.pth')\""
)
HARMLESS = (
    "argparse.Namespace",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    *(f"numpy.dtypes.{kind}DType" for kind in ("Float64", "Float32", "Int64", "Int32", "Bool")),
)
"""What training scripts save beside the weights; read as `_Skipped`."""
_ZIP = b"PK\x03\x04"


class _Skipped:
    """Stands for an object beside the weights; ignores its arguments and its state."""

    def __new__(cls, *_: object) -> _Skipped:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def read_entries(path: Path) -> Arrays:
    """Everything a checkpoint file holds, by its own names; text is an array of strings.

    Raises:
        BundleError: the file is missing, damaged, too large, unsafe or of an unknown kind.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise BundleError(
            f"{path} is of no known kind; expected a name that ends in {', '.join(READERS)}"
        )
    return reader(path)


def read_mindspore(path: Path) -> Arrays:
    """`read_entries` of a MindSpore `.ckpt` file."""
    with _reading(path), silent_log():
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 17))
            has_crc = file.read(7) == b"crc_num"  # where there is none, MindSpore warns
        entries = ms.load_checkpoint(str(path), crc_check=has_crc)
        return {
            name: np.array(value if isinstance(value, str) else value.asnumpy())
            for name, value in entries.items()
        }


def read_npz(path: Path) -> Arrays:
    """`read_entries` of a NumPy `.npz` archive."""
    with _reading(path), np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _read_torch(path: Path) -> Arrays:
    with _reading(path):
        torch = _import_torch(path)
        skipped = torch.serialization.safe_globals([(_Skipped, name) for name in HARMLESS])
        try:
            with warnings.catch_warnings(action="ignore"), skipped:
                content = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            culprit = re.search(r"GLOBAL (\S+)", str(error))
            if culprit is None:
                raise
            raise BundleError(
                f"{path} holds {culprit[1]}, which may run code, and was not loaded; {SAVE_WEIGHTS}"
            ) from error
        state = content.get("state_dict", content) if isinstance(content, dict) else content
        if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
            raise BundleError(f"{path} holds no state_dict of tensors by name; {SAVE_WEIGHTS}")
        return {
            str(name): (value.float() if value.is_floating_point() else value).detach().numpy()
            for name, value in state.items()
        }


def _import_torch(path: Path) -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise BundleError(
            f"reading {path} needs PyTorch; pip install 'ecolite-stream[torch]'"
        ) from error
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6):
        raise BundleError(  # CVE-2025-32434: until then weights_only could be made to run code
            f"reading {path} safely needs PyTorch 2.6 or newer, {torch.__version__} is installed; "
            "pip install -U 'ecolite-stream[torch]'"
        )
    return torch


READERS: dict[str, Callable[[Path], Arrays]] = {
    ".ckpt": read_mindspore,
    ".npz": read_npz,
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".tar": _read_torch,
}


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Check a file before a library reads it; turn the library's errors into one line."""
    try:
        require_readable(path)
        yield
    except BundleError:
        raise
    except FileNotFoundError as error:
        raise BundleError(f"{path} does not exist; name a checkpoint file") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or one_line(error)}") from error
    except Exception as error:  # protobuf, zip, pickle and NumPy each have their own
        raise BundleError(
            f"{path} is no {path.suffix} file of weights, or is damaged "
            f"({type(error).__name__}: {_first_sentence(error)}); {COPY_AGAIN}"
        ) from error


def _first_sentence(error: Exception) -> str:
    """The rest of PyTorch's messages advises to load unsafely."""
    return one_line(error).partition(". ")[0][:120]


def require_readable(path: Path) -> None:
    """Refuse what is no whole file of weights by its first bytes and its size.

    Raises:
        BundleError: it is a pipe, a device, a web page, cut off or too large.
        OSError: it cannot be read.
    """
    require_regular(path, MAX_CHECKPOINT_BYTES, "name a checkpoint file")
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        raise BundleError(f"{path} is empty; {COPY_AGAIN}")
    if re.match(rb"\s*<(!doctype|html|\?xml|head)", start.removeprefix(b"\xef\xbb\xbf"), re.I):
        raise BundleError(f"{path} is a web page, not a checkpoint; download the checkpoint itself")
    if start.startswith(_ZIP):
        _require_whole_archive(path)


def _require_whole_archive(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        size = path.stat().st_size
        raise BundleError(f"{path} is cut off after {size} bytes; {COPY_AGAIN}")
    with zipfile.ZipFile(path) as archive:
        unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
    if unpacked_bytes > MAX_CHECKPOINT_BYTES:
        raise BundleError(
            f"{path} unpacks to {unpacked_bytes} bytes, at most {MAX_CHECKPOINT_BYTES} are read; "
            "name a file of weights"
        )


@contextlib.contextmanager
def silent_log() -> Iterator[None]:
    """Silence MindSpore's log: what it logs it also raises, and the user reads it once."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
