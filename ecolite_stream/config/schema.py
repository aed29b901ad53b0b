"""Settings of `ecolite-stream`: frozen dataclasses that check their own ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ecolite_stream.config.choices import (
    AUTO,
    DECODERS,
    ENGINE_NAMES,
    POLICIES,
    PRECISIONS,
    SOFTWARE,
)
from ecolite_stream.config.logins import LoginConfig
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
"""Below any source's frame period."""
ENTER = 0.6
"""Default score at which an event begins, if the bundle has no threshold."""
LEAVE_SHARE = 2 / 3
"""Default of `leave`, as a share of `enter`."""


@dataclass(frozen=True)
class MemoryConfig:
    """The working memory of a stream.

    Attributes:
        policy: `window`, `paper` or `pyramid`.
        num_segments: N; must equal the bundle's; None takes it.
        span_s: seconds that the window spans; None takes the bundle's clip length.
        on_gap: `keep` or `reset` the memory after `gap_s` without a frame.
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
    """When events begin and end.

    Attributes:
        show: print events on stdout instead of predictions.
        enter: score at which an event begins; None takes the bundle's thresholds, or 0.6 for
            labels without one.
        leave: score below which it ends; None takes two thirds of `enter`.
        min_s: seconds of stream time after which an event is reported; shorter ones are dropped.
        cooldown_s: seconds after an event before another of the same label may begin.
        update_every_s: seconds between two updates of an event; None sends none.
        ignore: labels that never begin an event.
        min_fill: share of the memory that must be filled for an event to begin, 0 to 1.
    """

    show: bool = False
    enter: float | None = None
    leave: float | None = None
    min_s: float = 1.0
    cooldown_s: float = 1.0
    update_every_s: float | None = 5.0
    ignore: tuple[str, ...] = ("idle", "nothing")
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
        """Score at which an event begins, given the bundle's threshold of its label."""
        if self.enter is not None:
            return self.enter
        return ENTER if threshold is None else threshold

    def leave_at(self, enter: float) -> float:
        """Score below which an event ends that began at `enter`; never more than `enter`."""
        return LEAVE_SHARE * enter if self.leave is None else min(self.leave, enter)


