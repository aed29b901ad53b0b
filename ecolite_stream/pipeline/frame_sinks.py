"""Frames for the sinks that want them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from ecolite_stream.errors import one_line
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.sinks import FrameSink, Sink
from ecolite_stream.types import Frame

_log = logging.getLogger(__name__)


class FrameSinks:
    """Passes frames to frame sinks; their errors end no stream.

    Args:
        sinks: of the run; those that receive no frames are left out.
        metrics: counters.
    """

    def __init__(self, sinks: Sequence[Sink], metrics: Metrics) -> None:
        self._sinks = [sink for sink in sinks if isinstance(sink, FrameSink)]
        self._metrics = metrics
        self._failed: Counter[str] = Counter()

    def show(self, frame: Frame, live: bool) -> None:
        """Pass a frame on; called in the thread that reads its stream."""
        for sink in self._sinks:
            name = type(sink).__name__
            try:
                if not sink.show(frame, live):
                    self._metrics.not_shown(name, frame.stream)
            except Exception as error:
                self._metrics.sink_failed(name)
                log_name = sink.log_name or name
                if not self._failed[log_name]:
                    reason = one_line(error) or type(error).__name__
                    _log.warning(
                        "%s failed on a frame: %s; later failures are only counted",
                        log_name,
                        reason,
                    )
                self._failed[log_name] += 1

    def hurry(self) -> None:
        """Make the sinks' `close` quick: the run is stopping."""
        for sink in self._sinks:
            sink.hurry()

    def log_failures(self) -> None:
        """Log on how many frames each sink failed."""
        for name, count in self._failed.items():
            _log.warning("%s: failed on %d frames", name, count)
