"""Upper limit of this machine: a large matrix product by numpy's BLAS and by each library.

Convolutions are matrix products, so no network exceeds its multiply-adds per second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecolite_stream.engines.openvino import import_openvino, infer, settings, shared_core
from ecolite_stream.types import FloatArray

SIDE = 1536
"""Side of the square matrices: so large that moving them costs little."""

PRODUCT_MULTIPLY_ADDS = SIDE**3

Product = Callable[[], object]


def numpy_product() -> Product:
    """A float32 matrix product by the BLAS that numpy has."""
    left, right = _matrices()
    out = np.empty_like(left)
    return lambda: np.matmul(left, right, out=out)


def library_product(library: str, precision: str) -> Product | None:
    """The same product by an inference library; None for others, and in int8.

    Args:
        library: `openvino`, `mindspore` or `torch`; it is installed.
        precision: `f32`, `bf16` or `int8`.
    """
    make = _PRODUCTS.get(library) if precision != "int8" else None
    return make(precision) if make else None


def _openvino(precision: str) -> Product:
    openvino = import_openvino()
    ops = openvino.opset13
    left, right = _matrices()
    parameter = ops.parameter([SIDE, SIDE], np.float32)
    model = openvino.Model([ops.matmul(parameter, ops.constant(right), False, False)], [parameter])
    compiled = shared_core(openvino).compile_model(model, "CPU", settings(precision))
    request: Any = compiled.create_infer_request()
    return lambda: infer(request, left)


def _mindspore(precision: str) -> Product:
    import mindspore

    left, right = map(mindspore.Tensor, _matrices())
    return lambda: mindspore.ops.matmul(left, right).asnumpy()


def _torch(precision: str) -> Product:
    import torch

    left, right = map(torch.from_numpy, _matrices())
    return lambda: torch.mm(left, right)


_PRODUCTS: dict[str, Callable[[str], Product]] = {
    "openvino": _openvino,
    "mindspore": _mindspore,
    "torch": _torch,
}


def _matrices() -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, SIDE, SIDE)).astype(np.float32)
    return left, right
