"""Predictions or events on stdout, as text or, with `json`, as JSON Lines."""

from __future__ import annotations

import sys

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.console import ConsoleSink
from ecolite_stream.sinks.json_lines import JsonLinesSink
from ecolite_stream.sinks.kind import Run, SinkKind


def _check(config: StreamConfig, run: Run) -> str:
    return f"{'events' if config.events.show else 'predictions'} to stdout"


def _build(config: StreamConfig, run: Run) -> Sink:
    if config.json:
        return JsonLinesSink(sys.stdout, config.events.show)
    label_width = max(map(len, run.bundle.spec.labels))
    return ConsoleSink(sys.stdout, label_width, len(run.streams) != 1, config.events.show)


SINK = SinkKind(
    None,
    StreamConfig,
    key="json",
    help="Print JSON Lines to stdout instead of text.",
    check=_check,
    build=_build,
)
