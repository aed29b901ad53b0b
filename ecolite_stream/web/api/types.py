"""What goes in and out of the API: the OpenAPI document and the checks both come from here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

MOST_PER_PAGE = 200
_ID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

EventId = Annotated[str, Meta(pattern=_ID, description="Id of an event: a UUID of version 7.")]
Score = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(max_length=500)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Time = Annotated[datetime, Meta(tz=True)]


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends: unknown keys are errors."""


class EventQuery(Request, frozen=True):
    """Filters of events and a place in the list."""

    since: Annotated[
        Time | None, Meta(description="Began then or later; ISO 8601 with a time zone.")
    ] = None
    until: Annotated[Time | None, Meta(description="Began before; ISO 8601 with a time zone.")] = (
        None
    )
    stream: Annotated[
        tuple[Name, ...], Meta(max_length=16, description="Name of a stream; again for more.")
    ] = ()
    label: Annotated[
        tuple[Name, ...], Meta(max_length=16, description="A label; again for more.")
    ] = ()
    min_score: Annotated[Score | None, Meta(description="Best score is at least this, 0 to 1.")] = (
        None
    )
    review: Annotated[
        Literal["none", "right", "wrong", "label"] | None,
        Meta(description="Not reviewed, right, wrong, or corrected with another label."),
    ] = None
    limit: Annotated[
        int, Meta(ge=1, le=MOST_PER_PAGE, description="Events on a page, at most.")
    ] = 50
    cursor: Annotated[
        EventId | None, Meta(description="`next` of the page before; none for the first page.")
    ] = None


class LiveQuery(Request, frozen=True):
    """Which streams' updates are wanted."""

    stream: Annotated[
        tuple[Name, ...], Meta(max_length=16, description="Name of a stream; again for more.")
    ] = ()


class Review(Request, frozen=True):
    """Whether an event's label is right. `label` says which one is, with `review: label` only."""

    review: Literal["none", "right", "wrong", "label"]
    label: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    note: Text | None = None


class Keep(Request, frozen=True):
    """Whether retention spares an event."""

    keep: bool


class Source(Request, frozen=True):
    """A source to watch, as in the configuration."""

    url: Annotated[
        str, Meta(min_length=1, max_length=2000, description="A camera, a path, a URL, pattern.")
    ]
    name: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class Added(Struct, frozen=True):
    """The name of a stream that was added."""

    name: str


class StoredEvent(Struct, frozen=True, kw_only=True):
    """An event as the store has it; docs/events.md explains the keys."""

    id: EventId
    site: str
    stream: str
    view: str
    label: str
    state: Literal["open", "ended", "lost", "interrupted"]
    live: bool
    started_at: str
    ended_at: str | None
    start_s: float
    end_s: float | None
    duration_s: float | None
    peak_score: float
    mean_score: float
    box: tuple[float, ...] | None
    bundle: str
    clip: str | None
    review: Literal["right", "wrong", "label"] | None
    review_label: str | None
    note: str
    keep: bool


class EventPage(Struct, frozen=True):
    """Events, the newest first; `next` is the cursor of the page after, null at the end."""

    events: tuple[StoredEvent, ...]
    next: str | None


class StreamSettings(Struct, frozen=True, kw_only=True):
    """How a stream is watched."""

    every_s: float
    memory: str
    views: tuple[str, ...]
    ignore: tuple[str, ...]
    min_s: float


class Newest(Struct, frozen=True, kw_only=True):
    """The newest prediction of a view."""

    view: str
    label: str
    score: float
    time_s: float
    at: str | None
    box: tuple[float, ...] | None


class Stream(Struct, frozen=True, kw_only=True):
    """A stream: its state, its settings, and what it shows."""

    name: str
    state: str
    fps: float | None
    dropped: int
    reconnects: int
    label_age_s: float | None
    newest: tuple[Newest, ...]
    settings: StreamSettings


class StreamList(Struct, frozen=True):
    """All streams of the run, and the labels of its bundle."""

    streams: tuple[Stream, ...]
    labels: tuple[str, ...]


class ChosenBundle(Request, frozen=True):
    """A version to run: its digest, the first 6 or more characters of it, or its folder."""

    bundle: Annotated[str, Meta(min_length=1, max_length=1000)]


class HeldOut(Struct, frozen=True):
    """Clips that were not trained on, and how many of them were right."""

    right: int
    clips: int


class Version(Struct, frozen=True, kw_only=True):
    """A version of the model; `created` is null for the embedded one."""

    digest: str
    name: str
    path: str
    created: str | None
    is_current: bool
    held_out: HeldOut | None


class RunningBundle(Struct, frozen=True, kw_only=True):
    """The bundle of the run, and the versions that it can change to."""

    digest: str
    path: str
    labels: tuple[str, ...]
    scores: dict[str, Any]
    versions: tuple[Version, ...]


class Problem(Struct, frozen=True):
    """What is wrong with a request, and what was expected."""

    error: str
