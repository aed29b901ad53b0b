"""Runs `ecolite_stream/engines/mslite.py`, loaded by its path, for a test in another Python.

Runs under CPython 3.7: mslite_driver.py MODULE CACHE ENCODER HEAD. Arrays come in on stdin,
and what the graphs make of them goes to stdout: `graph number, dimensions, their sizes`, each an
unsigned 32-bit integer, then the values, float32.
"""

from __future__ import annotations

import importlib.util
import struct
import sys
from pathlib import Path

import numpy as np


def read_array(stream, dimensions):
    shape = struct.unpack("<%dI" % dimensions, stream.read(4 * dimensions))  # noqa: UP031
    values = np.frombuffer(stream.read(4 * int(np.prod(shape))), np.float32)
    return values.reshape(shape)


def main(module, cache, *graphs):
    spec = importlib.util.spec_from_file_location("mslite", module)
    mslite = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mslite)
    runtime = mslite.LiteRuntime("cpu", cache=Path(cache))
    runs = [runtime.load(Path(graph)) for graph in graphs]
    inputs, outputs = sys.stdin.buffer, sys.stdout.buffer
    while True:
        header = inputs.read(8)
        if not header:
            return
        number, dimensions = struct.unpack("<2I", header)
        array = runs[number](read_array(inputs, dimensions))
        outputs.write(struct.pack("<%dI" % (2 + array.ndim), number, array.ndim, *array.shape))  # noqa: UP031
        outputs.write(array.tobytes())
        outputs.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
