"""Frozen values and every rule. Time comes in as an argument; nothing here reads a clock, a file or a database."""

from backfill.domain.audit import Actor, AuditEntry, Changes, Deed, Door, job_changes, limit_changes
from backfill.domain.calendar import (
    FIRST_DAY,
    CalendarMonth,
    Edition,
    ProgramYear,
    calendar_ends,
    edition_of,
    is_month_end,
    month_end_of,
    month_ends,
)
from backfill.domain.conflict import conflict_with
from backfill.domain.coverage import Cell, CoveredDay, CoveredMonth, Gap, StoredDay, covered_days, covered_months, gaps
from backfill.domain.estimate import Course, Estimate, Experience, of_items, of_requests
from backfill.domain.flight import QUARANTINED_AFTER, Flight
from backfill.domain.health import ATTEMPTS, DOWN_AFTER, SourceHealth
from backfill.domain.hours import AllowedHours
from backfill.domain.job import (
    IDEMPOTENCY_WINDOW,
    Cadence,
    IdempotencyKey,
    Job,
    JobConfig,
    JobFilter,
    JobType,
)
from backfill.domain.lease import STANDARD_LEASES, Lease, LeasePolicy
from backfill.domain.ledger import Outcome, OutcomeFilter, OutcomeKind, Segment, Settled, SkipReason, kinds_in
from backfill.domain.limits import BOUNDS, LIMIT_NAMES, RateLimits, StoredLimits, camel
from backfill.domain.notice import GIVEN_UP_AFTER, HOLD_TOLD_AFTER, Event, Notice, Notices, hold_notice
from backfill.domain.plan import SUMMARY, Plan, PlannedDay, WorkItem, district_order, normalised_district, requests_of
from backfill.domain.progress import ERRORS_KEPT, HISTORY, DistrictProgress, FailureGroup, ItemError, Progress
from backfill.domain.request import JobRequest, parsed_district, parsed_job_type
from backfill.domain.result import Point, Result, ResultFacts, SnapshotFacts
from backfill.domain.sightings import is_there, waiting_for_worker
from backfill.domain.snapshot import (
    DISTRICT_REPORTS,
    Report,
    ReportName,
    Snapshot,
    SnapshotFilter,
    StoredEdition,
    folded,
    reports_of,
)
from backfill.domain.status import ACTIVE, ENDED, TRANSITIONS, Status
from backfill.domain.tally import Tally
from backfill.domain.timeline import Pace, Timeline, Turn
from backfill.domain.totals import Totals
from backfill.domain.waiting import LimiterReport, LimiterState, WaitReason

__all__ = [
    "ACTIVE",
    "ATTEMPTS",
    "BOUNDS",
    "DISTRICT_REPORTS",
    "DOWN_AFTER",
    "ENDED",
    "ERRORS_KEPT",
    "FIRST_DAY",
    "GIVEN_UP_AFTER",
    "HISTORY",
    "HOLD_TOLD_AFTER",
    "IDEMPOTENCY_WINDOW",
    "LIMIT_NAMES",
    "QUARANTINED_AFTER",
    "STANDARD_LEASES",
    "SUMMARY",
    "TRANSITIONS",
    "Actor",
    "AllowedHours",
    "AuditEntry",
    "Cadence",
    "CalendarMonth",
    "Cell",
    "Changes",
    "Course",
    "CoveredDay",
    "CoveredMonth",
    "Deed",
    "DistrictProgress",
    "Door",
    "Edition",
    "Estimate",
    "Event",
    "Experience",
    "FailureGroup",
    "Flight",
    "Gap",
    "IdempotencyKey",
    "ItemError",
    "Job",
    "JobConfig",
    "JobFilter",
    "JobRequest",
    "JobType",
    "Lease",
    "LeasePolicy",
    "LimiterReport",
    "LimiterState",
    "Notice",
    "Notices",
    "Outcome",
    "OutcomeFilter",
    "OutcomeKind",
    "Pace",
    "Plan",
    "PlannedDay",
    "Point",
    "ProgramYear",
    "Progress",
    "RateLimits",
    "Report",
    "ReportName",
    "Result",
    "ResultFacts",
    "Segment",
    "Settled",
    "SkipReason",
    "Snapshot",
    "SnapshotFacts",
    "SnapshotFilter",
    "SourceHealth",
    "Status",
    "StoredDay",
    "StoredEdition",
    "StoredLimits",
    "Tally",
    "Timeline",
    "Totals",
    "Turn",
    "WaitReason",
    "WorkItem",
    "calendar_ends",
    "camel",
    "conflict_with",
    "covered_days",
    "covered_months",
    "district_order",
    "edition_of",
    "folded",
    "gaps",
    "hold_notice",
    "is_month_end",
    "is_there",
    "job_changes",
    "kinds_in",
    "limit_changes",
    "month_end_of",
    "month_ends",
    "normalised_district",
    "of_items",
    "of_requests",
    "parsed_district",
    "parsed_job_type",
    "reports_of",
    "requests_of",
    "waiting_for_worker",
]
