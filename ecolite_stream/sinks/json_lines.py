"""Predictions or events as JSON Lines, for programs."""

from __future__ import annotations

import json
from typing import TextIO

from ecolite_stream.sinks.base import Sink
from ecolite_stream.types import Event, Output, Prediction


class JsonLinesSink(Sink):
    """One JSON object a line, flushed at once; the stream stays open.

    Lines are ASCII, so that any encoding of stdout and any name of a file will do.

    Args:
        out: where the lines go.
        events: take events instead of predictions.
    """

    def __init__(self, out: TextIO, events: bool = False) -> None:
        self.takes = (Event,) if events else (Prediction,)
        self._out = out

    def send(self, output: Output) -> None:
        print(json.dumps(output.as_dict()), file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is left to do."""
