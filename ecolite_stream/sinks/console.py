"""Predictions as lines of text, for people."""

from __future__ import annotations

from typing import TextIO

import click

from ecolite_stream.sinks.base import Sink
from ecolite_stream.types import Prediction

SURE = 0.6
BAR_WIDTH = 10


class ConsoleSink(Sink):
    """Time, label, score and what else it could be: `   2.52 s  wave2   97% ######### | jack 2%`.

    Args:
        out: where the lines go; it stays open.
        label_width: columns for the label.
        show_stream: start each line with the stream's name.
    """

    def __init__(self, out: TextIO, label_width: int = 12, show_stream: bool = False) -> None:
        self._out = out
        self._label_width = label_width
        self._show_stream = show_stream

    def send(self, prediction: Prediction) -> None:
        click.echo(self.line(prediction), file=self._out)
        self._out.flush()

    def line(self, prediction: Prediction) -> str:
        """A prediction as one line, without its line break; colours go where they are shown."""
        name = f"{prediction.stream}  " if self._show_stream else ""
        label = f"{prediction.label:<{self._label_width}}"
        bar = "#" * round(BAR_WIDTH * prediction.score)
        others = "".join(f" | {label} {score:.0%}" for label, score in prediction.top[1:3])
        colour = "green" if prediction.score >= SURE else "yellow"
        return (
            f"{name}{prediction.time_s:8.2f} s  {click.style(label, fg=colour, bold=True)} "
            f"{prediction.score:4.0%} {bar:<{BAR_WIDTH}}{others}"
        )

    def close(self) -> None:
        """Nothing is left to do."""
