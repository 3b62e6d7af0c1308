"""Parsing of cells, and exact arithmetic.

A count is an int, a percentage a Decimal of percent points (`-13.79%` is -13.79). None stands for an
unknown value and for the result of a division by zero; it never becomes 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

_NUMBER = re.compile(r"[+-]?(?:\d{1,12}|\d{1,3}(?:,\d{3}){1,3})", re.ASCII)
_PERCENT = re.compile(r"([+-]?(?:\d{1,12}|\d{1,3}(?:,\d{3}){1,3})(?:\.\d{1,6})?)\s*%?", re.ASCII)


def is_blank(cell: str) -> bool:
    """Whether a cell is empty or `N/A`."""
    return cell.strip().upper() in ("", "N/A")


@lru_cache(maxsize=8192)
def number(cell: str) -> int | None:
    """A whole number with optional thousands commas and sign; None for any other text."""
    text = cell.strip()
    return int(text.replace(",", "")) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=8192)
def percent(cell: str) -> Decimal | None:
    """A percentage with optional `%`, in percent points; None for any other text."""
    match = _PERCENT.fullmatch(cell.strip())
    return Decimal(match[1].replace(",", "")) if match else None


def points(value: Decimal | None) -> float | None:
    """A percentage as a JSON number, never -0.0."""
    return None if value is None else float(value) + 0.0


@lru_cache(maxsize=65536)
def club_number(cell: str) -> str:
    """A club number without spaces and leading zeros, which differ between reports; empty if there is none."""
    return cell.strip().lstrip("0")


@lru_cache(maxsize=65536)
def words(cell: str) -> str:
    """A name with single spaces. The exports contain trailing and double spaces."""
    return " ".join(cell.split())


def rounded(part: int, whole: int, digits: int) -> float | None:
    """part / whole, rounded half away from zero to `digits` digits; None if whole is 0."""
    if whole == 0:
        return None
    scale: int = 10**digits
    size = (2 * abs(part) * scale + abs(whole)) // (2 * abs(whole))
    return (-size if (part < 0) != (whole < 0) and size else size) / scale


def percentage(part: int | None, whole: int | None, digits: int) -> float | None:
    """part / whole in percent points, rounded half away from zero; None if a value is unknown or whole is 0."""
    return None if part is None or whole is None else rounded(100 * part, whole, digits)


def difference(left: int | None, right: int | None) -> int | None:
    """left - right; None if either is unknown."""
    return None if left is None or right is None else left - right


def total(values: Sequence[int | None]) -> int | None:
    """The sum of the known values; None if there are values but all are unknown."""
    known = sum(filter(None, values))  # leaves out 0, too
    return known if known or not values or values.count(None) < len(values) else None


def share_ceiling(base: int, per_mille: int) -> int:
    """`per_mille` thousandths of `base`, rounded up to a whole number: 550 of 100 is 55."""
    return -(-base * per_mille // 1000)


def counted(count: int, noun: str) -> str:
    """`1 member`, `12 members`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
