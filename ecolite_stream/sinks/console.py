"""Predictions or events as lines of text, for people."""

from __future__ import annotations

import logging
import os
import shutil
from typing import TextIO

import click

from ecolite_stream.config.printable import printable
from ecolite_stream.sinks.base import Sink
from ecolite_stream.types import Event, Output, Prediction

SURE = 0.6
BAR_WIDTH = 10
_UP, _CLEAR = "\x1b[{}F", "\x1b[K"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"


class ConsoleSink(Sink):
    """Time, label, score and what else it could be: `   2.52 s  wave2   97% ######### | jack 2%`.

    What is unlike the training has `| unknown` before the others.
    Of events, when each began and ended: `   15.0 s  wave2 ended after 2.5 s, peak 97%`.

    On a terminal each stream has one line, which shows its newest prediction; where there is no
    room for all, those that began first have, and a line says how many more there are. What is
    logged meanwhile stays above them. Elsewhere, and of events, every line stays.

    Args:
        out: where the lines go; it stays open.
        label_width: columns for the label.
        show_stream: start each line with the stream's name.
        events: take events instead of predictions.
    """

    def __init__(
        self,
        out: TextIO,
        label_width: int = 12,
        show_stream: bool = False,
        events: bool = False,
    ) -> None:
        self.takes = (Event,) if events else (Prediction,)
        self._out = out
        self._label_width = label_width
        self._show_stream = show_stream
        self._rows: dict[str, str] = {}  # by stream, in the order in which they began
        self._shown = _Shown()

    def __enter__(self) -> Sink:
        if _moves(self._out):
            logging.root.addHandler(self._shown)
        return self

    def send(self, output: Output) -> None:
        if isinstance(output, Prediction):
            line = self.line(output)
        elif output.kind == "update":
            return
        else:
            line = self.event_line(output)
        if isinstance(output, Prediction) and _moves(self._out):
            self._rows[output.stream] = line
            line = self._redrawn()
        click.echo(line, file=self._out)
        self._out.flush()

    def _redrawn(self) -> str:
        """All rows, where those before stand, or below what came between."""
        rows, room = [*self._rows.values()], max(1, shutil.get_terminal_size().lines - 1)
        if len(rows) > room:
            left_out = len(rows) - room + 1
            rows = [*rows[: room - 1], f"... and {left_out} more streams; --web shows all"]
        up = _UP.format(self._shown.rows) if self._shown.rows else ""
        self._shown.rows = len(rows)
        lines = "\n".join(f"{_CLEAR}{row}" for row in rows)
        return f"{up}{_NO_WRAP}{lines}{_WRAP}"

    def line(self, prediction: Prediction) -> str:
        """A prediction as one line, without its line break; colours go where they are shown."""
        name = self._name(prediction)
        label = f"{printable(prediction.label):<{self._label_width}}"
        bar = "#" * round(BAR_WIDTH * prediction.score)
        others = "".join(
            f" | {printable(other)} {score:.0%}" for other, score in prediction.top[1:3]
        )
        if prediction.known is False:
            others = f" | unknown{others}"
        is_sure = prediction.score >= SURE and prediction.known is not False
        colour = "green" if is_sure else "yellow"
        return (
            f"{name}{prediction.time_s:8.2f} s  {click.style(label, fg=colour, bold=True)} "
            f"{prediction.score:4.0%} {bar:<{BAR_WIDTH}}{others}"
        )

    def event_line(self, event: Event) -> str:
        """The start or the end of an event as one line, without its line break."""
        label = click.style(printable(event.label), bold=True)
        if event.end_s is None:
            time_s, what = event.start_s, "began"
        else:
            time_s = event.end_s
            what = f"ended after {event.end_s - event.start_s:.1f} s, peak {event.peak_score:.0%}"
        return f"{self._name(event)}{time_s:7.1f} s  {label} {what}"

    def _name(self, output: Output) -> str:
        return f"{printable(output.stream)}  " if self._show_stream else ""

    def close(self) -> None:
        """Nobody listens to the log any more."""
        logging.root.removeHandler(self._shown)


class _Shown(logging.Handler):
    """How many rows stand directly above the cursor: none, once something was logged."""

    rows = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.rows = 0
        last = logging.lastResort
        if logging.root.handlers == [self] and last is not None and record.levelno >= last.level:
            last.handle(record)  # where logging was never set up, Python shows warnings itself


def _moves(out: TextIO) -> bool:
    """Whether it is a terminal whose cursor can go back."""
    return out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
