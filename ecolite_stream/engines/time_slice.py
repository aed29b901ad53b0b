"""Keep MindSpore fast on a CPU with other work.

MindSpore's kernels share work with threads that spin. If another process uses the same cores, each
of the hundreds of kernels of a step may wait milliseconds for a descheduled thread. Linux (since
6.12) grants short time slices by `sched_setattr`: the thread runs again sooner, with the same share
of the processor.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys

SLICE_S = 0.0001
"""The shortest slice of Linux."""

_CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""Numbers of `sched_setattr` and `sched_getattr`, for which there is no function in libc."""
_FAIR = (os.SCHED_OTHER, os.SCHED_BATCH) if sys.platform == "linux" else ()


class _Attributes(ctypes.Structure):
    """`struct sched_attr` in its first version; times in nanoseconds."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("slice_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    )


def ask_for_short_slices(slice_s: float = SLICE_S) -> bool:
    """Request short time slices for this thread and those that it starts later.

    Call before `import mindspore`. Niceness and policy stay. Does nothing on other systems, nor to
    threads under a real-time policy.

    Args:
        slice_s: 0.0001 to 0.1; 0 restores the system's.

    Returns:
        Whether the system accepted it; before Linux 6.12 it is accepted and ignored.
    """
    attributes = _read()
    if attributes is None or attributes.policy not in _FAIR:
        return False
    attributes.slice_ns = round(slice_s * 1e9)
    return _call(0, ctypes.byref(attributes), 0)


def time_slice_s() -> float | None:
    """This thread's slice in seconds, 0 if unknown; None without the call."""
    attributes = _read()
    return None if attributes is None else attributes.slice_ns / 1e9


def _read() -> _Attributes | None:
    attributes = _Attributes(size=ctypes.sizeof(_Attributes))
    return attributes if _call(1, ctypes.byref(attributes), attributes.size, 0) else None


def _call(which: int, *arguments: object) -> bool:
    numbers = _CALLS.get(platform.machine()) if sys.platform == "linux" else None
    return numbers is not None and not ctypes.CDLL(None).syscall(numbers[which], 0, *arguments)
