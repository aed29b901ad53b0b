"""A bundle's head in the parts of `reuse`, for OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ecolite_stream.engines.base import Run
from ecolite_stream.engines.reuse import ReusingHead, Stage
from ecolite_stream.errors import EngineError
from ecolite_stream.types import FloatArray

Compile = Callable[[Any], Any]
"""A model of OpenVINO -> a request that runs it."""

_ANY = -1
_PADDED = ([1, 1], [1, 1], [1, 1], [1, 1])
"""Strides, padding at both sides and dilations of a 3x3 convolution."""


def reusing_run(openvino: Any, model: Any, compile_model: Compile, source: str) -> Run:
    """A head that keeps what it computed: features (B, N, C, h, w) -> logits (B, classes).

    Args:
        openvino: the library, as `engines.openvino` imports it.
        model: a head of ECO-Lite with 2D convolutions only, as OpenVINO reads it; it is changed.
        compile_model: compiles its parts.
        source: the file of the model, for errors.

    Raises:
        EngineError: the model is another one.
    """
    parts = _Parts(openvino, model, source)
    built = [parts.first(), parts.second(), parts.third(), parts.rest()]
    first, second, third, rest = (_runner(compile_model(part)) for part in built)
    return ReusingHead(Stage(first, second, third, lambda maps: np.array(rest(maps)[0]))).classify


def _runner(request: Any) -> Callable[..., Sequence[FloatArray]]:
    outputs = range(len(request.model_outputs))

    def run(*inputs: FloatArray) -> Sequence[FloatArray]:
        request.start_async(list(inputs), share_inputs=True)
        request.wait()
        # The next call reuses these buffers; `ReusingHead` copies each step.
        return [request.get_output_tensor(place).data for place in outputs]

    return run


class _Parts:
    """Finds the weights of a head by the names that the export gives them."""

    def __init__(self, openvino: Any, model: Any, source: str) -> None:
        self._openvino = openvino
        self._ops = openvino.opset13
        self._model = model
        self._source = source
        self._constants = {
            op.get_friendly_name(): op for op in model.get_ops() if op.get_type_name() == "Constant"
        }
        shape = list(model.input(0).shape)
        if len(shape) != 5:
            raise self._unlike("takes no maps")
        self._steps, _, self._height, self._width = shape[1:]

    def first(self) -> Any:
        neighbours = self._parameter(self._in_channels("res3a_2") * 3)
        summed = self._convolved("res3a_2", neighbours)
        return self._made([summed, self._normalized("res3a_bn", summed)], [neighbours])

    def second(self) -> Any:
        neighbours = self._parameter(self._in_channels("res3b_1") * 3)
        return self._made([self._ops.relu(self._convolved("res3b_1", neighbours))], [neighbours])

    def third(self) -> Any:
        channels = self._in_channels("res3b_2")
        neighbours, shortcut = self._parameter(channels * 3), self._parameter(channels)
        summed = self._ops.add(shortcut, self._convolved("res3b_2", neighbours))
        return self._made([self._normalized("res3b_bn", summed)], [neighbours, shortcut])

    def rest(self) -> Any:
        """The model from the output of res3 on."""
        output = self._node("res3b_bn.shift")
        for kind in ("Add", "Relu"):
            users = {target.get_node() for target in output.output(0).get_target_inputs()}
            if [user.get_type_name() for user in users] != [kind]:
                raise self._unlike("has no batch norm and ReLU after res3b_2")
            (output,) = users
        maps = self._parameter(self._value("res3b_bn.shift").size, self._steps)
        for target in output.output(0).get_target_inputs():
            target.replace_source_output(maps.output(0))
        return self._made(self._model.get_results(), [maps])

    def _convolved(self, layer: str, neighbours: Any) -> Any:
        taps = [self._value(f"{layer}.{tap}") for tap in ("before", "at", "after")]
        kernel = self._ops.constant(np.concatenate(taps, axis=1))
        bias_1C11 = self._ops.constant(self._value(f"{layer}.bias").reshape((1, -1, 1, 1)))
        return self._ops.add(self._ops.convolution(neighbours, kernel, *_PADDED), bias_1C11)

    def _normalized(self, norm: str, maps: Any) -> Any:
        scale, shift = (
            self._ops.constant(self._value(f"{norm}.{which}")) for which in ("scale", "shift")
        )
        return self._ops.relu(self._ops.add(self._ops.multiply(maps, scale), shift))

    def _parameter(self, channels: int, steps: int = _ANY) -> Any:
        shape = [steps, channels, self._height, self._width]
        return self._ops.parameter(shape, np.float32)

    def _made(self, outputs: Sequence[Any], inputs: Sequence[Any]) -> Any:
        return self._openvino.Model(list(outputs), list(inputs), "part")

    def _in_channels(self, layer: str) -> int:
        return int(self._value(f"{layer}.at").shape[1])

    def _value(self, name: str) -> FloatArray:
        return np.array(self._node(name).data, np.float32)

    def _node(self, name: str) -> Any:
        found = self._constants.get(f"net.{name}")
        if found is None:
            raise self._unlike(f"has no net.{name}")
        return found

    def _unlike(self, why: str) -> EngineError:
        return EngineError(
            f"engine openvino: {self._source} {why}, so nothing of it can be reused; set reuse: "
            "false, or name a bundle of ECO-Lite in float32 with 3 segments or more"
        )
