"""URLs without their credentials, for everything people or logs get to see."""

from __future__ import annotations

import re

_USER_INFO = re.compile(r"(?<=://)[^/?#]*@")
# An unescaped "/", "?" or "#" in a password: "rtsp://me:se/cret@host". What stands before it
# cannot be host:port, for a port is a number.
_BROKEN_USER_INFO = re.compile(r"(?<=://)[^/?#@:]*:(?!\d*[/?#]|\d*$)[^@\]]*@(?:.*@)?")
# Cameras also take "rtsp://host/user=admin&password=secret&channel=1".
_SECRET = re.compile(
    r"(?P<name>[\w.%-]*(?:pass|pwd|token|secret|key|auth|signature|sig|credential|session|jwt)"
    r"[\w.%-]*)=[^&#]*",
    re.IGNORECASE,
)


def redact_url(url: str) -> str:
    """The URL without user, password and secret parameters; other text stays as it is.

    >>> redact_url("rtsp://me:secret@10.0.0.7/live?token=abc&channel=1")
    'rtsp://10.0.0.7/live?token=***&channel=1'
    """
    if "://" not in url:
        return url
    url = _BROKEN_USER_INFO.sub("", _USER_INFO.sub("", url))
    scheme, separator, rest = url.partition("://")
    return scheme + separator + _SECRET.sub(r"\g<name>=***", rest)
