"""Names of streams and regions."""

from __future__ import annotations

from ecolite_stream.errors import ConfigError

LONGEST_NAME = 64
NOT_IN_NAMES = frozenset("/\\:@=?#&%+*|<>\"'`$")
"""Characters of URLs, and so of passwords, and those that topics and file names cannot have."""


def check_name(name: str, of: str = "source") -> None:
    """Raise a ConfigError if a name is invalid. The message omits it: it may be a password."""
    if not 0 < len(name) <= LONGEST_NAME:
        problem = f"is {len(name)} characters long"
    elif wrong := sorted(NOT_IN_NAMES & set(name)):
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
