"""Statements about the growth of time and memory, and the slopes that confirm or refute them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import log


class Growth(StrEnum):
    FLAT = "flat"
    LINEAR = "linear"

    @property
    def steepest(self) -> float:
        """The steepest slope in a log-log plot with which the statement is true; noise and rounding add to it."""
        return 0.25 if self is Growth.FLAT else 1.2


Point = tuple[float, float]
"""A number of items, and seconds or MB."""

SECONDS_FLOOR = 0.02
MB_FLOOR = 8.0
"""Smaller durations, and smaller differences of the peak memory, are noise and count as this value."""

_FITTED = 3
"""Number of points, the largest ones, through which the line is fitted: constant costs hide in them the least."""


def time_slope(points: Sequence[Point]) -> float:
    return _slope([(items, max(seconds, SECONDS_FLOOR)) for items, seconds in points])


def memory_slope(points: Sequence[Point]) -> float:
    """Return the slope of what is used above the peak of the smallest size, which contains Python and the modules."""
    base = min(points)[1]
    return _slope([(items, max(mb - base, MB_FLOOR)) for items, mb in points])


def _slope(points: Sequence[Point]) -> float:
    """Return the slope of a least-squares fit of the logarithms. Raises ValueError for fewer than two sizes."""
    fitted: list[Point] = [(log(items), log(value)) for items, value in sorted(points)[-_FITTED:]]
    if len({x for x, _ in fitted}) < 2:
        raise ValueError(f"A slope needs at least two sizes; there were {len(fitted)} points of the same size.")
    mean_x, mean_y = (sum(axis) / len(fitted) for axis in zip(*fitted, strict=True))
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in fitted)
    return float(covariance / sum((x - mean_x) ** 2 for x, _ in fitted))


@dataclass(frozen=True, slots=True)
class Statement:
    """How the time or the memory of an operation grows."""

    subject: str
    """For example `the time of a claim`."""
    growth: Growth
    slope: float

    @property
    def problem(self) -> str:
        """Return why the statement is not true, or an empty text."""
        if self.slope <= self.growth.steepest:
            return ""
        return (
            f"{self.subject} is stated to be {self.growth}, but its slope is {self.slope:.2f} "
            f"(at most {self.growth.steepest})."
        )

    @property
    def is_too_weak(self) -> bool:
        """Whether a linear statement describes what is flat. Meaningful only if the largest sizes were measured."""
        return self.growth is Growth.LINEAR and self.slope <= Growth.FLAT.steepest
