"""Which device MindSpore computes on."""

from __future__ import annotations

import re

import mindspore as ms

from ecolite_stream.commands import one_line
from ecolite_stream.errors import ConfigError, EngineError
from trainer.config import DEVICE_TARGETS
from trainer.published import silent_log


def use_device(device: str) -> None:
    """Let everything that follows run on a device: `CPU`, `Ascend`, `Ascend:1`, ...

    Raises:
        ConfigError: that is no device.
        EngineError: this MindSpore or this machine has none, or it can no longer be changed.
    """
    target, number = parse_device(device)
    if number is None and ms.get_context("device_target") == target:
        return
    try:
        with silent_log():
            if number is None:
                ms.set_device(target)
            else:
                ms.set_device(target, number)
    except (RuntimeError, ValueError, TypeError) as error:
        why = one_line(error).partition(" Please ")[0][:200].rstrip(".")
        raise EngineError(
            f"MindSpore {ms.__version__} cannot use device {device}: {why}; install MindSpore for "
            "that device and its driver, or use CPU"
        ) from error


def parse_device(device: str) -> tuple[str, int | None]:
    """`Ascend:1` -> (`Ascend`, 1); without a number None, and MindSpore chooses the first.

    Raises:
        ConfigError: it is none of `DEVICE_TARGETS` with a number or without.
    """
    match = re.fullmatch(r"(\w+)(?::(\d{1,4}))?", device)
    if not match or match[1] not in DEVICE_TARGETS or (match[1] == "CPU" and match[2]):
        raise ConfigError(f"device is {device!r}; expected CPU, Ascend[:ID] or GPU[:ID]")
    return match[1], int(match[2]) if match[2] else None
