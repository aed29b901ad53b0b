"""Mixed precision: convolutions in float16, the rest and every parameter in float32.

The loss is scaled so that float16 does not round small gradients to zero; MindSpore's
`DynamicLossScaler` adapts the scale to overflows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mindspore as ms
import mindspore.nn as nn

from trainer.network import Network

FIRST_SCALE = 2.0**16
STEPS_UNTIL_DOUBLED = 1000


def use_mixed_precision(network: Network) -> None:
    """Compute convolutions in float16; batch norms and the classifier stay in float32."""
    network.encoder.to_float(ms.float16)
    network.head.net3d.to_float(ms.float16)
    if hasattr(network.head, "stream2d"):
        network.head.stream2d.to_float(ms.float16)
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d | nn.Dense):
            cell.to_float(ms.float32)


def loss_scaler(precision: str) -> Any:
    """The loss scaler of mixed precision, else None."""
    if precision != "mixed":
        return None
    return ms.amp.DynamicLossScaler(FIRST_SCALE, 2, STEPS_UNTIL_DOUBLED)


def state_of_scaler(scaler: Any) -> dict[str, float]:
    """The scaler's state, for a resumed training."""
    if scaler is None:
        return {}
    return {"scale": float(scaler.scale_value), "steps": int(scaler.counter)}


def restore_scaler(scaler: Any, state: Mapping[str, float]) -> None:
    """Restore `state_of_scaler`."""
    if scaler is not None and state:
        scaler.scale_value.set_data(ms.Tensor(state["scale"], ms.float32))
        scaler.counter.set_data(ms.Tensor(int(state["steps"]), ms.int32))
