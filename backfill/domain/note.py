"""Notes of operators on jobs."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime

from backfill.errors import InvalidRequest

LONGEST_NOTE = 500
"""Characters."""

MOST_NOTES = 50
"""The most notes of a job: the job is written each second while it runs."""

_FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories: control characters, surrogates, line and paragraph separators."""

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They change the order in which a text is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    at: datetime
    operator: str
    text: str


def is_one_line(text: str) -> bool:
    """Whether a text has no control characters, line breaks or surrogates."""
    return not any(char in _BIDI_CONTROLS or unicodedata.category(char) in _FORBIDDEN for char in text)


def parsed_note(text: str) -> str:
    """The note without surrounding spaces; an empty text is no note. Raises InvalidRequest for `note`."""
    if len(text) > LONGEST_NOTE:
        raise InvalidRequest(
            {"note": [f"note must not be longer than {LONGEST_NOTE} characters; it has {len(text):,}."]}
        )
    if not is_one_line(text):
        raise InvalidRequest({"note": ["note must be one line without control characters."]})
    return text.strip()


def required_note(text: str) -> str:
    """Like `parsed_note`, but an empty text raises InvalidRequest as well."""
    note = parsed_note(text)
    if not note:
        raise InvalidRequest({"note": ["note must not be empty."]})
    return note
