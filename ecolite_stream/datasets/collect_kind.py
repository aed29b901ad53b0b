"""Collecting clips on the page as a kind of sink: its option, its check and how it is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.config.strict import check_at_least
from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.kind import Run, SinkKind, check_writable


@dataclass(frozen=True)
class CollectConfig:
    """Clips of actions that people mark on the page, to teach with (docs/your-own-actions.md).

    Attributes:
        folder: folder of `<action>/<clip>`; None collects none.
        max_clips: clips in the folder, at most.
        max_bytes: size of all of them, at most.
    """

    folder: Path | None = None
    max_clips: int = 5000
    max_bytes: int = 2_000_000_000

    def __post_init__(self) -> None:
        check_at_least("max_clips", self.max_clips, 1)
        check_at_least("max_bytes", self.max_bytes, 1)


def _check(config: CollectConfig, run: Run) -> str:
    assert config.folder is not None
    if run.config.web.address is None:
        raise ConfigError("clips are collected on the page; add --web PORT")
    return f"clips that people mark to {check_writable(config.folder)}"


def _build(config: CollectConfig, run: Run) -> Sink:
    from ecolite_stream.datasets.collect_sink import CollectSink

    return CollectSink(config)


SINK = SinkKind(
    "collect",
    CollectConfig,
    key="folder",
    metavar="DIR",
    help="Let people mark actions on the page; write clips to DIR/<action>/.",
    check=_check,
    build=_build,
)
