"""The request for a job and its validation before planning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from backfill.domain.calendar import FIRST_DAY
from backfill.domain.digest import stable_digest
from backfill.domain.job import Job
from backfill.domain.job_config import Cadence, JobConfig
from backfill.domain.job_types import JobType
from backfill.domain.plan import SUMMARY, WorkItem, district_order, normalised_district
from backfill.domain.rate_limits import RateLimits
from backfill.errors import InvalidDateRange, InvalidJobType, InvalidRequest


def parsed_job_type(text: str) -> JobType:
    try:
        return JobType(text)
    except ValueError:
        names = " or ".join(JobType)
        raise InvalidJobType({"jobType": [f"jobType must be {names}; it was {text[:40]!r}."]}) from None


def parsed_district(text: str, field: str = "district", *, may_be_summary: bool = True) -> str:
    """The normalised district. Raises InvalidRequest for `field` if it is invalid."""
    if may_be_summary and text == SUMMARY:
        return text
    try:
        return normalised_district(text)
    except ValueError as exc:
        raise InvalidRequest({field: [f"{text[:40]!r} is not a district. {exc}"]}) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A request for a job from any channel, with correct types; `config` validates it."""

    job_type: JobType
    start_date: date | None = None
    end_date: date | None = None
    target_districts: tuple[str, ...] = ()
    cadence: Cadence = Cadence.DAILY
    skip_existing: bool = True
    plan_id: str = ""
    """The plan id of a preview; empty if the start is not bound to one."""
    items: tuple[WorkItem, ...] = ()
    """Exactly these items of the range; empty for all of them. Automatic jobs have items."""
    limit_changes: Mapping[str, float] = field(default_factory=dict)
    """Rate limits of this job only, by name; the others are those of the next job."""

    @classmethod
    def for_items(cls, job_type: JobType, items: Sequence[WorkItem]) -> JobRequest:
        """The request for these items, of which there is at least one."""
        dates = [item.date for item in items]
        return cls(job_type=job_type, start_date=min(dates), end_date=max(dates), items=tuple(items))

    @classmethod
    def like(cls, job: Job) -> JobRequest:
        """The request with the settings of a job, except its rate limits."""
        config = job.config
        return cls(
            job_type=job.job_type,
            start_date=config.start_date,
            end_date=config.end_date,
            target_districts=config.target_districts,
            cadence=config.cadence,
            skip_existing=config.skip_existing,
        )

    def config(self, limits: RateLimits, today: date) -> JobConfig:
        """The request after all checks that need no calendar. Raises InvalidRequest or InvalidDateRange.

        `limits` are those of the next job.
        """
        self._check_dates(today)
        districts = sorted(
            {parsed_district(text, "targetDistricts", may_be_summary=False) for text in self.target_districts},
            key=district_order,
        )
        return JobConfig(
            start_date=self.start_date,
            end_date=self.end_date,
            target_districts=tuple(districts),
            cadence=self.cadence,
            skip_existing=self.skip_existing,
            rate_limits=limits.changed(self.limit_changes),
        )

    def _check_dates(self, today: date) -> None:
        start, end = self.start_date, self.end_date
        missing = [name for name, value in (("startDate", start), ("endDate", end)) if value is None]
        if missing and self.job_type.description.requires_dates:
            raise InvalidRequest(
                {name: [f"{name} is required for {self.job_type}; use a date like 2024-01-31."] for name in missing}
            )
        wrong: dict[str, list[str]] = {}
        if start is not None and start < FIRST_DAY:
            wrong["startDate"] = [f"startDate must not be before {FIRST_DAY}, the first day on the dashboard."]
        if end is not None and end >= today:
            wrong["endDate"] = [f"endDate must be before today ({today}, UTC); the newest possible day is yesterday."]
        if start is not None and end is None and start >= today:  # without an end, it is yesterday
            wrong["startDate"] = [f"startDate must be before today ({today}, UTC): later dates have no data."]
        if end is not None and start is None and end < FIRST_DAY:  # without a start, it is FIRST_DAY
            wrong["endDate"] = [f"endDate must not be before {FIRST_DAY}, the first day on the dashboard."]
        if start is not None and end is not None and start > end:
            wrong.setdefault("startDate", []).append(f"startDate ({start}) must not be after endDate ({end}).")
        if wrong:
            raise InvalidDateRange(wrong)

    def fingerprint(self) -> str:
        """A digest that is equal for equal requests only."""
        items = {"items": [item.key for item in self.items]} if self.items else {}
        of_this_job = {"limitChanges": sorted(self.limit_changes.items())} if self.limit_changes else {}
        return stable_digest(
            {
                "jobType": str(self.job_type),
                "startDate": self.start_date and self.start_date.isoformat(),
                "endDate": self.end_date and self.end_date.isoformat(),
                "targetDistricts": self.target_districts,
                "cadence": str(self.cadence),
                "skipExisting": self.skip_existing,
                "planId": self.plan_id,
                **items,
                **of_this_job,
            }
        )
