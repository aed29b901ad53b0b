"""Settings of `ecolite-stream`: frozen dataclasses that check their own ranges."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ecolite_stream.config.choices import ENGINE_NAMES, POLICIES, PRECISIONS
from ecolite_stream.config.source_names import NamedSource
from ecolite_stream.config.strict import (
    check_above_zero,
    check_at_least,
    check_between,
    check_one_of,
    make_config,
)
from ecolite_stream.config.views import Mask, ViewConfig, check_mask, check_views
from ecolite_stream.errors import ConfigError

Section = TypeVar("Section")

ENGINES = ("auto", *ENGINE_NAMES)
ON_GAP = ("keep", "reset")
SHORTEST_EVERY_S = 0.01
"""No source has a frame more often."""
ENTER = 0.6
"""Score at which an event begins, where neither the configuration nor the bundle says."""
LEAVE_SHARE = 2 / 3
"""Share of the score it begins at below which an event ends, where the configuration is silent."""


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
class EventConfig:
    """When an action counts as an event, and when it is over.

    Attributes:
        show: events on stdout instead of predictions.
        enter: score at which an event begins; None takes the bundle's thresholds, and 0.6 for
            labels that have none.
        leave: score below which it ends; None is two thirds of the score it begins at.
        min_s: seconds of stream time an event must last before it is told.
        cooldown_s: seconds after an event before one of the same label may begin.
        update_every_s: seconds between two reports of an event that lasts; None reports none.
        ignore: labels that are no event.
        min_fill: share of the memory that must be filled for an event to begin, 0 to 1.
    """

    show: bool = False
    enter: float | None = None
    leave: float | None = None
    min_s: float = 1.0
    cooldown_s: float = 1.0
    update_every_s: float | None = 5.0
    ignore: tuple[str, ...] = ("idle",)
    min_fill: float = 0.5

    def __post_init__(self) -> None:
        for name in ("enter", "leave"):
            if getattr(self, name) is not None:
                check_between(name, getattr(self, name), 0, 1)
        if self.enter is not None and self.leave is not None and self.leave > self.enter:
            raise ConfigError(f"leave is {self.leave}; expected at most enter, {self.enter}")
        check_at_least("min_s", self.min_s, 0)
        check_at_least("cooldown_s", self.cooldown_s, 0)
        if self.update_every_s is not None:
            check_above_zero("update_every_s", self.update_every_s)
        check_between("min_fill", self.min_fill, 0, 1)

    def enter_at(self, threshold: float | None) -> float:
        """Score at which an event begins, for a label with such a threshold in the bundle."""
        if self.enter is not None:
            return self.enter
        return ENTER if threshold is None else threshold

    def leave_at(self, enter: float) -> float:
        """Score below which an event ends that begins at `enter`; never more than that."""
        return LEAVE_SHARE * enter if self.leave is None else min(self.leave, enter)


@dataclass(frozen=True)
class ReconnectConfig:
    """How a live source that is lost is opened again; recordings never are.

    Attributes:
        enabled: whether it is opened again at all.
        first_wait_s: seconds before the first try.
        longest_wait_s: seconds before any try, at most.
        factor: by which each wait is longer than the one before.
        jitter: share by which a wait is longer or shorter at random, 0 to 1: many streams of a
            server that restarts shall not come back in the same instant.
        limit: tries in a row after which it is given up; None is never.
        silent_s: seconds without a frame after which an open source counts as lost.
        open_s: seconds that a source may take to open.
    """

    enabled: bool = True
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    factor: float = 2.0
    jitter: float = 0.2
    limit: int | None = None
    silent_s: float = 10.0
    open_s: float = 10.0

    def __post_init__(self) -> None:
        check_above_zero("first_wait_s", self.first_wait_s)
        check_at_least("longest_wait_s", self.longest_wait_s, self.first_wait_s)
        check_at_least("factor", self.factor, 1)
        check_between("jitter", self.jitter, 0, 1)
        check_above_zero("silent_s", self.silent_s)
        check_above_zero("open_s", self.open_s)
        if self.limit is not None:
            check_at_least("limit", self.limit, 1)

    def wait_s(self, count: int) -> float:
        """Seconds to wait after so many losses in a row, without the jitter."""
        try:
            return min(self.first_wait_s * self.factor ** (count - 1), self.longest_wait_s)
        except OverflowError:
            return self.longest_wait_s


@dataclass(frozen=True)
class WebConfig:
    """A page to watch the run with.

    Attributes:
        address: `[HOST:]PORT` to serve it at; without a host to this machine only; None serves
            none.
        token: what visitors must know; None takes ECOLITE_WEB_TOKEN, or a new one where other
            machines can reach the page.
        read_tokens: tokens of visitors who may change nothing, separated by spaces.
        hosts: names of this machine that browsers may use, beside its own: those of a proxy.
        clips: folder of event clips that events are linked to; None links those that are
            written, if any.
        pictures_per_s: pictures a second of each stream, at most.
        viewers: how many pages may be open at once, and as many live updates of the API.
        api_per_s: requests a second of each address to `/api`, on average.
    """

    address: str | None = None
    token: str | None = field(default=None, repr=False)
    read_tokens: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    clips: Path | None = None
    pictures_per_s: float = 5.0
    viewers: int = 8
    api_per_s: float = 100.0

    def __post_init__(self) -> None:
        check_between("api_per_s", self.api_per_s, 0.1, 100_000)
        check_between("pictures_per_s", self.pictures_per_s, 0.1, 30)
        check_between("viewers", self.viewers, 1, 100)


STREAM_SETTINGS = ("memory", "events", "every_s", "smoothing", "top", "views", "mask", "gate")
"""Keys of `StreamConfig` that may differ from stream to stream."""


@dataclass(frozen=True)
class StreamConfig:
    """Everything `ecolite-stream` can be told but the settings of sinks.

    `app.sinks.RunConfig` adds a field for each kind of sink; `section` reads it.

    Attributes:
        source: what to watch: `camera`, `camera:1`, a path, a URL, `pattern`, each with `NAME=`
            before it or as a `NamedSource` where its stream has a name; several are several
            streams.
        include: files that name more of them, as `includes` reads them.
        bundle: folder of the model; None is the embedded one.
        engine: `auto` or one of `ENGINE_NAMES`.
        device: what the engine computes on: `cpu`, `ascend`, `ascend:0`, `gpu:0`; None is its own
            default, a CPU.
        precision: what the engine computes in, one of `PRECISIONS`; None is its own default on
            that device.
        memory: what each stream remembers.
        events: when an action counts as an event.
        reconnect: how a live source that is lost is opened again.
        every_s: seconds of stream time between two predictions.
        smoothing: share of the running average in each answer, 0 to below 1; None is 0.5 for the
            paper's memory, as its Algorithm 1 has it, 0.4 for the window and 0 for the pyramid.
        top: how many (label, score) pairs a prediction lists.
        views: where the network looks in each stream: `center`, `whole`, `follow`, regions and
            subjects; none takes the framing of the bundle.
        mask: where motion does not count, see `config.views.Mask`.
        gate: where nothing moves in a view, reuse its newest feature, and say the bundle's idle
            label without asking the network.
        realtime: play files at their own speed instead of as fast as they decode.
        json: JSON Lines on stdout instead of text.
        metrics: `[HOST:]PORT` to serve metrics at, for Prometheus; without a host to this machine
            only; None serves none.
        web: a page to watch the run with.
    """

    source: tuple[str | NamedSource, ...] = ()
    include: tuple[str, ...] = ()
    bundle: Path | None = None
    engine: str = "auto"
    device: str | None = None
    precision: str | None = None
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    events: EventConfig = field(default_factory=EventConfig)
    reconnect: ReconnectConfig = field(default_factory=ReconnectConfig)
    every_s: float = 0.5
    smoothing: float | None = None
    top: int = 5
    views: tuple[str | ViewConfig, ...] = ()
    mask: Mask = ()
    gate: bool = True
    realtime: bool = False
    json: bool = False
    metrics: str | None = None
    web: WebConfig = field(default_factory=WebConfig)

    def __post_init__(self) -> None:
        check_one_of("engine", self.engine, ENGINES)
        if self.precision is not None:
            check_one_of("precision", self.precision, PRECISIONS)
        check_at_least("every_s", self.every_s, SHORTEST_EVERY_S)
        if self.smoothing is not None and not 0 <= self.smoothing < 1:
            raise ConfigError(f"smoothing is {self.smoothing}; expected 0 to below 1")
        check_at_least("top", self.top, 1)
        check_views(self.views)
        check_mask(self.mask)
        for source in self.source:
            if isinstance(source, NamedSource):
                self.of_stream(source)

    def of_stream(self, source: NamedSource) -> StreamConfig:
        """Settings of one stream: `STREAM_SETTINGS`, with what its source overrides over them.

        Raises:
            ConfigError: a setting of the source is unknown or out of its range.
        """
        where = f"source {source.name or 'without a name'}"
        given: dict[str, Any] = {}
        for key in ("every_s", "smoothing", "views", "mask", "gate"):
            if getattr(source, key) is not None:
                given[key] = getattr(source, key)
        for key in ("memory", "events"):
            values = getattr(source, key)
            if values is not None:
                base = getattr(self, key)
                merged = {**asdict(base), **values}
                given[key] = make_config(type(base), merged, f"{where}: {key}")
        try:
            return StreamConfig(**{**{key: getattr(self, key) for key in STREAM_SETTINGS}, **given})
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error

    def section(self, kind: type[Section]) -> Section:
        """The settings of that class, or its defaults where this configuration has no such field.

        Args:
            kind: a configuration class of a sink, or this class.
        """
        values = (self, *(getattr(self, field.name) for field in fields(self)))
        return next((value for value in values if isinstance(value, kind)), kind())
