"""Who may use the API, and how often."""

from __future__ import annotations

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.errors import ConfigError
from ecolite_stream.web.api.limits import RateLimit
from tests.web.api import READER, TOKEN, Streams, bearer, got, refused
from tests.web.asking import ask
from tests.web.conftest import Page, served

pytestmark = pytest.mark.timeout(60)


def test_tokens() -> None:
    with served(token=TOKEN, read_tokens=f"{READER} {'s' * 20}", control=Streams()) as page:
        assert refused(page, "/streams")[0] == 401
        assert refused(page, "/openapi.json")[0] == 401
        assert refused(page, "/streams", headers=bearer("x" * 20))[0] == 401
        for token in (TOKEN, READER, "s" * 20):
            assert got(page, "/streams", headers=bearer(token))
        assert refused(page, "/streams/door/pause", "POST", headers=bearer(READER))[0] == 403
        assert ask(page, "/api/streams/door/pause", "POST", headers=bearer(TOKEN))[0] == 204
        _, headers, _ = ask(page, "/session", "POST", data=READER)
        cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
        assert got(page, "/streams", headers=cookie)  # who reads may open the page, too
        assert refused(page, "/streams/yard/pause", "POST", headers=cookie)[0] == 403


def test_tokens_cannot_be_guessed() -> None:
    with served(token=TOKEN) as page:
        statuses = [refused(page, "/streams", headers=bearer(f"{n:020}"))[0] for n in range(12)]
        assert statuses[:9] == [401] * 9
        assert statuses[-1] == 429
        assert refused(page, "/streams", headers=bearer(TOKEN))[0] == 429


def test_read_tokens_need_a_token() -> None:
    with (
        pytest.raises(ConfigError, match=r"read_tokens needs web\.token"),
        served(read_tokens=READER),
    ):
        pass
    with pytest.raises(ConfigError, match="16 letters"), served(token=TOKEN, read_tokens="short"):
        pass


def test_other_sites_are_refused_in_json(page: Page) -> None:
    assert refused(page, "/streams", headers={"Origin": "http://evil.example"})[0] == 403
    assert refused(page, "/streams", headers={"Host": "evil.example"})[0] == 421


def test_too_many_requests() -> None:
    with served(api_per_s=1) as page:
        statuses = [ask(page, "/api/streams")[0] for _ in range(6)]
        assert statuses[:3] == [200, 200, 200]
        status, headers, _ = ask(page, "/api/streams")
        assert (status, int(headers["Retry-After"]) >= 1) == (429, True)


def test_a_rate_limit_fills_again() -> None:
    now_s = [0.0]
    limit = RateLimit(2.0, lambda: now_s[0])
    assert [limit.wait_s("a") for _ in range(7)] == [0] * 6 + [1]
    assert limit.wait_s("b") == 0
    now_s[0] = 0.5
    assert (limit.wait_s("a"), limit.wait_s("a")) == (0, 1)
    for number in range(2000):
        limit.wait_s(str(number))
    assert limit.wait_s("a") == 0  # it was forgotten
