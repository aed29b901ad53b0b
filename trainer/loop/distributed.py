"""One training in several processes: MindSpore's data parallelism.

`trainer.launch` starts the processes with `msrun`. Each takes its own part of a batch; gradients
and losses are averaged. N processes with batches of b learn what one with batches of N * b learns,
except for batch norm that is not frozen: it sees b clips.
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
"""msrun sets this variable to the rank of each process."""
STATISTICS = (".moving_mean", ".moving_variance")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Group:
    """Rank and number of the processes of a training.

    Attributes:
        rank: 0 to size - 1; only 0 writes files and logs.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0


ALONE = Group()


def join_group() -> Group:
    """Join the other processes of this training; select the device first.

    Raises:
        ConfigError: this process was not started together with others.
        EngineError: they cannot connect.
    """
    if ROLE not in os.environ and "RANK_TABLE_FILE" not in os.environ:
        raise ConfigError(
            "run_distribute needs processes that are started together; use "
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
    """Sum of a float32 array over all processes; the shape is the same in each."""
    if group.size == 1:
        return values
    return np.array(ops.AllReduce()(ms.Tensor(values)).asnumpy())


def average_statistics(network: nn.Cell, group: Group) -> None:
    """Average the running statistics of batch norms over all processes."""
    if group.size == 1:
        return
    for name, parameter in network.parameters_and_names():
        if name.endswith(STATISTICS):
            parameter.set_data(ms.Tensor(sum_over(group, parameter.asnumpy()) / group.size))
