"""Text that other systems wrote, prepared for terminals, logs and spreadsheets."""

from __future__ import annotations

import re

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""With which spreadsheets recognise a formula; the last four are the full-width forms of the first four."""
_NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?%?", re.ASCII)


def escaped(text: str) -> str:
    """Return the text with control characters as escape sequences, such as `\\x1b`; line breaks remain."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def without_formula(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would evaluate; numbers remain as they are."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text) else text
