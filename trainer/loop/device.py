"""Which device MindSpore computes on."""

from __future__ import annotations

import mindspore as ms

from ecolite_stream.engines import mindspore as engine
from ecolite_stream.engines.base import parse_device
from trainer.weights.reading import silent_log


def use_device(device: str) -> None:
    """Let everything that follows run on a device: `CPU`, `Ascend`, `ascend:1`, ...

    Raises:
        ConfigError: that is no device.
        EngineError: this MindSpore or this machine has none, or it can no longer be changed.
    """
    with silent_log():
        engine.use_device(ms, parse_device(device))
