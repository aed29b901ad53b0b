"""Time the 3D net, exported in three forms, in each library.

python -m trainer.reference.heads [--num-segments 4] [--image-size 224] [--width 1] [--clips 1]

    as trained   3D convolutions
    trimmed      the same without the taps in time that no step meets
    2D           2D convolutions only, batch norm folded: what all ONNX in a bundle is

Of several clips, the first two forms take all in one call; the third takes them one by one.

Weights are random, and the forms take turns. Run it on an idle machine.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from ecolite_stream.app.extras import command_needs

with command_needs("mindspore", "train", __name__):
    import mindspore as ms
    import mindspore.nn as nn

from ecolite_stream.app.entry import run
from ecolite_stream.bench.measuring.machine import machine_facts, versions
from ecolite_stream.bench.measuring.timing import time_in_turns
from ecolite_stream.engines.base import import_library
from ecolite_stream.engines.check import relative_error
from ecolite_stream.engines.openvino import import_openvino, infer, settings, shared_core
from ecolite_stream.errors import EngineError
from ecolite_stream.recognition.step import MOST_AT_ONCE
from ecolite_stream.types import FloatArray
from trainer.exporting.deploy import TOLERANCE, export_graph
from trainer.network import NetworkConfig, build_network
from trainer.network.conv2d_only import conv2d_only_head
from trainer.network.trimmed import trim_taps

FORMS = ("as trained", "trimmed", "2D")
CLASSES = 101

Head = Callable[[FloatArray], FloatArray]


def head_of(form: str, config: NetworkConfig) -> nn.Cell:
    """The head of a network with fixed random weights, in one of `FORMS`."""
    ms.set_seed(0)
    network = build_network(config)
    network.set_train(False)
    if form == "2D":
        return conv2d_only_head(network, config.num_segments)
    if form == "trimmed":
        trim_taps(network, config.num_segments)
    head: nn.Cell = network.head
    head.set_train(False)
    return head


def in_mindspore(head: nn.Cell, example: FloatArray, folder: Path) -> Head:
    """As engine `mindspore` runs it."""
    export_graph(head, ms.Tensor(example), folder / "head.mindir", "MINDIR")
    cell = nn.GraphCell(ms.load(str(folder / "head.mindir")))
    return lambda features: np.array(cell(ms.Tensor(features)).asnumpy())


def in_openvino(head: nn.Cell, example: FloatArray, folder: Path) -> Head:
    """As engine `openvino` runs it."""
    core = shared_core(import_openvino())
    export_graph(head, ms.Tensor(example), folder / "head.onnx", "ONNX")
    compiled = core.compile_model(str(folder / "head.onnx"), "CPU", settings("f32"))
    request = compiled.create_infer_request()
    return lambda features: infer(request, features)


def in_onnxruntime(head: nn.Cell, example: FloatArray, folder: Path) -> Head:
    """With ONNX Runtime's default settings."""
    library = import_library("onnxruntime", "ecolite-stream[onnxruntime]")
    export_graph(head, ms.Tensor(example), folder / "head.onnx", "ONNX")
    session = library.InferenceSession(folder / "head.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda features: np.asarray(session.run(None, {name: features})[0])


LIBRARIES = {"mindspore": in_mindspore, "openvino": in_openvino, "onnxruntime": in_onnxruntime}


def loaded(
    library: str, form: str, config: NetworkConfig, features_BNCHW: FloatArray, folder: Path
) -> Head:
    """A head for as many clips as these; form 2D runs them one by one."""
    load, head = LIBRARIES[library], head_of(form, config)
    if form != "2D":
        return load(head, features_BNCHW, folder)
    one = load(head, features_BNCHW[:1], folder)
    return lambda clips: np.concatenate([one(clip[None]) for clip in clips])


@click.command()
@click.option("--num-segments", default=4, show_default=True, type=click.IntRange(2))
@click.option("--image-size", default=224, show_default=True)
@click.option("--width", default=1.0, show_default=True)
@click.option("--clips", default=1, show_default=True, type=click.IntRange(1, MOST_AT_ONCE))
@click.option(
    "--library",
    "names",
    type=click.Choice(tuple(LIBRARIES)),
    multiple=True,
    help="Library; repeat for more. [all]",
)
@click.option("--processor", is_flag=True, help="Measure processor time in place of wall time.")
@click.option("--seconds", default=1.6, show_default=True, help="Seconds to measure each.")
def main(
    num_segments: int,
    image_size: int,
    width: float,
    clips: int,
    names: tuple[str, ...],
    processor: bool,
    seconds: float,
) -> None:
    """Time the head in each form and library."""
    config = NetworkConfig("eco_lite", num_segments, image_size, CLASSES, width)
    shape = (clips, num_segments, *build_network(config).feature_shape)
    features = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = head_of("as trained", config)(ms.Tensor(features)).asnumpy()
    heads: dict[str, dict[str, Head]] = {library: {} for library in names or LIBRARIES}
    for form in FORMS:
        for library in heads:
            with tempfile.TemporaryDirectory(prefix="heads-") as folder:
                heads[library][form] = loaded(library, form, config, features, Path(folder))
            error = relative_error(heads[library][form](features), expected)
            if not error <= TOLERANCE:
                raise EngineError(f"{library}, {form}: off by {error:.1e}")
    calls = {
        library: {form: lambda head=head: head(features) for form, head in own.items()}
        for library, own in heads.items()
    }
    for facts in (machine_facts(), versions()):
        click.echo(", ".join(f"{key} {value}" for key, value in facts.items()))
    click.echo(
        f"N={num_segments}, {image_size} px, width {width:g}, {clips} clips; "
        f"p50 {'of processor time ' if processor else ''}in ms a clip, and of as trained"
    )
    clock = time.process_time if processor else time.perf_counter
    for library, own in time_in_turns(calls, seconds, clock=clock).items():
        first = own[FORMS[0]].p50_ms
        times = [
            f"{form} {timing.p50_ms / clips:.2f} ({timing.p50_ms / first:.2f})"
            for form, timing in own.items()
        ]
        click.echo(f"  {library:12} {', '.join(times)}")


if __name__ == "__main__":
    run(main)
