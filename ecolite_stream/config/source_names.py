"""What a source is and what its stream is called: `gate=rtsp://host/path`."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, field

from ecolite_stream.errors import ConfigError

LONGEST_NAME = 64
_NOT_IN_NAMES = frozenset("/\\:@=?#&%+*|<>\"'`$")
"""What URLs, and with them passwords, are made of, and what topics and file names cannot have."""
_URL = re.compile(r"[A-Za-z][\w+.-]*://")


@dataclass(frozen=True)
class NamedSource:
    """A source, and what its stream is called.

    Attributes:
        url: what to watch, as `open_source` takes it: a camera, a path, a URL, a pattern. A path
            that begins with `~/` or `~USER/` is expanded.
        name: of the stream, wherever it is shown; None is `url` without credentials.
    """

    url: str = field(repr=False)
    name: str | None = None

    def __post_init__(self) -> None:
        if self.url.startswith("~"):
            object.__setattr__(self, "url", os.path.expanduser(self.url))  # noqa: PTH111
        if self.name is not None:
            object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name))
            check_name(self.name)


def named_source(source: str | NamedSource) -> NamedSource:
    """What a user writes: a source, or `NAME=` and a source.

    What begins like a URL has no name, whatever is in it; nor has a path with a folder: no name
    has a colon or a slash. A file in the current folder whose name has a `=` is `./a=b.mp4`.

    Raises:
        ConfigError: the name cannot be one.
    """
    if isinstance(source, NamedSource):
        return source
    name, equals, url = source.partition("=")
    has_name = equals and not _URL.match(source)
    if has_name and (not _NOT_IN_NAMES & set(name) or _URL.match(url)):
        return NamedSource(url, name)
    return NamedSource(source)


def check_name(name: str, of: str = "source") -> None:
    """Raise a ConfigError, without the name: it might be a URL, with a password."""
    if not 0 < len(name) <= LONGEST_NAME:
        problem = f"is {len(name)} characters long"
    elif wrong := sorted(_NOT_IN_NAMES & set(name)):
        problem = f"has {' '.join(wrong)} in it"
    elif not name.isprintable() or name != name.strip():
        problem = "has a character that cannot be seen, or a space at an end"
    elif not any(character.isalnum() for character in name):
        problem = "has neither letter nor digit"
    else:
        return
    raise ConfigError(
        f"the name of a {of} {problem}; expected 1 to {LONGEST_NAME} letters, digits, spaces, "
        "- _ and ., such as gate"
    )
