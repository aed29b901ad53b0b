"""Users and passwords apart from the URLs of sources."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.config.includes import load_stream_config
from ecolite_stream.config.logins import LoginConfig, split_login, with_login, with_logins
from ecolite_stream.config.source_names import NamedSource, named_source
from ecolite_stream.errors import ConfigError


def urls(folder: Path, text: str) -> list[str]:
    path = folder / "stream.yaml"
    path.write_text(text)
    return [named_source(source).url for source in load_stream_config(path).source]


def test_sources_get_the_login_of_their_name(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("source: [door=rtsp://10.0.0.9/live]")
    found = urls(
        tmp_path,
        """
source:
  - {name: gate, url: "rtsp://10.0.0.7/live"}
  - {name: yard, url: "rtsp://other:word@10.0.0.8/live"}
  - rtsp://10.0.0.6/live
include: [more.yaml]
logins:
  gate: {user: me, password: "p@/s"}
  yard: {user: me, password: hush}
  door: {user: "me:too", password: ""}
  later: {user: me, password: hush}
""",
    )
    assert found == [
        "rtsp://me:p%40%2Fs@10.0.0.7/live",
        "rtsp://other:word@10.0.0.8/live",  # the URL wins
        "rtsp://10.0.0.6/live",
        "rtsp://me%3Atoo:@10.0.0.9/live",
    ]


@pytest.mark.parametrize(
    ("logins", "message"),
    [
        ("hush", "logins: expected keys and values, got a secret"),
        ("{gate: hush}", "logins: gate: expected keys and values, got a secret"),
        ("{gate: 4711}", "logins: gate: expected keys and values, got a secret"),
        ("{gate: {user: me, password: 4711}}", "password: expected text; write it in quotes"),
        ("{gate: {user: me}}", "missing key password"),
        ('{gate: {user: "", password: hush}}', "user is empty"),
        ("{film: {user: me, password: hush}}", "source film: logins are for URLs"),
    ],
)
def test_what_is_refused_shows_no_password(tmp_path: Path, logins: str, message: str) -> None:
    text = f"source: [gate=rtsp://10.0.0.7/live, film=film.mp4]\nlogins: {logins}"
    with pytest.raises(ConfigError, match=message) as refused:
        urls(tmp_path, text)
    assert "hush" not in str(refused.value) and "4711" not in str(refused.value)
    assert "hush" not in repr(LoginConfig("me", "hush"))


@given(st.text(min_size=1), st.text())
def test_a_login_can_be_taken_off_again(user: str, password: str) -> None:
    address = "rtsp://10.0.0.7:554/live"
    url = with_login(address, LoginConfig(user, password).in_url)
    assert split_login(url) == (address, LoginConfig(user, password).in_url)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("rtsp://me:p@ss@10.0.0.7/live", ("rtsp://10.0.0.7/live", "me:p@ss")),
        ("rtsp://10.0.0.7/live", ("rtsp://10.0.0.7/live", "")),
        ("rtsp://me:hush@10.0.0.7/live?token=a", ("rtsp://me:hush@10.0.0.7/live?token=a", "")),
        ("camera:1", ("camera:1", "")),
        ("film.mp4", ("film.mp4", "")),
    ],
)
def test_the_login_of_a_url(url: str, parts: tuple[str, str]) -> None:
    assert split_login(url) == parts


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://10.0.0.9/live?mail=a@b", "rtsp://me:pw@10.0.0.9/live?mail=a@b"),
        ("rtsp://you:own@10.0.0.9/live", "rtsp://you:own@10.0.0.9/live"),
        ("rtsp://you@10.0.0.9/live?token=x", "rtsp://you@10.0.0.9/live?token=x"),
    ],
)
def test_only_a_login_before_the_host_stands_in_the_way(url: str, expected: str) -> None:
    logins = {"gate": LoginConfig("me", "pw")}
    (source,) = with_logins((NamedSource(url, "gate"),), logins)
    assert named_source(source).url == expected
