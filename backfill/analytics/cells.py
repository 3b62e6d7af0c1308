"""Reading of cells, and arithmetic that gives the same digits everywhere.

A count is an int, a percentage a Decimal of percent points (`-13.79%` is -13.79). None stands for what a cell does not
say, and for a division by zero; it is never turned into 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

_NUMBER = re.compile(r"[+-]?(?:\d{1,12}|\d{1,3}(?:,\d{3}){1,3})", re.ASCII)
_PERCENT = re.compile(r"([+-]?(?:\d{1,12}|\d{1,3}(?:,\d{3}){1,3})(?:\.\d{1,6})?)\s*%?", re.ASCII)


def is_blank(cell: str) -> bool:
    """Whether a cell says in so many words that it has nothing to say: empty, or `N/A`."""
    return cell.strip().upper() in ("", "N/A")


@lru_cache(maxsize=8192)
def number(cell: str) -> int | None:
    """A whole number with or without thousands commas and sign; None for a blank and for anything else."""
    text = cell.strip()
    return int(text.replace(",", "")) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=8192)
def percent(cell: str) -> Decimal | None:
    """A percentage with or without its sign, in percent points; None for a blank and for anything else."""
    match = _PERCENT.fullmatch(cell.strip())
    return Decimal(match[1].replace(",", "")) if match else None


def points(value: Decimal | None) -> float | None:
    """A percentage as JSON has it. Never -0.0."""
    return None if value is None else float(value) + 0.0


@lru_cache(maxsize=65536)
def club_number(cell: str) -> str:
    """Without spaces and leading zeros, since reports write one club's number in two ways; empty for none."""
    return cell.strip().lstrip("0")


@lru_cache(maxsize=65536)
def words(cell: str) -> str:
    """A name with single spaces; the exports carry trailing and double ones."""
    return " ".join(cell.split())


def rounded(part: int, whole: int, digits: int) -> float | None:
    """part / whole, rounded half away from zero to so many digits; None for a division by zero."""
    if whole == 0:
        return None
    scale: int = 10**digits
    size = (2 * abs(part) * scale + abs(whole)) // (2 * abs(whole))
    return (-size if (part < 0) != (whole < 0) and size else size) / scale


def percentage(part: int | None, whole: int | None, digits: int) -> float | None:
    """part / whole in percent points, rounded half away from zero; None for a division by zero or by the unknown."""
    return None if part is None or whole is None else rounded(100 * part, whole, digits)


def difference(left: int | None, right: int | None) -> int | None:
    """left - right; None where either is unknown."""
    return None if left is None or right is None else left - right


def total(values: Sequence[int | None]) -> int | None:
    """The sum of what is known; None where there are values and none of them is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known or not values else None


def share_ceiling(base: int, per_mille: int) -> int:
    """The least whole number that is at least so many thousandths of `base`, exactly: 550 of 100 is 55."""
    return -(-base * per_mille // 1000)


def counted(count: int, noun: str) -> str:
    """`1 member`, `12 members`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
