"""The rate limits that an operator sets."""

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
"""The minimum and maximum of each limit."""

_SAFETY_FACTOR = 1.005
"""Lengthens the interval, so that requests keep to the limit although the network delays them unevenly."""

_MAX_EXPONENT = 60
"""Prevents an overflow; the delay reaches its maximum earlier."""

_LONGEST_INTERVAL = timedelta(minutes=1)
"""The longest interval to which responses of the dashboard can slow a job."""


def camel(name: str) -> str:
    """The name in the API: `maxDelayMs` for `max_delay_ms`."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """The rate limits of a job. A job has its own copy, so that a change applies to the next job."""

    max_requests_per_minute: int = 60
    max_concurrent: int = 3
    min_delay_ms: int = 500
    max_delay_ms: int = 30_000
    backoff_multiplier: float = 2

    @property
    def interval(self) -> timedelta:
        """The time between the starts of two requests."""
        pace = timedelta(minutes=_SAFETY_FACTOR / self.max_requests_per_minute)
        return max(pace, timedelta(milliseconds=self.min_delay_ms))

    @property
    def max_per_minute(self) -> float:
        """Requests that may start per minute; the minimum delay may allow fewer than the other limit."""
        return min(self.max_requests_per_minute, 60_000 / max(self.min_delay_ms, 1))

    def interval_at(self, share: float) -> timedelta:
        """The time between the starts of two requests at a share of the rate, which extends it to at most a minute."""
        return max(self.interval, min(self.interval / share, _LONGEST_INTERVAL))

    def backoff(self, failures: int, jitter: float) -> timedelta:
        """How long to wait after a number of consecutive failures; `jitter` is between 0 and 1.

        Grows exponentially from the minimum to the maximum delay; jitter shortens it by up to half.
        """
        growth = self.backoff_multiplier ** min(failures, _MAX_EXPONENT)
        delay = min(max(self.min_delay_ms, 100) * growth, self.max_delay_ms)
        return timedelta(milliseconds=max(delay * (0.5 + jitter / 2), self.min_delay_ms))

    def changed(self, changes: Mapping[str, float]) -> RateLimits:
        """Return a copy with some limits replaced. Raises InvalidRequest with every field that is out of bounds."""
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
        """Return the stricter of both values for each limit: the lower number of requests, the higher delay."""
        return RateLimits(
            max_requests_per_minute=min(self.max_requests_per_minute, other.max_requests_per_minute),
            max_concurrent=min(self.max_concurrent, other.max_concurrent),
            min_delay_ms=max(self.min_delay_ms, other.min_delay_ms),
            max_delay_ms=max(self.max_delay_ms, other.max_delay_ms),
            backoff_multiplier=max(self.backoff_multiplier, other.backoff_multiplier),
        )

    def to_dict(self) -> dict[str, float]:
        return asdict(self)

    def differences(self, other: RateLimits) -> dict[str, tuple[float, float]]:
        """The limits that differ, by name: the value here and the value of `other`."""
        others = other.to_dict()
        return {name: (value, others[name]) for name, value in self.to_dict().items() if value != others[name]}


LIMIT_NAMES = tuple(f.name for f in fields(RateLimits))

_MEANINGS: Mapping[str, str] = {
    "max_requests_per_minute": "{:,g} requests per minute",
    "max_concurrent": "{:,g} requests at once",
    "min_delay_ms": "{:,g} ms minimum delay",
    "max_delay_ms": "{:,g} ms maximum delay",
    "backoff_multiplier": "backoff factor {:,g}",
}


def limit_text(name: str, value: float) -> str:
    """A limit in words: `60 requests per minute`."""
    text = _MEANINGS[name].format(value)
    return text.replace("requests", "request") if value == 1 else text


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLimits:
    """The limits of the next job, and who set them."""

    limits: RateLimits = RateLimits()
    updated_at: datetime | None = None
    updated_by: str = ""
