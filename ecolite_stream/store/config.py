"""Settings of the store."""

from __future__ import annotations

from dataclasses import dataclass, field

from ecolite_stream.config.strict import check_above_zero, check_at_least, check_between
from ecolite_stream.errors import ConfigError


@dataclass(frozen=True)
class RetainConfig:
    """How long events of a stream, a label or both stay.

    Attributes:
        days: since their start; None keeps them for ever.
        stream: name of the stream; None is any.
        label: the action; None is any.
    """

    days: float | None
    stream: str | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if self.days is not None:
            check_above_zero("days", self.days)


@dataclass(frozen=True)
class StoreConfig:
    """Events in a database.

    Attributes:
        url: `sqlite:///FILE` or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`; None stores
            nothing, unless `default` does.
        default: with a page or clips, and without a URL, store events in the state folder.
        site: name of this place among those that share a database; None is the machine's name.
        days: how long events stay; None keeps them for ever.
        retain: exceptions to `days`; the first that fits an event counts.
        max_bytes: size of this site's events and pictures; the oldest go. None is no limit.
        picture_px: width of an event's picture at most; 0 keeps none.
        queue: how many events may wait for the database.
    """

    url: str | None = field(default=None, repr=False)
    default: bool = True
    site: str | None = None
    days: float | None = 30.0
    retain: tuple[RetainConfig, ...] = ()
    max_bytes: int | None = 2_000_000_000
    picture_px: int = 320
    queue: int = 10_000

    def __post_init__(self) -> None:
        if self.days is not None:
            check_above_zero("days", self.days)
        if self.max_bytes is not None:
            check_at_least("max_bytes", self.max_bytes, 1)
        check_between("picture_px", self.picture_px, 0, 1920)
        check_between("queue", self.queue, 1, 100_000)
        if self.site is not None and not self.site.strip():
            raise ConfigError("site is empty; name the place, or leave the key out")

    @property
    def site_name(self) -> str:
        """The site, as events have it."""
        import platform  # takes 12 ms

        return self.site or platform.node() or "here"
