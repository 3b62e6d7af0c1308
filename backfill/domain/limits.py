"""How hard the dashboard may be pressed: the limits an operator sets, and the timeline that all processes share."""

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

_LONGEST_RESERVATION = timedelta(minutes=5)
"""A timeline that is reserved further ahead was reserved under a clock that has been set back since."""

LONGEST_HOLD = timedelta(hours=24)
"""A dashboard that asks to wait longer is asked again after this time."""


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

    def backoff(self, failures: int, jitter: float) -> timedelta:
        """How long to wait after the given number of failures in a row; `jitter` is between 0 and 1.

        Exponential from the shortest to the longest delay, of which at least half is kept.
        """
        shortest = max(self.min_delay_ms, 100)
        delay = min(shortest * self.backoff_multiplier**failures, max(self.max_delay_ms, shortest))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A stretch of the shared timeline in which one process, and no other, may start requests."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """How far ahead the time of the dashboard is given out, and until when it must be left alone.

    It is stored, and a turn is reserved before it is used: so two servers, a preview beside a job, or a runner that
    comes back from the dead never press the dashboard together harder than one may.
    """

    reserved_until: datetime | None = None
    held_until: datetime | None = None
    hold_reason: str = ""

    def free_at(self, now: datetime) -> datetime:
        """When the next turn would start."""
        start = self.hold(now) or now
        if self.reserved_until is not None and self.reserved_until - start <= _LONGEST_RESERVATION:
            start = max(start, self.reserved_until)
        return start

    def reserved(self, length: timedelta, now: datetime) -> tuple[Timeline, Turn]:
        """The next free turn of that length."""
        starts_at = self.free_at(now)
        turn = Turn(starts_at=starts_at, ends_at=starts_at + length)
        return replace(self, reserved_until=turn.ends_at), turn

    def given_back(self, reserved_until: datetime, free: datetime) -> Timeline:
        """With the rest of a turn returned, where nobody has reserved behind it."""
        if self.reserved_until != reserved_until:
            return self
        return replace(self, reserved_until=min(reserved_until, free))

    def held(self, until: datetime, reason: str, now: datetime) -> Timeline:
        """Left alone until then, or longer where it was held longer already."""
        until = min(until, now + LONGEST_HOLD)
        if self.held_until is not None and self.held_until >= until:
            return self
        return replace(self, held_until=until, hold_reason=reason)

    def hold(self, now: datetime) -> datetime | None:
        """Until when nothing may be asked, None where nothing holds."""
        if self.held_until is None or not now < self.held_until <= now + LONGEST_HOLD:
            return None
        return self.held_until