@dataclass(frozen=True)
class ReconnectConfig:
    """How to reopen a lost live source; recordings are never reopened.

    Attributes:
        enabled: whether to reopen it.
        first_wait_s: seconds before the first try.
        longest_wait_s: longest wait before a try, in seconds.
        factor: factor between two waits.
        jitter: random share of a wait, 0 to 1, so that the streams of a restarted server do not
            all reconnect at once.
        limit: most tries in a row; None never gives up.
        silent_s: seconds without a frame after which an open source counts as lost.
        open_s: most seconds for opening a source.
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
        """Seconds to wait after `count` losses in a row, without jitter."""
        try:
            return min(self.first_wait_s * self.factor ** (count - 1), self.longest_wait_s)
        except OverflowError:
            return self.longest_wait_s


@dataclass(frozen=True)
class WebConfig:
    """The web page and the API.

    Attributes:
        address: `[HOST:]PORT`; without a host only this machine can connect; None serves no page.
        token: access token; None takes ECOLITE_WEB_TOKEN, or a new one if other machines can
            connect.
        read_tokens: read-only tokens, separated by spaces.
        hosts: further host names of this machine, such as those of a proxy.
        clips: folder of event clips for links; None takes the folder of the clip sink, if any.
        pictures_per_s: most pictures per second of each stream.
        viewers: most open pages, and as many live updates of the API.
        api_per_s: most requests per second of each address to `/api`, on average.
        views_file: file of the views and masks that are drawn on the page; None takes
            NAME.views.yaml beside the configuration NAME.yaml, see `app.page_files`.
        alerts_file: file of the alert rules that are made on the page; None takes NAME.alerts.yaml.
    """

    address: str | None = None
    token: str | None = field(default=None, repr=False)
    read_tokens: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    clips: Path | None = None
    pictures_per_s: float = 5.0
    viewers: int = 8
    api_per_s: float = 100.0
    views_file: Path | None = None
    alerts_file: Path | None = None

    def __post_init__(self) -> None:
        check_between("api_per_s", self.api_per_s, 0.1, 100_000)
        check_between("pictures_per_s", self.pictures_per_s, 0.1, 30)
        check_between("viewers", self.viewers, 1, 100)


STREAM_SETTINGS = (
    *("memory", "events", "every_s", "smoothing", "top", "views", "mask", "gate", "decode"),
)
"""Keys of `StreamConfig` that a source may override."""


@dataclass(frozen=True)
class StreamConfig:
    """All settings of `ecolite-stream` except those of sinks.

    `app.sinks.RunConfig` adds a field for each kind of sink; `section` reads it.

    Attributes:
        source: streams to watch: `camera`, `camera:1`, a path, a URL or `pattern`, each as SOURCE,
            NAME=SOURCE or a `NamedSource`.
        include: files with more sources, see `includes`.
        logins: user and password by name of the source, for URLs that have none; it may name
            sources that are not there.
        bundle: model folder; None takes the current version in `models`, or the embedded one.
        models: folder of versions of the model; None takes `models` in the folder for state.
        engine: `auto` or one of `ENGINE_NAMES`.
        device: device of the engine: `cpu`, `ascend`, `ascend:0`, `gpu:0`; None takes the engine's
            default, a CPU.
        precision: inference precision, one of `PRECISIONS`, or `auto`: bf16 where the processor
            has it and the bundle's golden numbers agree, else the engine's default. None takes the
            engine's default on the device.
        reuse: keep activations of the 3D net from label to label, see `engines.reuse`.
        memory: working memory of each stream.
        events: when events begin and end.
        reconnect: how to reopen a lost live source.
        every_s: seconds of stream time between two predictions.
        smoothing: weight of the running average, 0 to below 1; None is 0.5 for the paper's
            memory, as in its Algorithm 1, 0.4 for the window and 0 for the pyramid.
        top: number of (label, score) pairs in a prediction.
        views: where the network looks in each stream: `center`, `whole`, `follow`, regions and
            subjects; empty takes the framing of the bundle.
        mask: where to ignore motion, see `config.views.Mask`.
        gate: in a view without motion, reuse the newest feature and predict the bundle's idle
            label without the network.
        decode: device that decodes video, one of `DECODERS`; `none` decodes in software, `auto`
            takes the first device that can be opened. Where it cannot, software decodes.
        realtime: play files at their own speed instead of as fast as they decode.
        json: print JSON Lines on stdout instead of text.
        metrics: `[HOST:]PORT` of Prometheus metrics; without a host only this machine can connect;
            None serves no metrics.
        web: the web page and the API.
    """

    source: tuple[str | NamedSource, ...] = ()
    include: tuple[str, ...] = ()
    logins: Mapping[str, LoginConfig] = field(default_factory=dict)
    bundle: Path | None = None
    models: Path | None = None
    engine: str = "auto"
    device: str | None = None
    precision: str | None = None
    reuse: bool = False
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    events: EventConfig = field(default_factory=EventConfig)
    reconnect: ReconnectConfig = field(default_factory=ReconnectConfig)
    every_s: float = 0.5
    smoothing: float | None = None
    top: int = 5
    views: tuple[str | ViewConfig, ...] = ()
    mask: Mask = ()
    gate: bool = True
    decode: str = SOFTWARE
    realtime: bool = False
    json: bool = False
    metrics: str | None = None
    web: WebConfig = field(default_factory=WebConfig)

    def __post_init__(self) -> None:
        check_one_of("engine", self.engine, ENGINES)
        if self.precision is not None:
            check_one_of("precision", self.precision, (AUTO, *PRECISIONS))
        check_one_of("decode", self.decode, DECODERS)
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
        """Settings of one stream: `STREAM_SETTINGS`, overridden by its source.

        Raises:
            ConfigError: a setting of the source is unknown or out of its range.
        """
        where = f"source {source.name or 'without a name'}"
        given: dict[str, Any] = {}
        for key in ("every_s", "smoothing", "views", "mask", "gate", "decode"):
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
        """The settings of a class, or its defaults if this configuration has no such field.

        Args:
            kind: a configuration class of a sink, or this class.
        """
        values = (self, *(getattr(self, field.name) for field in fields(self)))
        return next((value for value in values if isinstance(value, kind)), kind())
