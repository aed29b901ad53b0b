"""How much of the 3D net neighbouring windows have in common, layer by layer.

A window slides by some frames. A step in time of a layer is the same in both windows if all frames
that it depends on are in both, none of the zeros beside a window among them, and, after a layer
that halves the time, if the slide is a multiple of the strides so far.

python -m ecolite_stream.bench.speed.shared_steps [N [SIDE]]

N is the number of segments, SIDE that of the maps that enter the 3D net: 28 at 224 px. A second
table compares windows with a net that has no ends in time: it computes each step once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ecolite_stream.bench.report.report import Table

SLIDES = (1, 2, 4, 8)
_TAPS = 27


@dataclass(frozen=True)
class Convolution:
    """A 3x3x3 convolution of the 3D net at width 1.

    Attributes:
        name: as published.
        into: input channels.
        out: output channels.
        stride: in time and space.
        depth: of the layer whose output it takes, 0 for the frames, as its place in `NET` plus 1.
    """

    name: str
    into: int
    out: int
    stride: int
    depth: int


NET = (
    Convolution("res3a_2", 96, 128, 1, 0),
    Convolution("res3b_1", 128, 128, 1, 1),
    Convolution("res3b_2", 128, 128, 1, 2),
    Convolution("res4a_1", 128, 256, 2, 3),
    Convolution("res4a_down", 128, 256, 2, 3),
    Convolution("res4a_2", 256, 256, 1, 4),
    Convolution("res4b_1", 256, 256, 1, 6),
    Convolution("res4b_2", 256, 256, 1, 7),
    Convolution("res5a_1", 256, 512, 2, 8),
    Convolution("res5a_down", 256, 512, 2, 8),
    Convolution("res5a_2", 512, 512, 1, 9),
    Convolution("res5b_1", 512, 512, 1, 11),
    Convolution("res5b_2", 512, 512, 1, 12),
)
"""Shortcuts depend on no frame that the layer beside them does not depend on."""


@dataclass(frozen=True)
class Work:
    """A layer's work for one window.

    Attributes:
        steps: steps in time of its output.
        total_stride: frames between two of them.
        per_step: multiply-adds of one.
    """

    steps: int
    total_stride: int
    per_step: int

    @property
    def multiply_adds(self) -> int:
        """Of the window."""
        return self.steps * self.per_step


def work_of(num_segments: int, side: int) -> list[Work]:
    """The work of each layer of `NET`, padding included.

    Args:
        num_segments: N.
        side: of the maps that enter the net.
    """
    outputs = [(num_segments, side, 1)]  # steps, side and total stride
    for layer in NET:
        steps, width, total = outputs[layer.depth]
        shrunk = (-(-steps // layer.stride), -(-width // layer.stride), total * layer.stride)
        outputs.append(shrunk)
    return [
        Work(steps, total, _TAPS * layer.into * layer.out * width**2)
        for layer, (steps, width, total) in zip(NET, outputs[1:], strict=True)
    ]


def shared_steps(num_segments: int, slide: int) -> list[int]:
    """For each layer of `NET`, steps of a window that the window before had, too.

    Args:
        num_segments: N.
        slide: frames from one window to the next.
    """
    # Place in the old window -> place in the new one, of what is the same.
    outputs = [{old: old - slide for old in range(slide, num_segments)}]
    for layer in NET:
        same, stride = outputs[layer.depth], layer.stride
        outputs.append(
            {
                old // stride: new // stride
                for old, new in same.items()
                if old % stride == new % stride == 0
                and all(same.get(old + beside) == new + beside for beside in (-1, 1))
            }
        )
    return [len(same) for same in outputs[1:]]


def saved(num_segments: int, side: int, slide: int, layers: int = len(NET)) -> float:
    """The share of a window's multiply-adds that need not be repeated.

    Args:
        num_segments: N.
        side: of the maps that enter the net.
        slide: frames from one window to the next.
        layers: the first ones of `NET`, whose steps are kept.
    """
    work = work_of(num_segments, side)
    kept = sum(
        steps * layer.per_step
        for layer, steps in list(zip(work, shared_steps(num_segments, slide), strict=True))[:layers]
    )
    return kept / sum(layer.multiply_adds for layer in work)


def layer_table(num_segments: int, side: int, slides: Sequence[int] = SLIDES) -> Table:
    """Steps that are the same, layer by layer, and the multiply-adds that they save."""
    shared = [shared_steps(num_segments, slide) for slide in slides]
    rows: list[tuple[object, ...]] = [
        (
            layer.name,
            work.steps,
            f"{work.multiply_adds / 1e9:.2f}",
            *(f"{steps[place]} ({steps[place] * work.per_step / 1e9:.2f})" for steps in shared),
        )
        for place, (layer, work) in enumerate(zip(NET, work_of(num_segments, side), strict=True))
    ]
    total = sum(work.multiply_adds for work in work_of(num_segments, side))
    for name, layers in (("res3 alone", 3), ("all", len(NET))):
        shares = (f"{saved(num_segments, side, slide, layers):.1%}" for slide in slides)
        rows.append((name, "", f"{total / 1e9:.2f}", *shares))
    return Table(
        f"Steps that neighbouring windows share, N = {num_segments}, maps of {side}x{side}",
        ("layer", "steps", "10^9 mult-adds", *(f"slide {slide}" for slide in slides)),
        [tuple(map(str, row)) for row in rows],
        notes=("In brackets: 10^9 multiply-adds that they save. Below: of the whole net.",),
    )


def continual_table(num_segments: int, side: int, slides: Sequence[int] = SLIDES) -> Table:
    """Multiply-adds of a label: of a window, with res3 kept, and of a net without ends in time."""
    work = work_of(num_segments, side)
    window = sum(layer.multiply_adds for layer in work)
    per_frame = sum(layer.per_step / layer.total_stride for layer in work)
    return Table(
        "10^9 multiply-adds a label",
        ("new frames", "window", "res3 kept", "continual"),
        [
            (
                str(slide),
                f"{window / 1e9:.2f}",
                f"{window * (1 - saved(num_segments, side, slide, 3)) / 1e9:.2f}",
                f"{per_frame * slide / 1e9:.2f}",
            )
            for slide in slides
        ],
        notes=(
            f"continual: each step once, {per_frame / 1e9:.2f} a frame; it gives a label every "
            f"{work[-1].total_stride} frames and computes other numbers than the windows.",
        ),
    )


def main(num_segments: int = 16, side: int = 28) -> None:
    """Print both tables."""
    for table in (layer_table(num_segments, side), continual_table(num_segments, side)):
        print(table)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
