"""Frozen values and every rule. Time comes in as an argument; nothing here reads a clock, a file or a database."""

from backfill.domain.calendar import (
    FIRST_DAY,
    CalendarMonth,
    Edition,
    ProgramYear,
    is_month_end,
    month_end_of,
    month_ends,
)
from backfill.domain.job import (
    ACTIVE,
    ENDED,
    IDEMPOTENCY_WINDOW,
    LEASE,
    RENEW_AFTER,
    STALE_AFTER,
    TRANSITIONS,
    Cadence,
    IdempotencyKey,
    Job,
    JobConfig,
    JobFilter,
    JobType,
    Lease,
    Status,
    conflict_details,
)
from backfill.domain.ledger import Outcome, OutcomeFilter, OutcomeKind, Segment, Settled, SkipReason, kinds_in
from backfill.domain.limits import BOUNDS, LIMIT_NAMES, RateLimits, StoredLimits, Timeline, Turn, camel
from backfill.domain.plan import SUMMARY, Plan, PlannedDay, WorkItem, district_order, normalised_district
from backfill.domain.progress import (
    ERRORS_KEPT,
    HISTORY,
    DistrictProgress,
    Estimate,
    ItemError,
    LimiterReport,
    LimiterState,
    Progress,
)
from backfill.domain.request import JobRequest, parsed_district, parsed_job_type
from backfill.domain.snapshot import (
    DISTRICT_REPORTS,
    Report,
    ReportName,
    Snapshot,
    SnapshotFilter,
    StoredEdition,
    reports_of,
)

__all__ = [
    "ACTIVE", "BOUNDS", "DISTRICT_REPORTS", "ENDED", "ERRORS_KEPT", "FIRST_DAY", "HISTORY", "IDEMPOTENCY_WINDOW",
    "LEASE", "LIMIT_NAMES", "RENEW_AFTER", "STALE_AFTER", "SUMMARY", "TRANSITIONS", "Cadence", "CalendarMonth",
    "DistrictProgress", "Edition", "Estimate", "IdempotencyKey", "ItemError", "Job", "JobConfig", "JobFilter",
    "JobRequest", "JobType", "Lease", "LimiterReport", "LimiterState", "Outcome", "OutcomeFilter", "OutcomeKind",
    "Plan", "PlannedDay", "ProgramYear", "Progress", "RateLimits", "Report", "ReportName", "Segment", "Settled",
    "SkipReason", "Snapshot", "SnapshotFilter", "Status", "StoredEdition", "StoredLimits", "Timeline", "Turn",
    "WorkItem", "camel", "conflict_details", "district_order", "is_month_end", "kinds_in", "month_end_of",
    "month_ends", "normalised_district", "parsed_district", "parsed_job_type", "reports_of",
]
