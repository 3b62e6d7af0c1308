"""Numbers in texts that anybody may have sent."""

from __future__ import annotations

import re


def whole_number(text: str) -> int | None:
    """Return the number that a text of at most nine ASCII digits contains, otherwise None.

    int() also accepts digits of other scripts, and raises ValueError for more than 4,300 digits.
    """
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
