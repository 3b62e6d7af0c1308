"""Immutable values and pure rules. Time is an argument: nothing here reads a clock, a file or a database."""

from backfill.domain.allowed_hours import AllowedHours
from backfill.domain.audit import (
    Actor,
    AuditAction,
    AuditEntry,
    Changes,
    Channel,
    hold_changes,
    job_changes,
    limit_changes,
    target_changes,
)
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
from backfill.domain.calendar_reading import CalendarAccess, CalendarClaim, CalendarProgress
from backfill.domain.coverage import Cell, CoveredDay, CoveredMonth, Gap, StoredDay, covered_days, covered_months, gaps
from backfill.domain.coverage_target import CoverageRule, CoverageTarget, TargetSettings
from backfill.domain.crash_isolation import QUARANTINED_AFTER, CrashIsolation
from backfill.domain.daily_schedule import DailySchedule
from backfill.domain.estimate import Estimate, PastRun, ThroughputHistory, estimate_items, estimate_requests
from backfill.domain.failed_attempts import FailedAttempt, FailedAttempts
from backfill.domain.idempotency import IDEMPOTENCY_WINDOW, IdempotencyKey
from backfill.domain.job import Job
from backfill.domain.job_config import Cadence, JobConfig
from backfill.domain.job_counters import JobCounters
from backfill.domain.job_filter import JobFilter, JobOutcome, outcome_of
from backfill.domain.job_request import JobRequest, parsed_district, parsed_job_type
from backfill.domain.job_types import Breakdown, JobType, JobTypeDescription
from backfill.domain.keeper_state import KEEPER, Findings, KeeperState, MissingReason
from backfill.domain.lease import STANDARD_LEASES, Lease, LeasePolicy, is_alive, missing_worker, waiting_for_worker
from backfill.domain.ledger import (
    LONGEST_EXCERPT,
    Outcome,
    OutcomeFilter,
    OutcomeKind,
    Segment,
    SettledItems,
    SkipReason,
    count_kinds,
)
from backfill.domain.limiter_status import ENDED_BY_OPERATORS, LimiterReport, LimiterState, WaitReason
from backfill.domain.note import LONGEST_NOTE, MOST_NOTES, Note, is_one_line, parsed_note, required_note
from backfill.domain.plan import SUMMARY, Plan, PlannedDay, WorkItem, district_order, normalised_district
from backfill.domain.progress import ERRORS_KEPT, HISTORY, DistrictProgress, FailureGroup, ItemError, Progress
from backfill.domain.progress_counter import ProgressCounter
from backfill.domain.rate_limits import BOUNDS, LIMIT_NAMES, RateLimits, StoredLimits, camel, limit_text
from backfill.domain.request_schedule import Pace, RequestSchedule, Reservation
from backfill.domain.result import Point, Result, ResultMetadata, SnapshotMetadata
from backfill.domain.retries import RetriedGroup, Retry, RetrySummary
from backfill.domain.snapshot import (
    DISTRICT_REPORTS,
    Report,
    ReportName,
    Snapshot,
    SnapshotFilter,
    StoredEdition,
    normalise_column,
    reports_of,
)
from backfill.domain.status import ACTIVE, ENDED, TRANSITIONS, Status
from backfill.domain.target_events import TargetEvents, with_target_event
from backfill.domain.target_status import TargetState, TargetStatus, target_status
from backfill.domain.webhook_event import (
    GIVEN_UP_AFTER,
    HOLD_REPORTED_AFTER,
    WebhookEvent,
    WebhookEvents,
    WebhookEventType,
    hold_event,
)

__all__ = [
    "ACTIVE",
    "BOUNDS",
    "DISTRICT_REPORTS",
    "ENDED",
    "ENDED_BY_OPERATORS",
    "ERRORS_KEPT",
    "FIRST_DAY",
    "GIVEN_UP_AFTER",
    "HISTORY",
    "HOLD_REPORTED_AFTER",
    "IDEMPOTENCY_WINDOW",
    "KEEPER",
    "LIMIT_NAMES",
    "LONGEST_EXCERPT",
    "LONGEST_NOTE",
    "MOST_NOTES",
    "QUARANTINED_AFTER",
    "STANDARD_LEASES",
    "SUMMARY",
    "TRANSITIONS",
    "Actor",
    "AllowedHours",
    "AuditAction",
    "AuditEntry",
    "Breakdown",
    "Cadence",
    "CalendarAccess",
    "CalendarClaim",
    "CalendarMonth",
    "CalendarProgress",
    "Cell",
    "Changes",
    "Channel",
    "CoverageRule",
    "CoverageTarget",
    "CoveredDay",
    "CoveredMonth",
    "CrashIsolation",
    "DailySchedule",
    "DistrictProgress",
    "Edition",
    "Estimate",
    "FailedAttempt",
    "FailedAttempts",
    "FailureGroup",
    "Findings",
    "Gap",
    "IdempotencyKey",
    "ItemError",
    "Job",
    "JobConfig",
    "JobCounters",
    "JobFilter",
    "JobOutcome",
    "JobRequest",
    "JobType",
    "JobTypeDescription",
    "KeeperState",
    "Lease",
    "LeasePolicy",
    "LimiterReport",
    "LimiterState",
    "MissingReason",
    "Note",
    "Outcome",
    "OutcomeFilter",
    "OutcomeKind",
    "Pace",
    "PastRun",
    "Plan",
    "PlannedDay",
    "Point",
    "ProgramYear",
    "Progress",
    "ProgressCounter",
    "RateLimits",
    "Report",
    "ReportName",
    "RequestSchedule",
    "Reservation",
    "Result",
    "ResultMetadata",
    "RetriedGroup",
    "Retry",
    "RetrySummary",
    "Segment",
    "SettledItems",
    "SkipReason",
    "Snapshot",
    "SnapshotFilter",
    "SnapshotMetadata",
    "Status",
    "StoredDay",
    "StoredEdition",
    "StoredLimits",
    "TargetEvents",
    "TargetSettings",
    "TargetState",
    "TargetStatus",
    "ThroughputHistory",
    "WaitReason",
    "WebhookEvent",
    "WebhookEventType",
    "WebhookEvents",
    "WorkItem",
    "calendar_ends",
    "camel",
    "count_kinds",
    "covered_days",
    "covered_months",
    "district_order",
    "edition_of",
    "estimate_items",
    "estimate_requests",
    "gaps",
    "hold_changes",
    "hold_event",
    "is_alive",
    "is_month_end",
    "is_one_line",
    "job_changes",
    "limit_changes",
    "limit_text",
    "missing_worker",
    "month_end_of",
    "month_ends",
    "normalise_column",
    "normalised_district",
    "outcome_of",
    "parsed_district",
    "parsed_job_type",
    "parsed_note",
    "reports_of",
    "required_note",
    "target_changes",
    "target_status",
    "waiting_for_worker",
    "with_target_event",
]
