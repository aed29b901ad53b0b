"""What goes in and out of the operations on clips and teaching."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from ecolite_stream.web.api.types import Name, Request

MOST_CLIPS = 500

Label = Annotated[str, Meta(min_length=1, max_length=100, description="Name of an action.")]


class NewClip(Request, frozen=True):
    """The newest seconds of a stream show an action."""

    label: Label
    seconds: Annotated[
        float, Meta(ge=0.5, le=20, description="How many of the newest seconds to keep.")
    ]
    view: Annotated[
        Name | None,
        Meta(description="Cut by the boxes of this view; null is the region that is watched alone"),
    ] = None


class CollectedClip(Struct, frozen=True):
    """A clip in the folder, `<action>/<file>`."""

    clip: str


class ClipQuery(Request, frozen=True):
    """Filters of clips and a place in the list."""

    label: Label | None = None
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=MOST_CLIPS)] = 200


class Relabel(Request, frozen=True):
    """The action that a clip shows."""

    label: Label


class ActionClips(Struct, frozen=True):
    """The clips of one action, and the segments of long videos; how many of each group and day.

    A group is a source and day, or a long video.
    """

    label: str
    clips: int
    groups: dict[str, int]
    days: dict[str, int]
    segments: int


class Double(Struct, frozen=True):
    """A clip with the same bytes as another one."""

    clip: str
    other: str


class ListedClip(Struct, frozen=True):
    """A clip and what is known of it; empty where nobody noted it."""

    clip: str
    label: str
    stream: str
    view: str
    start: str
    source: str


class ClipList(Struct, frozen=True, kw_only=True):
    """What there is to teach with, what is missing, and a part of the clips, the newest first."""

    folder: str
    actions: tuple[ActionClips, ...]
    missing: tuple[str, ...]
    problems: Annotated[
        tuple[str, ...], Meta(description="Why videos or their segments are not counted")
    ]
    doubles: tuple[Double, ...]
    total: int
    clips: tuple[ListedClip, ...]


class FromEvents(Struct, frozen=True):
    """How many corrected events became clips, how many are left, and why others became none."""

    made: int
    left: int
    problems: tuple[str, ...]


class Progress(Struct, frozen=True):
    """How many clips are done, of how many; 0 of 0 where that is not known yet."""

    done: int
    clips: int


class EpochProgress(Struct, frozen=True):
    """How many epochs of all trainings are done, of how many; `left_s` is null at first."""

    done: int
    epochs: int
    left_s: float | None


class NewTeaching(Request, frozen=True):
    """The options of a teaching."""

    thorough: Annotated[
        bool,
        Meta(description="Train all layers, for up to 12 hours; false fits the last layer."),
    ] = False


class Compared(Struct, frozen=True, kw_only=True):
    """Clips right of the taught bundle and of another one, of the labels of both."""

    taught: int
    now: int
    clips: int
    bundle: str
    labels: tuple[str, ...]


class Report(Struct, frozen=True, kw_only=True):
    """How good the taught bundle is on clips that were held out."""

    clips_right: int
    clips: int
    interval_95: tuple[float, float]
    grouping: str
    groups: int
    unjudged: tuple[str, ...]
    wrong: dict[str, str]
    confusion: tuple[tuple[str, str, int], ...]
    interval_95_by_groups: Annotated[
        tuple[float, float] | None,
        Meta(
            description="The interval where clips of a group are right or wrong together; null "
            "where each clip is a group of its own"
        ),
    ] = None
    compared: Annotated[
        Compared | None, Meta(description="With the bundle that runs now; null without clips")
    ] = None
    quick: Annotated[
        Compared | None, Meta(description="With the quick way; null unless taught thoroughly")
    ] = None


class TeachingState(Struct, frozen=True, kw_only=True):
    """Where a teaching stands; `why_not` says why none can be started here."""

    state: Literal["idle", "running", "done", "failed", "stopped"]
    why_not: str | None
    why_not_thorough: Annotated[
        str | None, Meta(description="Why all layers cannot be trained here")
    ]
    stopping: Annotated[bool, Meta(description="Whether it was stopped and has not ended yet")]
    thorough: Annotated[bool, Meta(description="Whether all layers are trained")]
    progress: Progress
    epochs: Annotated[
        EpochProgress | None, Meta(description="Of all trainings; null unless they have begun")
    ]
    lines: tuple[str, ...]
    error: str
    report: Report | None


class Used(Struct, frozen=True):
    """Digest of the bundle that runs now."""

    digest: str
