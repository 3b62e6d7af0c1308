"""The settings of a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from backfill.domain.rate_limits import RateLimits


class Cadence(StrEnum):
    DAILY = "daily"
    MONTH_ENDS = "month-ends"
    YEAR_ENDS = "year-ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobConfig:
    """The request of an operator. Without dates, analytics covers every snapshot; without districts, all districts."""

    start_date: date | None
    end_date: date | None
    target_districts: tuple[str, ...] = ()
    cadence: Cadence = Cadence.DAILY
    skip_existing: bool = True
    rate_limits: RateLimits = field(default_factory=RateLimits)
    initial_limits: RateLimits | None = None
    """The limits with which the job was started, if they were lowered since."""
