"""Text that other systems wrote, prepared for terminals and logs."""

from __future__ import annotations


def escaped(text: str) -> str:
    """Return the text with control characters as escape sequences, such as `\\x1b`; line breaks remain."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
