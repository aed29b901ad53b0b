"""Remove credentials from URLs for messages and logs."""

from __future__ import annotations

import re

from ecolite_stream.config.printable import printable

# A single slash is a typo in a URL; a single letter is a Windows drive.
_SCHEME = re.compile(r".*?://|[A-Za-z][\w+.-]+:/", re.DOTALL)
# An "@" that cannot end a password: in the query of a URL, without a colon before.
_PLAIN_QUERY = re.compile(r"[^:@?#]*\?[^=&@?#]+=[^&]*(?:&[^=&@?#]+=[^&]*)*")
# An "@" that may end a password or be part of a value: both sides of it are secret.
_ANYTHING = re.compile(r"[^/?#]*[/?#].*=.*@", re.DOTALL)

# A URL without its scheme; a single letter is a Windows drive.
_FORGOTTEN = re.compile(r"[^/\\:@]{2,}:.*@", re.DOTALL)
# A URL with a mistyped or missing scheme: rtsp//HOST, rtsp:HOST, //HOST, HOST:554/PATH.
_MISTYPED = re.compile(
    r"\s*(?:(?:rtsp[su]?|https?|rtmps?|rtp|tcp|udp|mqtts?|wss?)(?:[:;]/*|/{2,})|/{2,})"
    r"|(?=[^/\\:@?#\s]+:\d{1,5}[/?#])",
    re.IGNORECASE,
)
_QUERY = re.compile(r"\?(?=[\w.%-]+=)")

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LONG_PIECE = re.compile(r"[A-Za-z0-9]{16,}")
_LONGEST_WORD = 31
_RUN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
"""A word, a capitalized word or a number."""
_RANDOM_RUN, _RANDOM_MIXED_RUN = 3.0, 2.5
"""Most characters per run in random text of one case, and of mixed case; words have more."""
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


def redact_url(url: str) -> str:
    """Remove user, password and parameter values from a URL; other text stays unchanged.

    Unprintable characters are escaped: stream names come from here.

    People write passwords unescaped, so a "/", "?", "#" or "@" may be part of one. All text before
    the last "@" is removed; if that "@" may be part of a value, everything is. Values in the path
    are hidden too, because cameras take "rtsp://host/user=admin&password=secret". So are parts of
    the path that look random: 16 or more letters and digits without words.

    >>> redact_url("rtsp://me:secret@10.0.0.7/live?token=abc&channel=1")
    'rtsp://10.0.0.7/live?token=***&channel=***'
    """
    url = printable(url)
    scheme = _SCHEME.match(url)
    if scheme is None:
        return _without_scheme(url)
    rest = url[scheme.end() :]
    if not _PLAIN_QUERY.fullmatch(rest):
        rest = "***" if _ANYTHING.match(rest) else rest.rpartition("@")[2]
    path, mark, query = _split(rest)
    hidden = "&".join(map(_parameter, query.split("&")))
    return scheme[0] + _no_tokens(re.sub(r"=[^&]*", "=***", path)) + mark + hidden


def _without_scheme(text: str) -> str:
    """Keep a path; redact a URL with a mistyped or missing scheme."""
    if mistyped := _MISTYPED.match(text):
        return mistyped[0] + redact_url(f"x://{text[mistyped.end() :]}")[4:]
    if _FORGOTTEN.match(text):
        return "***@" + redact_url(f"x://{text}")[4:]
    if query := _QUERY.search(text):
        hidden = "&".join(map(_parameter, text[query.end() :].split("&")))
        return text[: query.end()] + hidden
    return text


def _no_tokens(path: str) -> str:
    """Host and path, without the parts of the path that look random."""
    host, *parts = path.split("/")
    return "/".join([host, *map(_part, parts)])


def _part(part: str) -> str:
    suffix = _SUFFIX.search(part)
    stem, end = (part[: suffix.start()], suffix[0]) if suffix else (part, "")
    random = _UUID.search(stem) or any(map(_looks_random, _LONG_PIECE.findall(stem)))
    return f"***{end}" if random else part


def _looks_random(piece: str) -> bool:
    """Whether a piece of at least 16 letters and digits is random rather than words."""
    mixed = piece not in (piece.lower(), piece.upper())
    most = (_RANDOM_MIXED_RUN if mixed else _RANDOM_RUN) * len(_RUN.findall(piece))
    return len(piece) > _LONGEST_WORD or len(piece) <= most


def _split(text: str) -> tuple[str, str, str]:
    """(path, "?" or "#", rest)."""
    match = re.search(r"[?#]", text)
    if match is None:
        return text, "", ""
    return text[: match.start()], match[0], text[match.end() :]


def _parameter(text: str) -> str:
    """A parameter without its value. One without a name may be a token and is hidden."""
    name, equals, _ = text.partition("=")
    if equals:
        return f"{name}=***"
    return "***" if text else ""
