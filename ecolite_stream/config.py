"""What `ecolite-stream` can be told: frozen dataclasses that check their own ranges."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ecolite_stream.engines.names import ENGINE_NAMES
from ecolite_stream.errors import ConfigError
from ecolite_stream.memory import POLICIES
from ecolite_stream.strict import check_above_zero, check_at_least, check_one_of

ENGINES = ("auto", *ENGINE_NAMES)
ON_GAP = ("keep", "reset")
SHORTEST_EVERY_S = 0.01
"""No source has a frame more often."""


@dataclass(frozen=True)
class MemoryConfig:
    """What a stream remembers.

    Attributes:
        policy: `window`, `paper` or `pyramid`.
        num_segments: N; None takes the bundle's, anything else must equal it.
        span_s: seconds that the window spans; None takes the bundle's clip length.
        on_gap: what happens to the memory when no frame came for `gap_s`: `keep` or `reset`.
        gap_s: seconds of stream time without a frame that count as a gap.
    """

    policy: str = "window"
    num_segments: int | None = None
    span_s: float | None = None
    on_gap: str = "keep"
    gap_s: float = 5.0

    def __post_init__(self) -> None:
        check_one_of("policy", self.policy, POLICIES)
        check_one_of("on_gap", self.on_gap, ON_GAP)
        check_above_zero("gap_s", self.gap_s)
        if self.span_s is not None:
            check_above_zero("span_s", self.span_s)


@dataclass(frozen=True)
class StreamConfig:
    """Everything `ecolite-stream` can be told.

    Attributes:
        source: what to watch: `camera`, `camera:1`, a path, a URL, `pattern`; several are
            several streams.
        bundle: folder of the model; None is the embedded one.
        engine: `auto`, `openvino` or `mindspore`.
        device: what the engine computes on: `cpu`, `ascend`, `ascend:0`, `gpu:0`; None is its own
            default, a CPU.
        memory: what each stream remembers.
        every_s: seconds of stream time between two predictions.
        smoothing: share of the running average in each answer, 0 to below 1; None is 0.5 for the
            paper's memory, as its Algorithm 1 has it, and 0 for the others.
        top: how many (label, score) pairs a prediction lists.
        realtime: play files at their own speed instead of as fast as they decode.
        json: JSON Lines on stdout instead of text.
        metrics: `[HOST:]PORT` to serve metrics at, for Prometheus; without a host to this machine
            only; None serves none.
    """

    source: tuple[str, ...] = ()
    bundle: Path | None = None
    engine: str = "auto"
    device: str | None = None
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    every_s: float = 0.5
    smoothing: float | None = None
    top: int = 5
    realtime: bool = False
    json: bool = False
    metrics: str | None = None

    def __post_init__(self) -> None:
        check_one_of("engine", self.engine, ENGINES)
        check_at_least("every_s", self.every_s, SHORTEST_EVERY_S)
        if self.smoothing is not None and not 0 <= self.smoothing < 1:
            raise ConfigError(f"smoothing is {self.smoothing}; expected 0 to below 1")
        check_at_least("top", self.top, 1)
