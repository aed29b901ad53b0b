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


def redact_url(url: str) -> str:
    """The URL without user, password and the values of its parameters; other text stays as it is.

    What cannot be printed is escaped: names of streams come from here.

    Passwords are written into URLs unescaped, so that a "/", "?", "#" or "@" may be part of one:
    all that stands before the last "@" goes, and rather too much than too little: where that "@"
    might be in a value instead, nothing is left. Values are hidden in the path too, for cameras
    take "rtsp://host/user=admin&password=secret".

    >>> redact_url("rtsp://me:secret@10.0.0.7/live?token=abc&channel=1")
    'rtsp://10.0.0.7/live?token=***&channel=***'
    """
    url = printable(url)
    scheme = _SCHEME.match(url)
    if scheme is None:
        return "***@" + redact_url(f"x://{url}")[4:] if _FORGOTTEN.match(url) else url
    rest = url[scheme.end() :]
    if not _PLAIN_QUERY.fullmatch(rest):
        rest = "***" if _ANYTHING.match(rest) else rest.rpartition("@")[2]
    path, mark, query = _split(rest)
    hidden = "&".join(map(_parameter, query.split("&")))
    return scheme[0] + re.sub(r"=[^&]*", "=***", path) + mark + hidden


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
