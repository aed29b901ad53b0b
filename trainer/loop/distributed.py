"""One training in several processes: MindSpore's data parallelism.

`trainer.launch` starts the processes with `msrun`. Each takes its own part of a batch, gradients
and losses are averaged over all, so that N processes with batches of b learn what one with batches
of N * b learns (batch norm aside, which sees b clips unless it is frozen).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import mindspore.nn as nn
import mindspore.ops as ops
import numpy as np

from ecolite_stream.errors import ConfigError, EngineError, one_line

ROLE = "MS_ROLE"
"""msrun tells each process its part by this variable."""
STATISTICS = (".moving_mean", ".moving_variance")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Group:
    """Which of how many processes this is.

    Attributes:
        rank: 0 to size - 1; only 0 writes and speaks.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0


ALONE = Group()


def join_group() -> Group:
    """Find the other processes of this training; the device must be chosen already.

    Raises:
        ConfigError: this process was not started together with others.
        EngineError: they do not find each other.
    """
    if ROLE not in os.environ and "RANK_TABLE_FILE" not in os.environ:
        raise ConfigError(
            "run_distribute is for processes that are started together; use "
            "scripts/run_distribute_train.sh, or python -m trainer.launch"
        )
    from mindspore import communication

    try:
        communication.init()
        group = Group(communication.get_rank(), communication.get_group_size())
    except (RuntimeError, ValueError, TypeError) as error:
        raise EngineError(
            f"the processes of this training do not find each other: {one_line(error)}; see the "
            "logs of the others"
        ) from error
    ms.set_auto_parallel_context(
        parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=group.size
    )
    return group


def averaging(
    loss_and_gradients: Callable[..., tuple[Any, Any]], parameters: Any, group: Group
) -> Callable[..., tuple[Any, Any]]:
    """The same function with its loss and its gradients averaged over a group; compiles."""
    if group.size == 1:
        return loss_and_gradients
    average = nn.DistributedGradReducer(parameters, mean=True, degree=group.size)
    add_up = ops.AllReduce()
    share = 1 / group.size

    def averaged(inputs: ms.Tensor, labels: ms.Tensor) -> tuple[Any, Any]:
        loss, gradients = loss_and_gradients(inputs, labels)
        return add_up(loss) * share, average(gradients)

    return averaged


def sum_over(group: Group, values: np.ndarray[Any, np.dtype[np.float32]]) -> Any:
    """The sum of everybody's float32 array, of one shape everywhere."""
    if group.size == 1:
        return values
    return np.array(ops.AllReduce()(ms.Tensor(values)).asnumpy())


def average_statistics(network: nn.Cell, group: Group) -> None:
    """Let every process go on with the mean of all running statistics of its batch norms."""
    if group.size == 1:
        return
    for name, parameter in network.parameters_and_names():
        if name.endswith(STATISTICS):
            parameter.set_data(ms.Tensor(sum_over(group, parameter.asnumpy()) / group.size))
