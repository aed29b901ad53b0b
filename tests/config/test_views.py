"""Views, regions and masks: what is taken, and what is refused in one line."""

from __future__ import annotations

import math

import pytest

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.source_names import NamedSource
from ecolite_stream.config.views import ViewConfig, covered_regions, parse_view
from ecolite_stream.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("follow", "follow"),
        ("subjects:3", ViewConfig(subjects=3)),
        ("door=0.1,0.2,0.3,0.5", ViewConfig(region="door", box=(0.1, 0.2, 0.3, 0.5))),
    ],
)
def test_views_on_the_command_line(text: str, view: str | ViewConfig) -> None:
    assert parse_view(text) == view


@pytest.mark.parametrize("text", ["subjects:many", "door=a,b,c,d", "subjects:0", "door=0,0,1"])
def test_views_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_view(text)


@pytest.mark.parametrize(
    ("views", "words"),
    [
        (("middle",), "views has 'middle'; expected center, whole, follow"),
        (("follow", "follow"), "views has 'follow' twice"),
        ((ViewConfig("door", (0, 0, 1, 1)), ViewConfig("door", (0, 0, 0.5, 1))), "'door' twice"),
        (tuple(ViewConfig(f"r{i}", (0, 0, 1, 1)) for i in range(33)), "at most 32"),
    ],
)
def test_views_that_cannot_be_watched_side_by_side(views: tuple[object, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        StreamConfig(views=views)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "box",
    [(0.5, 0.5, 0.6, 0.1), (0, 0, 0, 1), (-0.1, 0, 0.5, 0.5), (0, 0, 1), (math.nan, 0, 0.5, 0.5)],
)
def test_regions_outside_of_the_picture(box: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="box"):
        ViewConfig("door", box)


@pytest.mark.parametrize("subjects", [0, -1, 17, 100])
def test_numbers_of_subjects(subjects: int) -> None:
    with pytest.raises(ConfigError, match=f"subjects is {subjects}; expected 1 to 16"):
        ViewConfig(subjects=subjects)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (((0, 0, 1, 1),), "covers the whole picture"),
        (((0, 0, 0.5, 1), (0.5, 0, 0.5, 1)), "covers the whole picture"),
        (((0, 0, 1, 0, 1, 1, 0, 1),), "covers the whole picture"),
        (((0, 0, 1, 0, 1, 1), (0, 0, 0, 1, 1, 1)), "covers the whole picture"),
        (((0.3, 0.3, 0.1, 0.1), (0.5, 0, 0.5, 1), (0, 0, 0.6, 1)), "covers the whole picture"),
        (((0.002, 0, 0.996, 1),), "covers the whole picture"),
        (((0, 0, 0.5),), "expected a box"),
        (((0.5,) * 10_002,) * 2, "mask has 20004 numbers; expected at most 20000"),
        (((0, 0, 0.5, 0.5, 2, 2),), "expected a box"),
        (((0, 0, 0, 0),), "mask 1 is"),
    ],
)
def test_masks(mask: tuple[tuple[float, ...], ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        StreamConfig(mask=mask)


@pytest.mark.parametrize(
    "mask",
    [
        (),
        ((0, 0, 0.99, 1),),
        ((0, 0, 0.5, 1), (0.5, 0, 0.5, 0.98)),
        ((0, 0, 1, 0, 1, 1),),
        ((0, 0, 0.5, 1), (0.6, 0, 0.4, 1)),
        ((0, 0, 1, 0, 1, 1, 0.5, 0.5, 0, 1),),  # a notch is left at the bottom
    ],
)
def test_masks_that_leave_a_part_of_the_picture(mask: tuple[tuple[float, ...], ...]) -> None:
    assert StreamConfig(mask=mask).mask == mask


DOOR = ViewConfig("door", (0.1, 0.2, 0.3, 0.5))


@pytest.mark.parametrize(
    "mask",
    [
        ((0.1, 0.2, 0.3, 0.5),),
        ((0, 0, 0.25, 1), (0.2, 0.1, 0.3, 0.7)),
        ((0.0, 0.1, 0.5, 0.1, 0.5, 0.8, 0.0, 0.8),),
    ],
)
def test_a_mask_that_covers_a_region(mask: tuple[tuple[float, ...], ...]) -> None:
    assert covered_regions(mask, ("follow", DOOR)) == ["door"]
    assert covered_regions(mask, ("follow", ViewConfig(subjects=2))) == []
    # Configurations that have one go on: without the gate, motion does not matter everywhere.
    assert StreamConfig(views=(DOOR,), mask=mask).mask == mask


@pytest.mark.parametrize(
    "mask", [((0.1, 0.2, 0.29, 0.5),), ((0.1, 0.2, 0.4, 0.2, 0.4, 0.7),), ((0.4, 0.7, 0.2, 0.2),)]
)
def test_a_mask_that_leaves_a_part_of_a_region(mask: tuple[tuple[float, ...], ...]) -> None:
    assert covered_regions(mask, (DOOR,)) == []


def test_a_source_overrides_what_concerns_it() -> None:
    gate = NamedSource(
        "camera",
        "gate",
        every_s=0.25,
        events={"enter": 0.8},
        views=("follow",),
        mask=((0, 0, 0.5, 0.5),),
        gate=False,
    )
    config = StreamConfig(source=(gate,), every_s=1.0, smoothing=0.1)
    of_gate = config.of_stream(gate)
    assert (of_gate.every_s, of_gate.smoothing, of_gate.gate) == (0.25, 0.1, False)
    assert of_gate.events.enter == 0.8
    assert of_gate.events.ignore == config.events.ignore
    assert config.of_stream(NamedSource("camera")).every_s == 1.0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (NamedSource("camera", "gate", every_s=-1), "source gate: every_s is -1"),
        (NamedSource("camera", "gate", events={"enter": 7}), "source gate: events: enter is 7"),
        (NamedSource("camera", "gate", memory={"polcy": "x"}), "did you mean 'policy'"),
        (NamedSource("camera", "gate", views=("x",)), "source gate: views has 'x'"),
    ],
)
def test_overrides_that_are_wrong_name_their_source(source: NamedSource, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        StreamConfig(source=(source,))
