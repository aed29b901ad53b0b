"""What others chose to call something, where people read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.config.printable import printable
from ecolite_stream.config.redact import redact_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("walk", "walk"),
        ("Straße 東京　北 😀", "Straße 東京　北 😀"),
        ("caf\udce9.mp4", r"caf\xe9.mp4"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\nerror: b\r\tc", r"a\nerror: b\r\tc"),
        ("\x85\u2028\u202e\u200b\x9b31m", r"\x85\u2028\u202e\u200b\x9b31m"),
        ("\ud800\U000e0001", r"\ud800\U000e0001"),
    ],
)
def test_what_cannot_be_printed_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


@given(st.text(st.characters(categories=["L", "N", "C", "Z", "S"])))
def test_any_text_is_one_line_that_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    shown.encode()
    assert printable(shown) == shown


def test_names_of_streams_are_printable() -> None:
    assert redact_url("a\n\x1b[31m\udce9.mp4") == r"a\n\x1b[31m\xe9.mp4"
    assert redact_url("rtsp://u:p@h/\x1b[0m") == r"rtsp://h/\x1b[0m"
