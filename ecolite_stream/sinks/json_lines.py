"""Predictions or events as JSON Lines."""

from __future__ import annotations

import json
from typing import TextIO

from ecolite_stream.sinks.base import Sink
from ecolite_stream.types import Event, Output, Prediction


class JsonLinesSink(Sink):
    """Prints one JSON object per line and flushes it.

    Lines are ASCII, for any encoding of stdout and any file name.

    Args:
        out: receives the lines; it stays open.
        events: print events instead of predictions.
    """

    def __init__(self, out: TextIO, events: bool = False) -> None:
        self.takes = (Event,) if events else (Prediction,)
        self._out = out

    def send(self, output: Output) -> None:
        print(json.dumps(output.as_dict()), file=self._out, flush=True)

    def close(self) -> None:
        """Do nothing."""
