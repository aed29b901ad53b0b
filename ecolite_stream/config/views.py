"""Settings of views: the squares of a picture that the network sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ecolite_stream.config.names import check_name
from ecolite_stream.errors import ConfigError

PLAIN_VIEWS = ("center", "whole", "follow")
MOST_SUBJECTS = 16
MOST_VIEWS = 32
MOST_MASK_NUMBERS = 20_000
"""Most numbers of all areas of a mask together."""
MASK_STEPS = 100
"""Places along each side of the picture, or of a region, of which a mask must leave one."""
_PICTURE = (0.0, 0.0, 1.0, 1.0)
_MIDDLES = [(step + 0.5) / MASK_STEPS for step in range(MASK_STEPS)]
SUBJECTS = "subjects"

Mask = tuple[tuple[float, ...], ...]
"""Areas in which motion is ignored, in shares of the picture: boxes (x, y, width, height), or
polygons of three or more points (x1, y1, x2, y2, x3, y3, ...)."""


@dataclass(frozen=True)
class ViewConfig:
    """A view with settings: a region or subjects.

    Attributes:
        region: name of a rectangle of the picture.
        box: the rectangle, (x, y, width, height) in shares of the picture.
        subjects: number of moving subjects to follow at most, each with its own memory.
    """

    region: str | None = None
    box: tuple[float, ...] = ()
    subjects: int | None = None

    def __post_init__(self) -> None:
        if (self.region is None) == (self.subjects is None):
            raise ConfigError("a view is a region with its box, or subjects; give one of them")
        if self.region is not None:
            check_name(self.region, "region")
            if self.region in PLAIN_VIEWS or self.region.startswith("subject"):
                raise ConfigError(f"region is {self.region!r}, which is the name of another view")
            check_box("box", self.box)
        elif self.box:
            raise ConfigError("box belongs to a region; name the region")
        elif not 1 <= (self.subjects or 0) <= MOST_SUBJECTS:
            raise ConfigError(f"subjects is {self.subjects}; expected 1 to {MOST_SUBJECTS}")


def check_box(name: str, box: Sequence[float]) -> None:
    """Raise a ConfigError unless a box lies in the picture and is not empty."""
    if len(box) != 4:
        raise ConfigError(f"{name} has {len(box)} numbers; expected x, y, width, height")
    x, y, width, height = box
    inside = x >= 0 and y >= 0 and x + width <= 1 + 1e-9 and y + height <= 1 + 1e-9
    if not (inside and width >= 0.01 and height >= 0.01):  # NaN compares as false
        raise ConfigError(
            f"{name} is {list(box)}; expected x, y, width, height in shares of the picture, "
            "inside it and at least 0.01 wide and high"
        )


def check_views(views: Sequence[str | ViewConfig]) -> None:
    """Raise a ConfigError unless all views are valid and their names differ."""
    if len(views) > MOST_VIEWS:
        raise ConfigError(f"views has {len(views)} entries; expected at most {MOST_VIEWS}")
    names = [view_name(view) for view in views]
    for view in views:
        if isinstance(view, str) and view not in PLAIN_VIEWS:
            raise ConfigError(
                f"views has {view!r}; expected {', '.join(PLAIN_VIEWS)}, "
                "{region: NAME, box: [x, y, width, height]} or {subjects: K}"
            )
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"views has {name!r} twice; give each view its own name")


def check_mask(mask: Mask) -> None:
    """Raise a ConfigError unless a mask lies in the picture and does not cover all of it."""
    if (numbers := sum(map(len, mask))) > MOST_MASK_NUMBERS:
        raise ConfigError(
            f"mask has {numbers} numbers; expected at most {MOST_MASK_NUMBERS}: draw it with "
            "fewer points"
        )
    for number, shape in enumerate(mask, start=1):
        if len(shape) == 4:
            check_box(f"mask {number}", shape)
        elif len(shape) < 6 or len(shape) % 2 or not all(0 <= value <= 1 for value in shape):
            raise ConfigError(
                f"mask {number} is {list(shape)}; expected a box (x, y, width, height) or the "
                "points of a polygon (x1, y1, x2, y2, x3, y3, ...), in shares of the picture"
            )
    if mask and _covers(mask, _PICTURE):
        raise ConfigError("mask covers the whole picture, so no motion counts; make it smaller")


def covered_regions(mask: Mask, views: Sequence[str | ViewConfig]) -> list[str]:
    """Names of the regions that a mask covers whole: no motion counts there.

    Args:
        mask: the areas.
        views: of the same stream, valid.
    """
    return [
        view.region
        for view in views
        if isinstance(view, ViewConfig)
        and view.region is not None
        and mask
        and _covers(mask, view.box)
    ]


def _covers(mask: Mask, box: Sequence[float]) -> bool:
    """Whether a mask covers a whole box."""
    x, y, width, height = box
    columns = [x + middle * width for middle in _MIDDLES]
    return all(_covers_row(mask, y + middle * height, columns) for middle in _MIDDLES)


def _covers_row(mask: Mask, y: float, columns: Sequence[float]) -> bool:
    step = 0
    for left, right in sorted(span for shape in mask for span in _spans(shape, y)):
        if columns[step] < left:
            return False
        while columns[step] <= right:
            step += 1
            if step == MASK_STEPS:
                return True
    return False


def _spans(shape: Sequence[float], y: float) -> list[tuple[float, float]]:
    """Where a row lies in a box or, by the even-odd rule, in a polygon: (left, right)."""
    if len(shape) == 4:
        left, top, width, height = shape
        return [(left, left + width)] if top <= y <= top + height else []
    corners = list(zip(shape[::2], shape[1::2], strict=True))
    edges = zip(corners, corners[1:] + corners[:1], strict=True)
    crossed = sorted(
        x1 + (y - y1) / (y2 - y1) * (x2 - x1)
        for (x1, y1), (x2, y2) in edges
        if (y1 > y) != (y2 > y)
    )
    return list(zip(crossed[::2], crossed[1::2], strict=True))


def parse_view(text: str) -> str | ViewConfig:
    """A view as the command line has it: a plain one, `subjects:K` or `NAME=X,Y,WIDTH,HEIGHT`.

    Raises:
        ConfigError: it is none of these, or out of range.
    """
    name, equals, numbers = text.partition("=")
    kind, colon, count = text.partition(":")
    try:
        if equals:
            return ViewConfig(region=name, box=tuple(float(n) for n in numbers.split(",")))
        if kind == "subjects" and colon:
            return ViewConfig(subjects=int(count))
    except ValueError as error:
        raise ConfigError(f"view {text!r}: expected numbers, as in subjects:3") from error
    return text


def view_name(view: str | ViewConfig) -> str:
    """The name of a view among several: `follow`, the region's, or `subjects`."""
    if isinstance(view, str):
        return view
    return view.region or SUBJECTS


def several_view_names(views: Sequence[str | ViewConfig]) -> tuple[str, ...]:
    """The names of a stream's views where it has several; with one view a stream needs none."""
    return tuple(map(view_name, views)) if len(views) > 1 else ()


def view_label(view: str) -> str:
    """The view's name in metrics; all subjects share `subjects`, to bound the number of series."""
    return SUBJECTS if view.startswith("subject") else view
