"""`ecolite-bench` with PyTorch eager on the same weights as a further reference.

python -m tests.bench.torch_reference speed ...

The runtime has no network definition; the PyTorch one that the tests hold ours against lies here.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from ecolite_stream.bench import cli
from ecolite_stream.bench.references import REFERENCES
from ecolite_stream.bundle import Bundle
from ecolite_stream.engines.check import TOLERANCE, relative_error
from ecolite_stream.errors import EngineError
from ecolite_stream.types import FloatArray
from trainer.published import pytorch_name


class TorchReference:
    """ECO-Lite in PyTorch eager, in the two parts of our graphs, with a bundle's weights.

    Raises:
        EngineError: it does not give the bundle's golden numbers.
    """

    name = "torch"

    def __init__(self, bundle: Bundle) -> None:
        import torch

        from tests.torch_eco import TorchEco

        self._torch = torch
        self._model = TorchEco(len(bundle.spec.labels), width=bundle.spec.width)
        weights = {name: torch.from_numpy(value) for name, value in published(bundle).items()}
        self._model.load_state_dict(weights, strict=False)
        self._model.eval()
        golden = bundle.golden()
        error = relative_error(self.classify(golden.features[None])[0], golden.logits)
        if error > TOLERANCE:
            raise EngineError(f"reference torch is off by {error:.1e} of the golden logits")

    def encode(self, images: FloatArray) -> FloatArray:
        from tests.torch_eco import max_pool_ceil

        model = self._model
        with self._torch.inference_mode():
            x = max_pool_ceil(model._apply2d(self._torch.from_numpy(images), "conv1_7x7_s2"))
            x = max_pool_ceil(model._apply2d(x, "conv2_3x3_reduce", "conv2_3x3"))
            x = model._apply_inception("3b", model._apply_inception("3a", x))
            names = ("inception_3c_double_3x3_reduce", "inception_3c_double_3x3_1")
            return model._apply2d(x, *names).numpy()

    def classify(self, features: FloatArray) -> FloatArray:
        with self._torch.inference_mode():
            x = self._torch.from_numpy(features).transpose(1, 2)
            for stage in (3, 4, 5):
                x = self._model._apply_residual(stage, x)
            return self._model.new_fc(x.mean((2, 3, 4))).numpy()

    def close(self) -> None:
        del self._model


def published(bundle: Bundle) -> dict[str, FloatArray]:
    """The weights in a bundle's graphs, under the published names."""
    import mindspore as ms

    return {
        pytorch_name(name): np.array(parameter.asnumpy())
        for graph in ("encoder.mindir", "head.mindir")
        for name, parameter in ms.nn.GraphCell(
            ms.load(str(bundle.file(graph)))
        ).parameters_and_names()
    }


if __name__ == "__main__":
    if find_spec("torch"):
        REFERENCES["torch"] = TorchReference
    cli.main()
