from __future__ import annotations

import dataclasses
import io
import json
import logging
import re
from typing import Any

import pytest

from ecolite_stream.sinks import ConsoleSink, JsonLinesSink
from ecolite_stream.types import Event, Prediction

KEYS = ["stream", "frame", "time_s", "label", "score", "top", "memory_fill", "latency_ms"]


def prediction(**changes: Any) -> Prediction:
    top = (("wave2", 0.9712), ("jack", 0.0213), ("bend", 0.0061), ("run", 0.0014))
    values: dict[str, Any] = {
        "stream": "door",
        "frame": 63,
        "time_s": 2.52,
        "label": "wave2",
        "score": 0.9712,
        "top": top,
        "memory_fill": 1.0,
        "latency_ms": 5.126,
    }
    return Prediction(**{**values, **changes})


@pytest.mark.parametrize(
    ("sink", "changes", "line"),
    [
        ({}, {}, "    2.52 s  wave2         97% ########## | jack 2% | bend 1%\n"),
        ({"label_width": 5}, {}, "    2.52 s  wave2  97% ########## | jack 2% | bend 1%\n"),
        ({"label_width": 5, "show_stream": True}, {}, "door      2.52 s  wave2  97% ########## |"),
        ({"label_width": 5}, {"top": (("wave2", 0.4),), "score": 0.4}, "  40% ####      \n"),
        ({"label_width": 5}, {"known": False}, "  97% ########## | unknown | jack 2% | bend 1%\n"),
        ({"label_width": 5}, {"known": True}, "  97% ########## | jack 2% | bend 1%\n"),
        ({"label_width": 5}, {"time_s": 123456.789}, "123456.79 s  wave2"),
    ],
)
def test_console(sink: dict[str, Any], changes: dict[str, Any], line: str) -> None:
    out = io.StringIO()
    with ConsoleSink(out, **sink) as console:
        console.send(prediction(**changes))
    assert line in out.getvalue()
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()  # no colours but on a terminal


def test_console_colours() -> None:
    line = ConsoleSink(io.StringIO()).line
    assert "\x1b[32m" in line(prediction())
    assert "\x1b[33m" in line(prediction(score=0.5))
    assert "\x1b[33m" in line(prediction(known=False))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(text: str) -> list[str]:
    """What a terminal shows of it, without colours."""
    rows, row = [""], 0
    for part in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|\n|[^\x1b\n]+", text):
        if part == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif part.endswith("F") and part.startswith("\x1b"):
            row -= int(part[2:-1])
            assert row >= 0
        elif part == "\x1b[K":
            rows[row] = ""
        elif part == "\x1b[J":
            rows[row:] = [""]
        elif not part.startswith("\x1b"):
            rows[row] += part
    return [line.rstrip() for line in rows]


def test_on_a_terminal_each_stream_has_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with ConsoleSink(out, 5, show_stream=True) as console:
        for number in range(3):
            for stream in ("door", "gate"):
                console.send(prediction(stream=stream, time_s=number))
        door, gate, end = screen(out.getvalue())
        assert door.startswith("door      2.00 s  wave2") and gate.startswith("gate      2.00 s")
        assert end == ""
        out.write("warning: gate: lost\n")  # as a log does on the same terminal
        logging.getLogger("x").warning("gate: lost")
        console.send(prediction(stream="gate", time_s=7))
        console.send(prediction(stream="door", time_s=8))
    *_, second, said, door, gate, end = screen(out.getvalue())
    assert second.startswith("gate      2.00 s") and said == "warning: gate: lost"
    assert door.startswith("door      8.00 s") and gate.startswith("gate      7.00 s")
    assert logging.root.handlers == [h for h in logging.root.handlers if h is not console._screen]


