"""Measure the error of float16: a bundle's golden numbers, computed in float16 by MindSpore.

python -m trainer.reference.half [--bundle DIR]

An Ascend 310 computes in float16. This is not that device, but the same graphs in the same number
format: weights, inputs and every layer's result have ten bits after the point.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from ecolite_stream.app.extras import command_needs

with command_needs("mindspore", "train", __name__):
    import mindspore as ms

from ecolite_stream.app.entry import run
from ecolite_stream.engines.check import TOLERANCES, relative_error
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from ecolite_stream.model.preprocess import preprocess
from trainer.network.conv2d_only import conv2d_only_head
from trainer.network.folded import fold_encoder
from trainer.weights.checkpoint import checkpoint_of, network_from


def errors_in_half(bundle: Bundle) -> tuple[float, float]:
    """Relative errors of the golden features and logits, in float16."""
    spec, golden = bundle.spec, bundle.golden()
    network = network_from(checkpoint_of(bundle))
    head = conv2d_only_head(network, spec.num_segments).to_float(ms.float16)
    encoder = fold_encoder(network).to_float(ms.float16)
    images = np.stack([preprocess(image, spec.preprocessing) for image in golden.images])
    features = encoder(ms.Tensor(images)).asnumpy().astype(np.float32)
    logits = head(ms.Tensor(features[None])).asnumpy()[0].astype(np.float32)
    return relative_error(features, golden.features), relative_error(logits, golden.logits)


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), help="[the embedded one]")
def main(bundle: Path | None) -> None:
    """Compute a bundle's golden numbers in float16."""
    chosen = read_bundle(bundle or demo_bundle_path())
    features, logits = errors_in_half(chosen)
    allowed = TOLERANCES["f16"]
    click.echo(f"features off {features:.1e}, logits off {logits:.1e}; allowed {allowed:.0e}")


if __name__ == "__main__":
    run(main)
