"""Text of others that goes to terminals, logs and metrics: no escape sequences, one line."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    r"""The text with everything escaped that cannot be printed.

    That is control characters, line breaks, what changes the direction of text, and bytes of a
    file's name that are no UTF-8. Letters of any script and spaces stay.

    >>> printable("caf\udce9\x1b[2J.mp4")
    'caf\\xe9\\x1b[2J.mp4'
    """
    if text.isprintable():
        return text
    return "".join(c if _is_printable(c) else _escaped(c) for c in text)


def _is_printable(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte, as Python reads names of files
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