def test_views_have_names_and_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with ConsoleSink(out, 5, show_stream=True) as console:
        for view in ("left", "subject 1", "subject 2"):
            console.send(prediction(view=view, time_s=1))
        console.send(prediction(view="left", time_s=2))
        names = [row.split("  ")[0] for row in screen(out.getvalue())[:-1]]
        assert names == ["door/left", "door/subject 1", "door/subject 2"]
        console.send(prediction(view="subject 2", time_s=12))
        rows = screen(out.getvalue())
    assert [row.split("  ")[0] for row in rows] == ["door/left", "door/subject 2", ""]
    assert rows[0].startswith("door/left      2.00 s")
    begun = dataclasses.replace(STARTED, view="left")
    assert ConsoleSink(Terminal()).event_line(begun).startswith("left     12.5 s")


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_it_hides_no_warning_where_logging_was_not_set_up(
    term: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(logging.root, "handlers", [])
    with ConsoleSink(Terminal()):
        logging.getLogger("x").warning("gate: lost")
        logging.getLogger("x").info("gate: live")
    assert capsys.readouterr().err == "gate: lost\n"


def test_on_a_terminal_events_and_what_it_cannot_redraw_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LINES", "3")
    out = Terminal()
    with ConsoleSink(out, show_stream=True) as console:
        for stream in "abcabc":
            console.send(prediction(stream=stream))
    first, rest, _ = screen(out.getvalue())[-3:]  # no row is off the screen
    assert first.startswith("a ") and rest == "... and 2 more streams; --web shows all"
    out = Terminal()
    with ConsoleSink(out, events=True) as console:
        console.send(STARTED)
        console.send(ENDED)
    assert len(screen(out.getvalue())) == 3
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    with ConsoleSink(out) as console:
        console.send(prediction())
        console.send(prediction())
    assert len(screen(out.getvalue())) == 3


def test_json_lines() -> None:
    out = io.StringIO()
    with JsonLinesSink(out) as sink:
        sink.send(prediction())
        sink.send(prediction(stream="caf\u00e9\udce9.avi", label="b\u00f6w", latency_ms=None))
    first, second = out.getvalue().splitlines()
    assert out.getvalue().isascii()
    values = json.loads(first)
    assert list(values) == KEYS
    assert values["top"] == [["wave2", 0.9712], ["jack", 0.0213], ["bend", 0.0061], ["run", 0.0014]]
    assert values["latency_ms"] == 5.13
    values = json.loads(second)
    assert (values["stream"], values["label"]) == ("caf\u00e9\udce9.avi", "b\u00f6w")
    assert values["latency_ms"] is None


class Flushed(io.StringIO):
    count = 0

    def flush(self) -> None:
        self.count += 1


@pytest.mark.parametrize("kind", [ConsoleSink, JsonLinesSink])
def test_each_line_is_flushed_at_once_and_the_stream_stays_open(kind: Any) -> None:
    out = Flushed()
    with kind(out) as sink:
        sink.send(prediction())
        assert out.count >= 1
    assert not out.closed


STARTED = Event("door@12.500", "door", "wave2", 12.5, None, 0.61, 0.61, "start")
ENDED = Event("door@12.500", "door", "wave2", 12.5, 15.0, 0.9712, 0.8, "end")


def test_console_tells_when_events_begin_and_end() -> None:
    out = io.StringIO()
    with ConsoleSink(out, events=True) as console:
        console.send(STARTED)
        console.send(dataclasses.replace(STARTED, kind="update"))
        console.send(ENDED)
    assert out.getvalue() == (
        "   12.5 s  wave2 began\n   15.0 s  wave2 ended after 2.5 s, peak 97%\n"
    )
    assert ConsoleSink(out, show_stream=True).event_line(STARTED).startswith("door     12.5 s")


def test_events_as_json_lines() -> None:
    out = io.StringIO()
    with JsonLinesSink(out, events=True) as sink:
        sink.send(STARTED)
        sink.send(ENDED)
    first, second = map(json.loads, out.getvalue().splitlines())
    assert first == {
        "event": "door@12.500",
        "kind": "start",
        "stream": "door",
        "label": "wave2",
        "start_s": 12.5,
        "end_s": None,
        "peak_score": 0.61,
        "mean_score": 0.61,
    }
    assert (second["event"], second["kind"], second["end_s"]) == ("door@12.500", "end", 15.0)


@pytest.mark.parametrize("kind", [ConsoleSink, JsonLinesSink])
def test_sinks_take_predictions_or_events(kind: Any) -> None:
    assert kind(io.StringIO()).takes == (Prediction,)
    assert kind(io.StringIO(), events=True).takes == (Event,)
