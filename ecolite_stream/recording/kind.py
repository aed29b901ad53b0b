"""The recorder as a kind of sink: its option, its check and how it is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.config.strict import check_at_least
from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.kind import Run, SinkKind, check_writable


@dataclass(frozen=True)
class RecordConfig:
    """The inputs and outputs of the run, for `ecolite-stream replay FOLDER`.

    Attributes:
        folder: a new folder; None records nothing.
        max_bytes: largest size of the recording; then recording ends, and the run continues.
    """

    folder: Path | None = None
    max_bytes: int = 10_000_000_000

    def __post_init__(self) -> None:
        check_at_least("max_bytes", self.max_bytes, 1)


def _check(config: RecordConfig, run: Run) -> str:
    from ecolite_stream.recording.sink import check_is_new

    assert config.folder is not None
    check_is_new(config.folder)
    _ = run.engine  # its name is recorded
    return f"a record to {check_writable(config.folder)}"


def _build(config: RecordConfig, run: Run) -> Sink:
    from ecolite_stream.recording.recording import recording_of
    from ecolite_stream.recording.sink import RecordSink

    assert config.folder is not None
    facts = recording_of(run, config.folder).facts()
    return RecordSink(config.folder, facts, run.bundle.spec.preprocessing, config.max_bytes)


SINK = SinkKind(
    "record",
    RecordConfig,
    key="folder",
    metavar="FOLDER",
    help="Record the run to a new FOLDER, for ecolite-stream replay.",
    check=_check,
    build=_build,
)
