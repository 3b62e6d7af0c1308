"""The settings of a job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from backfill.domain.calendar import ProgramYear, month_end_of
from backfill.domain.rate_limits import RateLimits


class Cadence(StrEnum):
    DAILY = "daily"
    MONTH_ENDS = "month-ends"
    YEAR_ENDS = "year-ends"


def cadence_dates(first: date, last: date, cadence: Cadence) -> Iterator[date]:
    """The snapshot dates of a range that a cadence includes, oldest first."""
    day = first
    while day <= last:
        if cadence is Cadence.DAILY:
            yield day
            day += timedelta(days=1)
            continue
        end = month_end_of(day)
        if end <= last and (cadence is Cadence.MONTH_ENDS or end == ProgramYear.of(end).close):
            yield end
        day = end + timedelta(days=1)


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
