"""What `ecolite-stream` can be told: frozen dataclasses that check their own ranges."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ecolite_stream.config.choices import ENGINE_NAMES, POLICIES, PRECISIONS
from ecolite_stream.config.source_names import NamedSource
from ecolite_stream.config.strict import (
    check_above_zero,
    check_at_least,
    check_between,
    check_one_of,
)
from ecolite_stream.config.views import Mask, ViewConfig, check_mask, check_views
from ecolite_stream.errors import ConfigError

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
class JsonFileConfig:
    """Predictions and events in a file, as JSON Lines.

    Attributes:
        path: the file; None writes none.
        max_bytes: size at which it is put aside and another one is begun.
        kept: how many that were put aside are kept.
    """

    path: Path | None = None
    max_bytes: int = 100_000_000
    kept: int = 5

    def __post_init__(self) -> None:
        check_at_least("max_bytes", self.max_bytes, 1)
        check_at_least("kept", self.kept, 0)


@dataclass(frozen=True)
class WebhookConfig:
    """Events sent to a web server.

    Attributes:
        url: http or https, where each event is posted to; None posts none.
        timeout_s: how long to wait for the server, in seconds.
        retry_for_s: for how long an event of a live stream is tried again, in seconds.
    """

    url: str | None = field(default=None, repr=False)
    timeout_s: float = 5.0
    retry_for_s: float = 60.0

    def __post_init__(self) -> None:
        check_above_zero("timeout_s", self.timeout_s)
        check_at_least("retry_for_s", self.retry_for_s, 0)


@dataclass(frozen=True)
class MqttConfig:
    """Events and states published at an MQTT broker.

    Attributes:
        url: `mqtt://[USER:PASSWORD@]HOST[:PORT]`, or `mqtts://` for TLS; None publishes nothing.
        prefix: what every topic begins with; two runs at one broker need two.
        predictions: publish each stream's newest prediction too.
        ca_file: certificates, in a PEM file, of who may vouch for the broker; None takes those of
            the system.
    """

    url: str | None = field(default=None, repr=False)
    prefix: str = "ecolite"
    predictions: bool = True
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        if not self.prefix.strip("/") or any(c in "+#" or c < " " for c in self.prefix):
            raise ConfigError(f"prefix is {self.prefix!r}; expected a topic without + and #")


@dataclass(frozen=True)
class ClipsConfig:
    """A video of each event.

    Attributes:
        folder: where they are written; None writes none.
        pre_s: seconds before an event that its clip begins.
        post_s: seconds after an event that its clip ends.
        max_s: seconds of a clip at most, before and after included.
        max_bytes: size of all clips in the folder, at most; the oldest are deleted.
        pictures_per_s: pictures a second.
        width_px: width of the pictures at most; their height is at most twice that.
    """

    folder: Path | None = None
    pre_s: float = 3.0
    post_s: float = 3.0
    max_s: float = 60.0
    max_bytes: int = 2_000_000_000
    pictures_per_s: float = 10.0
    width_px: int = 640

    def __post_init__(self) -> None:
        check_between("pre_s", self.pre_s, 0, 60)
        check_between("post_s", self.post_s, 0, 60)
        check_between("max_s", self.max_s, 1, 3600)
        check_at_least("max_bytes", self.max_bytes, 1)
        check_between("pictures_per_s", self.pictures_per_s, 1, 60)
        check_between("width_px", self.width_px, 16, 4096)
        if self.max_s <= self.pre_s:
            raise ConfigError(f"max_s is {self.max_s}; expected more than pre_s, {self.pre_s}")


@dataclass(frozen=True)
class VideoConfig:
    """The streams as videos, with label, score and event drawn in.

    Attributes:
        path: a file that ends in .mp4, for one stream, or a folder; None writes none.
    """

    path: Path | None = None


@dataclass(frozen=True)
class RecordConfig:
    """What a run saw and said, for `ecolite-stream replay`.

    Attributes:
        folder: a new folder for it; None records nothing.
        max_bytes: of all of it; then recording ends, and the run goes on.
    """

    folder: Path | None = None
    max_bytes: int = 10_000_000_000

    def __post_init__(self) -> None:
        check_at_least("max_bytes", self.max_bytes, 1)


@dataclass(frozen=True)
class WebConfig:
    """A page to watch the run with.

    Attributes:
        address: `[HOST:]PORT` to serve it at; without a host to this machine only; None serves
            none.
        token: what visitors must know; None takes ECOLITE_WEB_TOKEN, or a new one where other
            machines can reach the page.
        hosts: names of this machine that browsers may use, beside its own: those of a proxy.
        clips: folder of event clips that events are linked to; None links those that are
            written, if any.
        pictures_per_s: pictures a second of each stream, at most.
        viewers: how many pages may be open at once.
    """

    address: str | None = None
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    clips: Path | None = None
    pictures_per_s: float = 5.0
    viewers: int = 8

    def __post_init__(self) -> None:
        check_between("pictures_per_s", self.pictures_per_s, 0.1, 30)
        check_between("viewers", self.viewers, 1, 100)


@dataclass(frozen=True)
class StreamConfig:
    """Everything `ecolite-stream` can be told.

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
        json_file: predictions and events in a file.
        webhook: events sent to a web server.
        mqtt: events and states published at an MQTT broker.
        clips: a video of each event.
        record: what the run saw and said.
        video: the streams as videos.
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
    json_file: JsonFileConfig = field(default_factory=JsonFileConfig)
    webhook: WebhookConfig = field(default_factory=WebhookConfig)
    mqtt: MqttConfig = field(default_factory=MqttConfig)
    clips: ClipsConfig = field(default_factory=ClipsConfig)
    video: VideoConfig = field(default_factory=VideoConfig)
    record: RecordConfig = field(default_factory=RecordConfig)
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
