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


Share = Annotated[float, Meta(ge=0, le=1)]


class View(Request, frozen=True, omit_defaults=True):
    """A view with settings: a region with its box, or a number of subjects."""

    region: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    box: (
        Annotated[
            tuple[Share, ...],
            Meta(
                min_length=4,
                max_length=4,
                description="x, y, width and height in shares of the picture.",
            ),
        ]
        | None
    ) = None
    subjects: Annotated[int, Meta(ge=1, le=16)] | None = None


Views = Annotated[tuple[Literal["center", "whole", "follow"] | View, ...], Meta(max_length=32)]
Shape = Annotated[tuple[Share, ...], Meta(min_length=4, max_length=64)]


class ViewsBody(Request, frozen=True):
    """Views and mask of a stream; without views the bundle's own is its only one."""

    views: Views = ()
    mask: Annotated[
        tuple[Shape, ...],
        Meta(max_length=32, description="Boxes, or polygons x1, y1, x2, y2, x3, y3, ..."),
    ] = ()


class StreamViews(Struct, frozen=True, kw_only=True):
    """Views and mask of a stream, and whether they were drawn on the page."""

    views: Views
    mask: tuple[tuple[float, ...], ...]
    drawn: bool


class Hours(Request, frozen=True):
    """Days and hours of a time zone; an end before the start is on the next day."""

    days: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Meta(max_length=7)
    ] = ()
    start: Annotated[str, Meta(max_length=5, description="HH:MM")] = "00:00"
    end: Annotated[str, Meta(max_length=5, description="HH:MM, exclusive.")] = "00:00"
    zone: Annotated[str, Meta(max_length=64, description="Such as Europe/Berlin.")] | None = None


Names = Annotated[tuple[Name, ...], Meta(max_length=32)]
Seconds = Annotated[float, Meta(ge=0, le=604800)]


class AlertBody(Request, frozen=True):
    """An alert rule. Its target is one that the configuration names."""

    target: Annotated[str, Meta(min_length=1, max_length=64)]
    streams: Names = ()
    views: Names = ()
    labels: Names = ()
    min_score: Score = 0.0
    min_s: Seconds = 0.0
    hours: Annotated[tuple[Hours, ...], Meta(max_length=14)] = ()
    cooldown_s: Seconds = 60.0


class Mute(Request, frozen=True):
    """For how long a rule sends nothing."""

    minutes: Annotated[float, Meta(gt=0, le=10080)]


class Alert(Struct, frozen=True, kw_only=True):
    """An alert rule. `own` rules were made on the page; the others cannot be changed there."""

    name: str
    streams: tuple[str, ...]
    views: tuple[str, ...]
    labels: tuple[str, ...]
    min_score: float
    min_s: float
    hours: tuple[Hours, ...]
    cooldown_s: float
    target: str | None
    sends_to: tuple[str, ...]
    muted: bool
    muted_until: str | None
    fired_at: str | None
    own: bool


class Target(Struct, frozen=True):
    """Where messages can go, as the configuration has it; without credentials."""

    name: str
    sends_to: tuple[str, ...]


class AlertList(Struct, frozen=True):
    """All alert rules, and the targets that new ones can have."""

    rules: tuple[Alert, ...]
    targets: tuple[Target, ...]


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
    machine: str | None


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
