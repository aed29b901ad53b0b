"""Who may look."""

from __future__ import annotations

import socket

import pytest

from ecolite_stream.config.hosts import host_name
from ecolite_stream.config.schema import WebConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.web.access import (
    MOST_GUESSES,
    SESSION_S,
    WINDOW_S,
    Access,
    Visitors,
    access_of,
    check_token,
)

TOKEN = "0123456789abcdef"


def access(
    host: str = "127.0.0.1", bound_to: str = "127.0.0.1", **given: object
) -> tuple[Access, bool]:
    return access_of(WebConfig("8080", **given), host, bound_to, {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8080", True),
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("[::1]:8080", True),
        ("127.0.0.2", True),
        ("evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("192.168.1.5:8080", False),
        (f"{socket.gethostname()}:8080", socket.gethostname() == "localhost"),
        ("", False),
        ("[", False),
    ],
)
def test_names_on_loopback(host: str, known: bool) -> None:
    assert access()[0].knows_host(host) is known


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("192.168.1.5:8080", True),
        ("[fe80::1]:8080", True),
        (socket.gethostname(), True),
        ("Cams.Example", True),
        ("evil.example", False),
    ],
)
def test_names_beyond_loopback(host: str, known: bool) -> None:
    assert access("0.0.0.0", "0.0.0.0", hosts=("cams.example",))[0].knows_host(host) is known


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        (None, True),
        ("http://localhost:8080", True),
        ("https://localhost:8080", True),
        ("http://LocalHost:8080", True),
        ("http://localhost:9090", False),
        ("http://localhost", False),
        ("http://evil.example", False),
        ("null", False),
        ("http://[", False),
        ("", False),
        ("file://localhost:8080", False),
    ],
)
def test_origins(origin: str | None, own: bool) -> None:
    assert access()[0].is_own(origin, "localhost:8080") is own


def test_a_token_is_needed_beyond_loopback_only() -> None:
    assert access() == (Access(frozenset({"localhost", "127.0.0.1"})), False)
    for far, is_new in (access("0.0.0.0", "0.0.0.0"), access("::", "::"), access(hosts=("a",))):
        assert is_new
        assert far.token is not None
        assert far.admits(far.token)
        assert not any(map(far.admits, (None, "", "x" * 32, far.token[:-1], "ü\udcff")))
    assert access("0.0.0.0", "0.0.0.0")[0].token != access("0.0.0.0", "0.0.0.0")[0].token


def test_a_token_that_is_given() -> None:
    assert access(token=TOKEN)[0].token == TOKEN  # then on loopback too
    variable = {"ECOLITE_WEB_TOKEN": TOKEN}
    assert access_of(WebConfig("1"), "0.0.0.0", "0.0.0.0", variable)[0].admits(TOKEN)
    config = WebConfig("1", token="f" * 16)
    assert access_of(config, "0.0.0.0", "0.0.0.0", variable)[0].token == "f" * 16
    assert TOKEN not in repr(access(token=TOKEN)) + repr(WebConfig(token=TOKEN))


@pytest.mark.parametrize("token", ["short", "with a space in it", "ümlaut-ümlaut-ümlaut", "a;" * 9])
def test_what_cannot_be_a_token(token: str) -> None:
    with pytest.raises(ConfigError, match="expected at least 16") as raised:
        check_token(token)
    assert token not in str(raised.value)


def test_host_names() -> None:
    names = {"a:1": "a", "[::1]:2": "::1", "A.b": "a.b", "[": "", "user@evil:1": "evil"}
    assert {host: host_name(host) for host in names} == names


def test_sessions_end_and_die_with_their_token() -> None:
    known, now_s = Access(frozenset(), token=TOKEN), 1e9
    session = known.new_session(now_s)
    assert TOKEN not in session
    assert known.admits_session(session, now_s)
    assert known.admits_session(session, now_s + SESSION_S - 1)
    assert not known.admits_session(session, now_s + SESSION_S)
    assert not Access(frozenset(), token=TOKEN + "x").admits_session(session, now_s)
    until, _, signature = session.partition(".")
    forged = (None, "", ".", TOKEN, f"{int(until) + 1}.{signature}", session[:-1], "\udcff.ü")
    assert not any(known.admits_session(value, now_s) for value in forged)


def test_guesses_are_counted_by_address_and_forgotten_in_time() -> None:
    now_s = [50.0]
    visitors = Visitors(Access(frozenset(), token=TOKEN), lambda: now_s[0], lambda: 1e9)
    session = visitors.log_in("a", TOKEN)
    other = Access(frozenset(), token=TOKEN).new_session(2e9)
    assert session is not None
    for number in range(MOST_GUESSES):
        assert not visitors.must_wait("a")
        if number % 2:
            assert visitors.log_in("a", str(number)) is None
        else:
            assert not visitors.admits("a", str(number))
    assert visitors.must_wait("a") and not visitors.must_wait("b")
    assert visitors.log_in("a", TOKEN) is None
    assert visitors.admits("a", session)  # it was right before
    assert not visitors.admits("a", other)  # it is right, but might be a guess
    assert visitors.admits("b", other) and visitors.admits("a", other)
    now_s[0] += WINDOW_S
    assert visitors.log_in("a", TOKEN) is not None


def test_an_old_cookie_again_and_again_is_one_guess() -> None:
    visitors = Visitors(Access(frozenset(), token=TOKEN))
    for _ in range(10 * MOST_GUESSES):
        assert not visitors.admits("a", "old")
    assert visitors.log_in("a", TOKEN) is not None


def test_what_is_remembered_of_guesses_is_bounded() -> None:
    visitors = Visitors(Access(frozenset(), token=TOKEN))
    for number in range(3000):
        visitors.log_in(str(number), "guess")
        visitors.log_in("b", TOKEN)
        visitors.admits("a", str(number))
    assert max(len(visitors._wrong), len(visitors._right)) <= 1000
    assert len(visitors._wrong["a"]) <= MOST_GUESSES


def test_without_a_token_everybody_is_admitted() -> None:
    assert Visitors(Access(frozenset())).admits("a", None)
