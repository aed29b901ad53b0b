"""Converts a bundle's 2D graphs for an Ascend 310 with the vendor's tools: scripts/convert_310.sh.

Sources: MindSpore Lite's "Ascend Conversion Tool Description", CANN's "ATC" and its AIPP template.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from ecolite_stream.app.entry import run
from ecolite_stream.engines.mindspore_lite import conv2d_only_graph
from ecolite_stream.errors import BundleError, ConfigError, EngineError
from ecolite_stream.model.bundle import (
    PARTS,
    Bundle,
    Graph,
    ModelSpec,
    read_bundle,
    write_description,
)
from ecolite_stream.model.graph_files import require_self_contained

TOOLS = ("converter_lite", "atc")
AIPP, LITE_CONFIG = "aipp.cfg", "converter.cfg"


@dataclass(frozen=True)
class Conversion:
    """Settings of a conversion.

    Attributes:
        tool: one of `TOOLS`. `converter_lite` writes `.mindir` for engine `mslite`; `atc` writes
            `.om` for CANN programs.
        soc: the chip, as in npu-smi info; `atc` needs it.
        aipp: subtract the mean and scale on the device. The encoder then takes (1, S, S, 3) uint8
            BGR pictures, which engine `mslite` does not supply.
    """

    tool: str = "converter_lite"
    soc: str = "Ascend310"
    aipp: bool = False

    def command(self, bundle: Bundle, part: str, folder: Path) -> list[str]:
        """The command line that converts one of `PARTS` into a folder with the `settings` files.

        Raises:
            EngineError: the bundle has no 2D graph of this part.
            BundleError: the graph needs files that the bundle's hashes do not cover.
        """
        graph = conv2d_only_graph(bundle, part)
        require_self_contained(bundle.file(graph.file), graph.format)
        source = str(bundle.file(graph.file))
        name, shape = input_of(bundle.spec, part)
        sizes = ",".join(map(str, shape))
        with_aipp = self.aipp and part == "encoder"
        if self.tool == "atc":
            words = ["atc", "--framework=5", f"--model={source}", f"--output={folder / part}"]
            words += [f"--input_shape={name}:{sizes}", f"--soc_version={self.soc}"]
            return words + ([f"--insert_op_conf={folder / AIPP}"] if with_aipp else [])
        words = ["converter_lite", "--fmk=ONNX", f"--modelFile={source}"]
        words += [f"--outputFile={folder / part}", f"--inputShape={name}:{sizes}"]
        words += ["--saveType=MINDIR", "--optimize=ascend_oriented"]
        return [*words, f"--configFile={folder / f'{part}-{LITE_CONFIG}'}"]

    def settings(self, spec: ModelSpec, folder: Path) -> dict[str, str]:
        """Text of the files that the commands read, by name."""
        files = {AIPP: aipp_settings(spec)} if self.aipp else {}
        if self.tool == "converter_lite":
            for part in PARTS:
                lines = ["[ascend_context]", "precision_mode=enforce_fp16"]
                if self.aipp and part == "encoder":
                    lines.append(f"insert_op_config_file_path={folder / AIPP}")
                files[f"{part}-{LITE_CONFIG}"] = "\n".join(lines) + "\n"
        return files


def input_of(spec: ModelSpec, part: str) -> tuple[str, tuple[int, ...]]:
    """Name and shape of a 2D graph's input, as `trainer` exports it."""
    if part == "encoder":
        return "images_KCHW", (1, 3, spec.preprocessing.image_size, spec.preprocessing.image_size)
    name = "features_BND" if len(spec.feature_shape) == 1 else "features_BNCHW"
    return name, (1, spec.num_segments, *spec.feature_shape)


def aipp_settings(spec: ModelSpec) -> str:
    """CANN's preprocessing on the device: BGR pictures of S x S, minus mean, times scale."""
    how = spec.preprocessing
    lines = [
        "aipp_mode: static",
        "input_format: RGB888_U8",  # three bytes a pixel; their order does not matter here
        f"src_image_size_w: {how.image_size}",
        f"src_image_size_h: {how.image_size}",
        "csc_switch: false",
        f"rbuv_swap_switch: {'true' if how.channel_order == 'RGB' else 'false'}",
        *(f"min_chn_{i}: {mean:g}" for i, mean in enumerate(how.mean)),  # mean_chn is for integers
        *(f"var_reci_chn_{i}: {how.scale:g}" for i in range(3)),
    ]
    return "aipp_op {\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def convert(bundle: Bundle, how: Conversion, folder: Path) -> None:
    """Convert both graphs into a new folder; after an error there is no folder.

    With `converter_lite` and no AIPP the folder is a bundle for engine `mslite`.

    Raises:
        BundleError: the folder exists, or cannot be written.
        EngineError: the tool is missing or fails.
    """
    if folder.exists():
        raise BundleError(f"{folder} exists already; name a new folder")
    if shutil.which(how.tool) is None:
        raise EngineError(
            f"{how.tool} is not on the path; install MindSpore Lite's or CANN's tools and source "
            "set_env.sh, or print the commands with --print"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".convert-") as made:
            draft = Path(made) / "bundle"
            draft.mkdir()
            settings = how.settings(bundle.spec, draft)
            for name, text in settings.items():
                (draft / name).write_text(text, encoding="utf-8")
            suffix = ".om" if how.tool == "atc" else ".mindir"
            for part in PARTS:
                words = how.command(bundle, part, draft)
                code = subprocess.run(words, stdout=2, check=False).returncode
                if code or not (draft / f"{part}{suffix}").is_file():
                    raise EngineError(
                        f"{how.tool} did not convert the {part}, exit code {code}; see above"
                    )
            for name in settings:  # they name folders of this machine
                (draft / name).unlink()
            if how.tool == "converter_lite" and not how.aipp:
                _describe(bundle, draft)
            draft.rename(folder)
    except OSError as error:
        raise BundleError(f"{folder} cannot be written: {error}") from error


def _describe(bundle: Bundle, folder: Path) -> None:
    """Make the folder a bundle that holds only the converted graphs."""
    for name in bundle.files:
        shutil.copyfile(bundle.file(name), folder / name)
    graphs = [Graph(part, "ms", f"{part}.mindir", "f16", (1,)) for part in PARTS]
    write_description(folder, bundle.spec, graphs, bundle.files)


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder.")
@click.option("--tool", type=click.Choice(TOOLS), default=TOOLS[0], show_default=True)
@click.option("--soc", help="Chip, for atc. [Ascend310]")
@click.option("--aipp", is_flag=True, help="Apply mean and scale on the device; inputs are uint8.")
@click.option("--print", "only_print", is_flag=True, help="Print the commands, run nothing.")
def main(bundle: Path, out: Path, tool: str, soc: str | None, aipp: bool, only_print: bool) -> None:
    """Convert the 2D graphs of BUNDLE for an Ascend 310, into the folder --out."""
    if soc == "":
        raise ConfigError("--soc is empty; expected a chip such as Ascend310")
    if soc and tool != "atc":
        raise ConfigError(f"--soc is for atc, not {tool}; add --tool atc or remove --soc")
    read, how = read_bundle(bundle), Conversion(tool, soc or "Ascend310", aipp)
    if not only_print:
        convert(read, how, out)
        return
    for name, text in how.settings(read.spec, out).items():
        click.echo(f"# {out / name}\n{text}")
    for part in PARTS:
        click.echo(shlex.join(how.command(read, part, out)))


if __name__ == "__main__":
    run(main)
