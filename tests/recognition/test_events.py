"""When an action begins and when it is over."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.config.schema import EventConfig, MemoryConfig, StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.spec import IDLE_LABELS
from ecolite_stream.recognition.events import Decision, decision_for
from ecolite_stream.types import Event, Prediction

AT_ONCE = EventConfig(enter=0.6, leave=0.4, min_s=0, cooldown_s=0, update_every_s=None)


def prediction(time_s: float, label: str, score: float, fill: float = 1.0) -> Prediction:
    """The label has the score, and one other the rest."""
    other = "idle" if label != "idle" else "wave"
    pairs = sorted([(label, score), (other, 1 - score)], key=lambda pair: -pair[1])
    return Prediction("s", round(25 * time_s), time_s, *pairs[0], tuple(pairs), fill)


def told(
    decision: Decision, predictions: Iterable[Prediction]
) -> list[tuple[str, str, float, float | None]]:
    return [(e.kind, e.label, e.start_s, e.end_s) for e in all_events(decision, predictions)]


def all_events(decision: Decision, predictions: Iterable[Prediction]) -> list[Event]:
    events = [event for p in predictions for event in decision.observe(p)]
    return [*events, *decision.finish()]


def waves(*scores: float, every_s: float = 0.5, fill: float = 1.0) -> list[Prediction]:
    return [prediction(i * every_s, "wave", score, fill) for i, score in enumerate(scores)]


START, END, UPDATE = "start", "end", "update"


@pytest.mark.parametrize(
    ("changes", "scores", "expected"),
    [
        ({}, [0.1, 0.5, 0.59], []),
        ({}, [0.1, 0.6, 0.9, 0.3], [(START, 0.5, None), (END, 0.5, 1.5)]),
        ({}, [0.9, 0.9], [(START, 0.0, None), (END, 0.0, 0.5)]),  # the end of the stream
        ({}, [0.6, 0.4, 0.59, 0.4, 0.39], [(START, 0.0, None), (END, 0.0, 2.0)]),  # hysteresis
        ({}, [0.9, 0.1, 0.9], [(START, 0, None), (END, 0, 0.5), (START, 1, None), (END, 1, 1)]),
        ({"min_s": 1}, [0.9, 0.9, 0.1, 0.9], []),
        ({"min_s": 1}, [0.9, 0.5, 0.9, 0.1], [(START, 0.0, None), (END, 0.0, 1.5)]),
        ({"cooldown_s": 1}, [0.9, 0.1, 0.9, 0.1], [(START, 0.0, None), (END, 0.0, 0.5)]),
        (
            {"cooldown_s": 1},
            [0.9, 0.1, 0.9, 0.9],
            [(START, 0.0, None), (END, 0.0, 0.5), (START, 1.5, None), (END, 1.5, 1.5)],
        ),
        (
            {"update_every_s": 1},
            [0.9] * 5,
            [(START, 0, None), (UPDATE, 0, None), (UPDATE, 0, None), (END, 0, 2)],
        ),
        ({"ignore": ("wave", "idle")}, [0.9, 0.9, 0.1], []),
        ({"ignore": ()}, [0.9, 0.5], [(START, 0.0, None), (END, 0.0, 0.5)]),
    ],
)
def test_scores_and_events(
    changes: dict[str, object],
    scores: list[float],
    expected: list[tuple[str, float, float | None]],
) -> None:
    config = EventConfig(**{**vars(AT_ONCE), **changes})  # type: ignore[arg-type]
    found = told(Decision("s", config), waves(*scores))
    assert [(kind, start_s, end_s) for kind, _, start_s, end_s in found] == expected


def test_an_event_knows_its_best_and_its_mean_score() -> None:
    start, end = all_events(Decision("door", AT_ONCE), waves(0.6, 0.9, 0.75, 0.2))
    assert start == Event("door@0.000", "door", "wave", 0.0, None, 0.6, 0.6, "start")
    assert (end.id, end.kind, end.end_s) == (start.id, "end", 1.5)
    assert (end.peak_score, end.mean_score) == (0.9, pytest.approx(0.75))
    assert list(end.as_dict().items())[:4] == [
        ("event", "door@0.000"),
        ("kind", "end"),
        ("stream", "door"),
        ("label", "wave"),
    ]


def test_another_label_may_begin_with_what_ends_the_first() -> None:
    """The cooldown is for the same label only."""
    config = EventConfig(**{**vars(AT_ONCE), "cooldown_s": 10})
    predictions = [prediction(0, "wave", 0.9), prediction(1, "jump", 0.9)]
    assert told(Decision("s", config), predictions) == [
        (START, "wave", 0, None),
        (END, "wave", 0, 1),
        (START, "jump", 1, None),
        (END, "jump", 1, 1),
    ]


def test_an_emptier_memory_begins_nothing() -> None:
    config = EventConfig(**{**vars(AT_ONCE), "min_fill": 0.5})
    assert told(Decision("s", config), waves(0.9, 0.9, fill=0.49)) == []
    assert told(Decision("s", config), waves(0.9, fill=0.5)) != []


@pytest.mark.parametrize(
    ("enter", "score", "begins"),
    [(None, 0.35, True), (None, 0.29, False), (0.5, 0.35, False), (0.2, 0.25, True)],
)
def test_the_bundles_thresholds(enter: float | None, score: float, begins: bool) -> None:
    """They hold where the configuration says nothing."""
    config = EventConfig(enter=enter, min_s=0)
    first = Prediction("s", 0, 0.0, "wave", score, (("wave", score),), 1.0)
    assert bool(Decision("s", config, {"wave": 0.3}).observe(first)) is begins


def test_defaults_without_thresholds() -> None:
    """0.6 begins it and 0.4 keeps it up."""
    found = told(Decision("s"), waves(0.6, 0.41, 0.41, 0.39))
    assert found == [(START, "wave", 0.0, None), (END, "wave", 0.0, 1.5)]
    assert told(Decision("s"), waves(0.59, 0.59, 0.59)) == []


@pytest.mark.parametrize(("step_s", "events"), [(5.0, 2), (5.1, 4), (-3.0, 4)])
def test_a_gap_ends_an_event(step_s: float, events: int) -> None:
    """So does time that goes back."""
    predictions = [prediction(t, "wave", 0.9) for t in (3, 4, 4 + step_s)]
    found = all_events(Decision("s", AT_ONCE, gap_s=5), predictions)
    assert len(found) == events
    assert found[1].end_s == (4 if events == 4 else 9)


def test_ids_differ_where_time_goes_back() -> None:
    found = all_events(Decision("s", AT_ONCE), [*waves(0.9, 0.9), *waves(0.9, 0.9)])
    assert [event.id for event in found] == ["s@0.000"] * 2 + ["s@0.000#1"] * 2


def test_finishing_twice_tells_nothing_twice() -> None:
    decision = Decision("s", AT_ONCE)
    assert decision.finish() == ()
    decision.observe(prediction(0, "wave", 0.9))
    assert len(decision.finish()) == 1
    assert decision.finish() == ()


def test_rare_predictions_are_no_gaps() -> None:
    config = StreamConfig(every_s=10, memory=MemoryConfig(gap_s=5), events=AT_ONCE)
    found = told(decision_for("s", config), waves(0.9, 0.9, every_s=10))
    assert found == [(START, "wave", 0.0, None), (END, "wave", 0.0, 10.0)]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"enter": 1.1}, "enter is 1.1; expected 0 to 1"),
        ({"leave": -0.1}, "leave is -0.1; expected 0 to 1"),
        ({"enter": 0.4, "leave": 0.5}, "leave is 0.5; expected at most enter, 0.4"),
        ({"min_s": -1}, "min_s is -1; expected at least 0"),
        ({"cooldown_s": float("nan")}, "cooldown_s is nan"),
        ({"update_every_s": 0}, "update_every_s is 0; expected a number above 0"),
        ({"min_fill": 2}, "min_fill is 2; expected 0 to 1"),
    ],
)
def test_what_cannot_be_configured(values: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EventConfig(**values)  # type: ignore[arg-type]
    assert words in str(caught.value)


scores = st.floats(0, 1)
configs = st.builds(
    EventConfig,
    enter=st.one_of(st.none(), st.floats(0.5, 1)),
    leave=st.one_of(st.none(), st.floats(0, 0.5)),
    min_s=st.floats(0, 2),
    cooldown_s=st.floats(0, 2),
    update_every_s=st.one_of(st.none(), st.floats(0.1, 3)),
    min_fill=scores,
)


@st.composite
def streams(draw: st.DrawFn) -> list[Prediction]:
    time_s, predictions = 0.0, []
    for _ in range(draw(st.integers(0, 40))):
        time_s += draw(st.sampled_from([0.01, 0.5, 0.5, 0.5, 5.5]))
        label = draw(st.sampled_from(["wave", "jump", "idle"]))
        predictions.append(prediction(time_s, label, draw(scores), draw(scores)))
    return predictions


@given(streams(), configs)
def test_events_of_a_stream_follow_one_another(
    predictions: list[Prediction], config: EventConfig
) -> None:
    events = all_events(Decision("s", config), predictions)
    now_s, going, ids = 0.0, None, set()
    for event in events:
        assert 0 <= event.mean_score <= event.peak_score <= 1
        assert event.label not in config.ignore
        if event.kind == "start":
            assert going is None
            assert event.id not in ids
            assert event.start_s >= now_s
            ids.add(event.id)
            going, now_s = event, event.start_s
        else:
            assert going is not None
            assert (event.id, event.label, event.start_s) == (going.id, going.label, going.start_s)
            assert event.peak_score >= going.peak_score
            if event.kind == "end":
                assert event.end_s is not None
                assert event.end_s >= now_s
                assert event.end_s - event.start_s >= config.min_s
                going, now_s = None, event.end_s
            else:
                assert event.end_s is None
    assert going is None


@given(st.lists(st.floats(0.4, 1), max_size=50), st.floats(0.1, 3))
def test_between_leaving_and_entering_nothing_flickers(
    later: list[float], update_every_s: float
) -> None:
    config = EventConfig(enter=0.6, leave=0.4, min_s=0, update_every_s=update_every_s)
    events = all_events(Decision("s", config), waves(0.6, *later))
    assert [event.kind for event in events if event.kind != "update"] == ["start", "end"]
    assert len({event.id for event in events}) == 1


def test_labels_that_stand_for_nothing_are_no_events_by_default() -> None:
    assert EventConfig().ignore == IDLE_LABELS
