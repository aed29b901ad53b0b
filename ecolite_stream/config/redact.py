"""URLs without their credentials, for everything people or logs get to see."""

from __future__ import annotations

import re

from ecolite_stream.config.printable import printable

# A single slash is a slip of a URL; a single letter is a drive of Windows.
_SCHEME = re.compile(r".*?://|[A-Za-z][\w+.-]+:/", re.DOTALL)
# An "@" that cannot end a password: it is in the query of a URL without a colon before.
_PLAIN_QUERY = re.compile(r"[^:@?#]*\?[^=&@?#]+=[^&]*(?:&[^=&@?#]+=[^&]*)*")
# One that may end a password, or be in a value: what stands before it and after it is secret.
_ANYTHING = re.compile(r"[^/?#]*[/?#].*=.*@", re.DOTALL)

# A URL whose scheme was forgotten; a single letter is a drive of Windows.
_FORGOTTEN = re.compile(r"[^/\\:@]{2,}:.*@", re.DOTALL)
# One whose scheme was mistyped, or is not there: rtsp//HOST, rtsp:HOST, //HOST, HOST:554/PATH.
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
"""Characters a run: fewer in what was made at random, of one case and of two; more in words."""
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


def redact_url(url: str) -> str:
    """The URL without user, password and the values of its parameters; other text stays as it is.

    What cannot be printed is escaped: names of streams come from here.

    Passwords are written into URLs unescaped, so that a "/", "?", "#" or "@" may be part of one:
    all that stands before the last "@" goes, and rather too much than too little: where that "@"
    might be in a value instead, nothing is left. Values are hidden in the path too, for cameras
    take "rtsp://host/user=admin&password=secret", and so are parts of the path that look as if they
    were made at random: 16 letters and digits or more without a word in them.

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
    """A path as it is; what is a URL with a slip in it as if it had none."""
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
    """Of 16 letters and digits or more."""
    mixed = piece not in (piece.lower(), piece.upper())
    most = (_RANDOM_MIXED_RUN if mixed else _RANDOM_RUN) * len(_RUN.findall(piece))
    return len(piece) > _LONGEST_WORD or len(piece) <= most


def _split(text: str) -> tuple[str, str, str]:
    """The path, "?" or "#", and all that follows."""
    match = re.search(r"[?#]", text)
    if match is None:
        return text, "", ""
    return text[: match.start()], match[0], text[match.end() :]


def _parameter(text: str) -> str:
    """A parameter without its value; one without a name might be a token."""
    name, equals, _ = text.partition("=")
    if equals:
        return f"{name}=***"
    return "***" if text else ""
