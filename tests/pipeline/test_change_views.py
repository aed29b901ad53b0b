"""Views that change while a stream runs: its source stays open, and the other views go on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from ecolite_stream.app.control import PipelineControl
from ecolite_stream.config.drawn_views import DrawnViews, drawn_text, read_drawn
from ecolite_stream.config.schema import StreamConfig, WebConfig
from ecolite_stream.config.views import ViewConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.pipeline.sample_queue import StreamQueue
from ecolite_stream.recognition.step import _until_views_end
from ecolite_stream.types import Box, Event, Prediction, Sample
from tests.fakes import ListSource, spec_of
from tests.pipeline.runs import ALWAYS, Running, live

pytestmark = pytest.mark.timeout(60)

LEFT, RIGHT = (
    ViewConfig(region=name, box=(x, 0.0, 0.5, 1.0)) for name, x in (("left", 0.0), ("right", 0.5))
)
TWO = dataclasses.replace(ALWAYS, views=(LEFT, RIGHT))


def views_of(run: Running, since: int) -> set[str]:
    return {one.view for one in run.sink.predictions[since:]}


def newest(run: Running) -> list[Prediction]:
    return [one for one in run.sink.predictions[-20:] if one.view == "right"]


def events_of(run: Running, view: str) -> list[Event]:
    events = [one for one in list(run.outputs.outputs) if isinstance(one, Event)]
    return [event for event in events if event.view == view]


def test_views_change_and_the_others_go_on() -> None:
    opened = []

    def open_it() -> ListSource:
        opened.append(1)
        return live("b")  # type: ignore[return-value]

    with Running("a") as run:
        run.pipeline.add(StreamInput("b", open_it, settings=TWO))
        run.wait("events of both", lambda: events_of(run, "left") and events_of(run, "right"))
        stream = run.pipeline.stream_input("b")
        moved = dataclasses.replace(RIGHT, box=(0.6, 0.0, 0.4, 1.0))
        settings = dataclasses.replace(TWO, views=(LEFT, moved, "whole"), mask=((0, 0, 0.1, 0.1),))
        run.pipeline.change_views(dataclasses.replace(stream, settings=settings))
        run.wait("the end of right", lambda: any(e.kind == "end" for e in events_of(run, "right")))
        run.wait("the new view", lambda: bool(events_of(run, "whole")))
        run.wait("right again", lambda: events_of(run, "right")[-1].kind != "end")
        run.wait("its new place", lambda: any(p.box == Box(0.6, 0, 0.4, 1) for p in newest(run)))
        assert {event.kind for event in events_of(run, "left")} <= {"start", "update"}
        assert len(opened) == 1
        single = dataclasses.replace(TWO, views=())
        run.pipeline.change_views(dataclasses.replace(stream, settings=single))
        run.wait("the end of left", lambda: any(e.kind == "end" for e in events_of(run, "left")))
        before = len(run.sink.predictions)
        run.wait("labels", lambda: views_of(run, before + 40) != set())
        assert views_of(run, before + 40) == {""}


def test_a_paused_stream_has_its_new_views_when_it_comes_back() -> None:
    with Running("a", config=TWO) as run:
        run.wait_for_more("a")
        run.pipeline.pause("a")
        stream = run.pipeline.stream_input("a")
        one = dataclasses.replace(TWO, views=(LEFT, "whole"))
        run.pipeline.change_views(dataclasses.replace(stream, settings=one))
        before = len(run.sink.predictions)
        run.pipeline.resume("a")
        run.wait("the view", lambda: "whole" in views_of(run, before))
        with pytest.raises(ConfigError, match="there is no stream 'b'"):
            run.pipeline.stream_input("b")


def sample(number: int, ends: bool = False) -> Sample:
    return Sample("s", number, number / 25, None, None, False, False, view="v", ends_view=ends)


def test_a_view_that_takes_the_name_of_one_that_ended_is_in_another_part() -> None:
    one, end, other = sample(1), sample(2, ends=True), sample(3)
    assert list(_until_views_end((one, end))) == [(one, end)]
    assert list(_until_views_end((one, end, other))) == [(one, end), (other,)]
    assert list(_until_views_end(())) == [()]


def test_a_slow_engine_keeps_the_end_before_the_view_that_took_its_name() -> None:
    queue = StreamQueue(2, True, lambda cause: None)
    for number in (1, 2, 3, 4):
        queue.put(sample(number, ends=number == 2))
    assert [one.ends_view for one in queue.samples] == [True, False, False][: len(queue.samples)]
    assert queue.samples[0].ends_view


# What is drawn is kept


def control_of(run: Running, path: Path | None) -> PipelineControl:
    config = StreamConfig(web=WebConfig("0", views_file=path))
    control = PipelineControl(config, SimpleNamespace(spec=spec_of()))  # type: ignore[arg-type]
    control.attach(run.pipeline, lambda stream: stream)
    return control


def test_what_is_drawn_is_applied_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "c.views.yaml"
    drawn = DrawnViews((LEFT, "follow", ViewConfig(subjects=2)), ((0, 0, 0.2, 0.1),))
    with Running("a") as run:
        control = control_of(run, path)
        assert control.views("a") == (DrawnViews(), False)
        control.set_views("a", drawn)
        run.wait("the view", lambda: "left" in views_of(run, 0))
        assert control.views("a") == (drawn, True)
        assert read_drawn(path) == {"a": drawn}
        with pytest.raises(KeyError):
            control.set_views("b", drawn)
        path.write_text("streams: [")  # by hand, in the meantime
        with pytest.raises(ConfigError, match="cannot be read"):
            control.set_views("a", DrawnViews())
        assert path.read_text() == "streams: ["
        path.write_text(drawn_text({"a": drawn, "gone": DrawnViews(("whole",))}))
        control.set_views("a", None)
        assert control.views("a") == (DrawnViews(), False)
        assert read_drawn(path) == {"gone": DrawnViews(("whole",))}
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        with pytest.raises(ConfigError, match=r"set web\.views_file"):
            control_of(run, None).set_views("a", drawn)


def test_what_cannot_be_kept_is_not_applied(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Running("a") as run:
        control = control_of(run, tmp_path / "file" / "views.yaml")
        with pytest.raises(OSError):
            control.set_views("a", DrawnViews((LEFT,)))
        assert control.views("a") == (DrawnViews(), False)


def test_what_cannot_be_applied_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "views.yaml"

    def gone(stream: object) -> None:
        raise ConfigError("there is no stream 'a'")

    with Running("a") as run:
        control = control_of(run, path)
        control.set_views("a", DrawnViews(("whole",)))
        monkeypatch.setattr(run.pipeline, "change_views", gone)
        with pytest.raises(ConfigError, match="no stream 'a'"):
            control.set_views("a", DrawnViews((LEFT,)))
    assert read_drawn(path) == {"a": DrawnViews(("whole",))}


def test_views_that_could_not_be_read_again_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "views.yaml"
    shape = tuple(n / 64 for n in range(64))
    many = {f"s{n}": DrawnViews(("whole",), (shape,) * 32) for n in range(11)}
    path.write_text(drawn_text(many))
    with Running("a") as run:
        control = control_of(run, path)
        with pytest.raises(ConfigError, match="would be too large"):
            control.set_views("a", DrawnViews(("whole",), (shape,) * 32))
    assert set(read_drawn(path)) == set(many)


def test_names_of_streams_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "views.yaml"
    names = ["rtsp://host/1", "yes", "2026-11-28", "a: b #c", "\udcff", "dóor", "- x"]
    path.write_text(drawn_text({name: DrawnViews((LEFT,)) for name in names}))
    assert list(read_drawn(path)) == names
    assert yaml.safe_load(path.read_text()[:70].splitlines()[0]) is None  # a comment


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("streams: {a: {views: [{region: x, box: [0, 0, 2, 1]}]}}", "box is"),
        ("streams: {a: {views: [nowhere]}}", "views has 'nowhere'"),
        ("streams: {a: {mask: [[0, 0, 1, 1]]}}", "mask covers the whole picture"),
        ("stream: {}", "did you mean 'streams'"),
        ("streams: [a]", "expected keys and values"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "views.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as wrong:
        read_drawn(path)
    assert str(wrong.value).count("\n") == 0 and str(path) in str(wrong.value)
