"""Predictions or events as lines of text."""

from __future__ import annotations

import logging
import os
import shutil
from typing import TextIO

import click

from ecolite_stream.config.printable import printable
from ecolite_stream.sinks.base import Sink
from ecolite_stream.types import Event, Output, Prediction, ViewKey

SURE = 0.6
BAR_WIDTH = 10
_UP, _CLEAR, _CLEAR_BELOW = "\x1b[{}F", "\x1b[K", "\x1b[J"
VIEW_KEPT_S = 10.0
"""Seconds of stream time for which a view without predictions keeps its line."""
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"


class ConsoleSink(Sink):
    """Prints time, label, score and runners-up: `   2.52 s  wave2   97% ######### | jack 2%`.

    A clip unlike the training data has `| unknown` before the runners-up.
    An event prints its start and its end: `   15.0 s  wave2 ended after 2.5 s, peak 97%`.

    A stream with several views has the view's name before them, subjects theirs.

    On a terminal each view has one line with its newest prediction. A subject's line goes after
    `VIEW_KEPT_S` of stream time without a prediction. If there are too few lines,
    the first views have one, and the last line counts the others. Log lines stay above them.
    Elsewhere, and for events, every line stays.

    Args:
        out: receives the lines; it stays open.
        label_width: columns of the label.
        show_stream: start each line with the stream's name.
        events: print events instead of predictions.
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
        self._rows: dict[ViewKey, tuple[float, str]] = {}  # in order of their first predictions
        self._screen = _ScreenRows()

    def __enter__(self) -> Sink:
        if _moves(self._out):
            logging.root.addHandler(self._screen)
        return self

    def send(self, output: Output) -> None:
        if isinstance(output, Prediction):
            line = self.line(output)
        elif output.kind == "update":
            return
        else:
            line = self.event_line(output)
        if isinstance(output, Prediction) and _moves(self._out):
            self._rows[output.key] = output.time_s, line
            self._drop_old_rows(output)
            line = self._redrawn()
        click.echo(line, file=self._out)
        self._out.flush()

    def _redrawn(self) -> str:
        """All rows, drawn over the old ones, or below log lines printed since."""
        rows, room = (
            [line for _, line in self._rows.values()],
            max(1, shutil.get_terminal_size().lines - 1),
        )
        if len(rows) > room:
            left_out = len(rows) - room + 1
            kind = "views" if any(view for _, view in self._rows) else "streams"
            rows = [*rows[: room - 1], f"... and {left_out} more {kind}; --web shows all"]
        up = _UP.format(self._screen.rows) if self._screen.rows else ""
        if len(rows) < self._screen.rows:
            up += _CLEAR_BELOW
        self._screen.rows = len(rows)
        lines = "\n".join(f"{_CLEAR}{row}" for row in rows)
        return f"{up}{_NO_WRAP}{lines}{_WRAP}"

    def _drop_old_rows(self, newest: Prediction) -> None:
        """Drop rows of the stream's subjects that have left."""
        since_s = newest.time_s - VIEW_KEPT_S
        for key, (time_s, _) in list(self._rows.items()):
            is_gone = time_s < since_s or time_s > newest.time_s + VIEW_KEPT_S
            if key[0] == newest.stream and key[1] and is_gone:
                del self._rows[key]

    def line(self, prediction: Prediction) -> str:
        """A prediction as one coloured line, without a line break."""
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
        """The start or the end of an event as one line, without a line break."""
        label = click.style(printable(event.label), bold=True)
        if event.end_s is None:
            time_s, what = event.start_s, "began"
        else:
            time_s = event.end_s
            what = f"ended after {event.end_s - event.start_s:.1f} s, peak {event.peak_score:.0%}"
        return f"{self._name(event)}{time_s:7.1f} s  {label} {what}"

    def _name(self, output: Output) -> str:
        names = [output.stream] if self._show_stream else []
        if output.view:
            names.append(output.view)
        return f"{printable('/'.join(names))}  " if names else ""

    def close(self) -> None:
        """Stop listening to the log."""
        logging.root.removeHandler(self._screen)


class _ScreenRows(logging.Handler):
    """Counts the rows directly above the cursor: none after a log line."""

    rows = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.rows = 0
        last = logging.lastResort
        if logging.root.handlers == [self] and last is not None and record.levelno >= last.level:
            last.handle(record)  # without logging handlers Python prints warnings itself


def _moves(out: TextIO) -> bool:
    """Whether the output is a terminal with cursor movement."""
    return out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
