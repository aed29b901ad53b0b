"""Predictions as JSON Lines, for programs."""

from __future__ import annotations

import json
from typing import TextIO

from ecolite_stream.sinks.base import Sink
from ecolite_stream.types import Prediction


class JsonLinesSink(Sink):
    """One JSON object a line, flushed at once; the stream stays open.

    Lines are ASCII, so that any encoding of stdout and any name of a file will do.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def send(self, prediction: Prediction) -> None:
        print(json.dumps(prediction.as_dict()), file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is left to do."""
