"""Make foreign text safe for terminals, logs and metrics: one line, no escape sequences."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    r"""Escape all characters that cannot be printed.

    These are control characters, line breaks, marks of text direction, and bytes of a file name
    that are not UTF-8. Letters of any script and spaces stay.

    >>> printable("caf\udce9\x1b[2J.mp4")
    'caf\\xe9\\x1b[2J.mp4'
    """
    if text.isprintable():
        return text
    return "".join(c if _is_printable(c) else _escaped(c) for c in text)


def _is_printable(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file name
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
