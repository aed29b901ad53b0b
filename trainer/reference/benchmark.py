"""`ecolite-bench` with PyTorch eager on the same weights as a further reference.

python -m trainer.reference.benchmark speed ...

The runtime has no network definition, so this reference is not among its own.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec

from ecolite_stream.app.extras import command_needs
from ecolite_stream.bench import cli
from ecolite_stream.bench.speed.references import REFERENCES
from ecolite_stream.engines.check import TOLERANCES, relative_error
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.types import FloatArray

with command_needs("mindspore", "train", __name__):
    from trainer.weights.published import pytorch_name


class TorchReference:
    """ECO-Lite in PyTorch eager, in the two parts of our graphs, with a bundle's weights.

    Raises:
        EngineError: it does not give the bundle's golden numbers.
    """

    name = "torch"

    def __init__(self, bundle: Bundle) -> None:
        import torch

        from trainer.reference.torch_eco import TorchEco

        self._torch = torch
        self._model = TorchEco(len(bundle.spec.labels), width=bundle.spec.width)
        weights = {name: torch.from_numpy(value) for name, value in published_apart(bundle).items()}
        self._model.load_state_dict(weights, strict=False)
        self._model.eval()
        golden = bundle.golden()
        error = relative_error(self.classify(golden.features[None])[0], golden.logits)
        if error > TOLERANCES["f32"]:
            raise EngineError(f"reference torch is off by {error:.1e} of the golden logits")

    def encode(self, images: FloatArray) -> FloatArray:
        with self._torch.inference_mode():
            return self._model.maps(self._model.trunk(self._torch.from_numpy(images))).numpy()

    def classify(self, features: FloatArray) -> FloatArray:
        with self._torch.inference_mode():
            pooled = self._model.pool(self._torch.from_numpy(features))
            return self._model.new_fc(pooled).numpy()

    def close(self) -> None:
        del self._model


def published_apart(bundle: Bundle) -> dict[str, FloatArray]:
    """The same as `published`; MindSpore, which reads them, stays out of this process' memory."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(published, bundle).result()


def published(bundle: Bundle) -> dict[str, FloatArray]:
    """The weights in a bundle's graphs, under the published names."""
    from trainer.weights.checkpoint import checkpoint_of

    parameters = checkpoint_of(bundle).parameters
    return {pytorch_name(name): value for name, value in parameters.items()}


if __name__ == "__main__":
    if find_spec("torch"):
        REFERENCES["torch"] = TorchReference
    cli.main()
