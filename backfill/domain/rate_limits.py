"""How hard the dashboard may be pressed: the limits an operator sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta

from backfill.errors import InvalidRequest

BOUNDS: Mapping[str, tuple[int, int]] = {
    "max_requests_per_minute": (1, 6000),
    "max_concurrent": (1, 32),
    "min_delay_ms": (0, 60_000),
    "max_delay_ms": (0, 300_000),
    "backoff_multiplier": (1, 10),
}
"""Lowest and highest value of each limit."""

_EVENNESS = 1.005
"""Starts are this much further apart than the limit asks, so that what the network shifts still keeps to it."""

_FAILURES_THAT_MATTER = 60
"""Any backoff that grows at all is at its longest by then; more would only overflow."""

_SLOWEST = timedelta(minutes=1)
"""However often the dashboard asks for less, one request a minute is little enough."""


def camel(name: str) -> str:
    """`max_delay_ms` as the API writes it, `maxDelayMs`."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What a job keeps to. A job carries its copy, so that a change applies to the next one."""

    max_requests_per_minute: int = 60
    max_concurrent: int = 3
    min_delay_ms: int = 500
    max_delay_ms: int = 30_000
    backoff_multiplier: float = 2

    @property
    def interval(self) -> timedelta:
        """Between the starts of two requests."""
        pace = timedelta(minutes=_EVENNESS / self.max_requests_per_minute)
        return max(pace, timedelta(milliseconds=self.min_delay_ms))

    @property
    def most_a_minute(self) -> float:
        """Requests that may start a minute: the shortest delay may allow fewer than the other limit."""
        return min(self.max_requests_per_minute, 60_000 / max(self.min_delay_ms, 1))

    def interval_at(self, share: float) -> timedelta:
        """Between the starts of two requests at a share of the pace; a share below 1 makes it a minute at most."""
        return max(self.interval, min(self.interval / share, _SLOWEST))

    def backoff(self, failures: int, jitter: float) -> timedelta:
        """How long to wait after the given number of failures in a row; `jitter` is between 0 and 1.

        Exponential from the shortest to the longest delay, of which at least half is kept.
        """
        growth = self.backoff_multiplier ** min(failures, _FAILURES_THAT_MATTER)
        delay = min(max(self.min_delay_ms, 100) * growth, self.max_delay_ms)
        return timedelta(milliseconds=max(delay * (0.5 + jitter / 2), self.min_delay_ms))

    def changed(self, changes: Mapping[str, float]) -> RateLimits:
        """With some limits replaced. InvalidRequest names every field that is out of its bounds."""
        wrong: dict[str, list[str]] = {}
        for name, value in changes.items():
            low, high = BOUNDS[name]
            if not low <= value <= high:
                wrong[camel(name)] = [f"{camel(name)} must be between {low:,} and {high:,}; it was {value:,}."]
        limits = replace(self, **changes)  # type: ignore[arg-type]
        if not wrong and limits.min_delay_ms > limits.max_delay_ms:
            sentence = (
                f"minDelayMs ({limits.min_delay_ms:,}) must not be greater than maxDelayMs ({limits.max_delay_ms:,})."
            )
            wrong["minDelayMs"] = [sentence]
        if wrong:
            raise InvalidRequest(wrong)
        return limits

    def lowered(self, other: RateLimits) -> RateLimits:
        """The gentler of the two in every respect."""
        return RateLimits(
            max_requests_per_minute=min(self.max_requests_per_minute, other.max_requests_per_minute),
            max_concurrent=min(self.max_concurrent, other.max_concurrent),
            min_delay_ms=max(self.min_delay_ms, other.min_delay_ms),
            max_delay_ms=max(self.max_delay_ms, other.max_delay_ms),
            backoff_multiplier=max(self.backoff_multiplier, other.backoff_multiplier),
        )

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


LIMIT_NAMES = tuple(f.name for f in fields(RateLimits))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLimits:
    """The limits that the next job will take, and who set them."""

    limits: RateLimits = RateLimits()
    updated_at: datetime | None = None
    updated_by: str = ""
