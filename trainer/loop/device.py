"""Select MindSpore's device."""

from __future__ import annotations

import mindspore as ms

from ecolite_stream.engines import mindspore as engine
from ecolite_stream.engines.base import parse_device
from trainer.weights.reading import silent_log


def use_device(device: str) -> None:
    """Select the device: `CPU`, `Ascend`, `ascend:1`, ...

    Raises:
        ConfigError: the name is no device.
        EngineError: MindSpore or this machine lacks it, or another is in use.
    """
    with silent_log():
        engine.use_device(ms, parse_device(device))
