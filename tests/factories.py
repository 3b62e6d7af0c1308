"""Factories of valid values: `JobFactory.build(status=Status.PAUSED)`."""
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from hashlib import blake2b
from uuid import uuid4

from factory.base import Factory
from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory

from backfill.domain import (
    SUMMARY,
    Actor,
    AuditAction,
    AuditEntry,
    CalendarMonth,
    Channel,
    Edition,
    Job,
    JobConfig,
    JobType,
    Outcome,
    OutcomeKind,
    Plan,
    PlannedDay,
    ProgramYear,
    Progress,
    Report,
    ReportName,
    Result,
    Snapshot,
    WorkItem,
    month_end_of,
    reports_of,
)
from backfill.errors import JobConflict

NOW = datetime(2024, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
"""The current time of tests, with microseconds."""

DAY = date(2024, 1, 31)
"""The last day of a month."""

CLOSE = date(2024, 2, 9)
"""The last as-of date of that month."""


def named_job(conflict: JobConflict) -> str:
    """Return the id of the job that the error names."""
    return str((conflict.details or {})["jobId"])


def report_of(content: bytes, rows: int = 1) -> Report:
    """Return a report with the bytes and their hash."""
    return Report(
        rows=rows, size=len(content), content_hash=blake2b(content, digest_size=16).hexdigest(), content=content
    )


def reports_for(district: str, mark: str = "") -> Mapping[ReportName, Report]:
    """Return the reports of a snapshot of the district. The content depends on `mark`."""
    return {name: report_of(f'"{name}","{district}","{mark}"\r\n'.encode()) for name in reports_of(district)}


class PlanFactory(Factory[Plan]):
    class Meta:
        model = Plan

    days = (
        PlannedDay(date(2024, 1, 30), (SUMMARY, "01", "F")),
        PlannedDay(
            DAY,
            (SUMMARY, "01", "F"),
            Edition(month_end=DAY, as_of=CLOSE, is_final=True, is_archived=False, asks_blank=False),
        ),
    )


class ProgressFactory(Factory[Progress]):
    class Meta:
        model = Progress

    total_items = 6


class JobConfigFactory(Factory[JobConfig]):
    class Meta:
        model = JobConfig

    start_date = date(2024, 1, 30)
    end_date = DAY


class JobFactory(Factory[Job]):
    class Meta:
        model = Job

    id = LazyFunction(uuid4)
    job_type = JobType.DATA_COLLECTION
    config = SubFactory(JobConfigFactory)
    created_at = NOW
    created_by = "operator"
    progress = SubFactory(ProgressFactory)
    progressed_at = LazyAttribute(lambda job: job.created_at)


class OutcomeFactory(Factory[Outcome]):
    class Meta:
        model = Outcome

    item = Sequence(lambda n: WorkItem(DAY, f"{n % 120 + 1:02d}"))
    kind = OutcomeKind.PROCESSED
    at = NOW
    attempts = 1


class AuditEntryFactory(Factory[AuditEntry]):
    class Meta:
        model = AuditEntry

    id = LazyFunction(uuid4)
    at = NOW
    actor = Actor("operator", Channel.API)
    action = AuditAction.PAUSED
    job_id = LazyFunction(uuid4)
    changes: Mapping[str, tuple[object, object]] = {"status": ("running", "pausing")}


class SnapshotFactory(Factory[Snapshot]):
    class Meta:
        model = Snapshot

    date = DAY
    district = "01"
    data_month = LazyAttribute(lambda snapshot: month_end_of(snapshot.date))
    as_of = CLOSE
    is_final = True
    fetched_at = NOW
    job_id = LazyFunction(uuid4)
    reports = LazyAttribute(lambda snapshot: reports_for(snapshot.district))


class ResultFactory(Factory[Result]):
    class Meta:
        model = Result

    date = DAY
    district = "01"
    program_year = LazyAttribute(lambda result: ProgramYear.of(result.date))
    source_hash = "5" * 32
    schema_version = 3
    input_digest = "b" * 32
    job_id = LazyFunction(uuid4)
    computed_at = NOW
    quality = {"GOALS_DIFFER": 2}
    point = LazyAttribute(
        lambda result: None if result.district == SUMMARY else {"date": f"{result.date}", "members": 20, "goals": None}
    )
    body = LazyAttribute(lambda result: f'{{"date":"{result.date}","districtId":"{result.district}"}}'.encode())


class CalendarMonthFactory(Factory[CalendarMonth]):
    class Meta:
        model = CalendarMonth

    month_end = DAY
    districts = ("01", "02", "F")
    as_of_days = (date(2024, 2, 1), CLOSE)
    is_archived = False
    is_closed = True
    has_blank_close = False
    fetched_at = NOW
