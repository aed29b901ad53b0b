from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecolite_stream.sources import redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.7/live", "rtsp://10.0.0.7/live"),
        ("rtsp://me:secret@10.0.0.7:554/live", "rtsp://10.0.0.7:554/live"),
        ("rtsp://me@cam/live", "rtsp://cam/live"),
        ("rtsp://me:@cam/live", "rtsp://cam/live"),
        ("rtsp://:secret@cam/live", "rtsp://cam/live"),
        ("rtsp://me:se@cret@cam/live", "rtsp://cam/live"),
        ("rtsp://me:se%40cret@cam/live", "rtsp://cam/live"),
        ("rtsp://me:my secret@cam/channel 1", "rtsp://cam/channel 1"),
        ("rtsp://me:se:cret@cam", "rtsp://cam"),
        ("rtsp://me:se/cr?et#@cam/live", "rtsp://cam/live"),
        ("rtsp://me:secret@[fe80::1%25eth0]:554/live", "rtsp://[fe80::1%25eth0]:554/live"),
        ("http://[::1]:8080/a@b", "http://[::1]:8080/a@b"),
        ("http://cam/user@home/live", "http://cam/user@home/live"),
        ("http://cam:8080/@live", "http://cam:8080/@live"),
        ("http://cam/live?mail=me@home", "http://cam/live?mail=me@home"),
        ("http://cam/live?token=abc&channel=1", "http://cam/live?token=***&channel=1"),
        ("http://cam/live?channel=1&PASSWORD=a=b", "http://cam/live?channel=1&PASSWORD=***"),
        ("http://cam/live?api_key=abc#part", "http://cam/live?api_key=***#part"),
        ("http://cam/?X-Amz-Signature=abc", "http://cam/?X-Amz-Signature=***"),
        ("http://cam/?token=", "http://cam/?token=***"),
        (
            "rtsp://10.0.0.7/user=admin&password=secret&channel=1",
            "rtsp://10.0.0.7/user=admin&password=***&channel=1",
        ),
        ("http://proxy/?to=rtsp://me:secret@cam/", "http://proxy/?to=rtsp://cam/"),
        ("pattern", "pattern"),
        ("films/me@home/token=1.avi", "films/me@home/token=1.avi"),
        ("C:\\films\\a.avi", "C:\\films\\a.avi"),
        ("", ""),
    ],
)
def test_shows_no_credentials(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="/?#[]"), min_size=1))
def test_no_password_gets_through(password: str) -> None:
    assert redact_url(f"rtsp://me:{password}x@cam.local/live") == "rtsp://cam.local/live"


@settings(deadline=None)
@given(st.text())
def test_takes_any_text_and_is_done_after_once(text: str) -> None:
    once = redact_url(text)
    assert redact_url(once) == once
