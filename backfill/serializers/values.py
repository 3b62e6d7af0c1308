"""How values are shown as JSON, to programs over HTTP and with `--json` on the command line alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar
from uuid import uuid4

from backfill.domain import (
    SUMMARY,
    AuditEntry,
    Breakdown,
    CoveredDay,
    Gap,
    Job,
    JobConfig,
    LimiterReport,
    Outcome,
    OutcomeKind,
    Progress,
    RateLimits,
    Snapshot,
    StoredLimits,
    camel,
)
from backfill.errors import BackfillError
from backfill.service.planning import Preview
from backfill.service.queries import Coverage, Series
from backfill.storage import Page

T = TypeVar("T")
Json = dict[str, Any]

API = "/api/admin/backfill"

_IDS_SHOWN = 1000
"""Of the snapshots of a plan, the first ones; `totalItems` counts all of them."""

_DISTRICTS_NAMED = 10
"""Of a gap in the command that fills it, at most."""


def instant(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def milliseconds(length: timedelta) -> int:
    return round(length / timedelta(milliseconds=1))


def metadata(now: datetime) -> Json:
    return {"operationId": str(uuid4()), "timestamp": instant(now)}


def error(exc: BackfillError, now: datetime) -> Json:
    return {
        "error": {
            "code": exc.code,
            "message": exc.message,
            "details": dict(exc.details) if exc.details else None,
            "retryable": exc.is_retryable,
        },
        "metadata": metadata(now),
    }


def page(name: str, found: Page[T], shape: Callable[[T], Json], *, limit: int, offset: int, now: datetime) -> Json:
    return {
        name: [shape(row) for row in found.rows],
        "total": found.total,
        "limit": limit,
        "offset": offset,
        "metadata": metadata(now),
    }


# Jobs.


def rate_limits(limits: RateLimits) -> Json:
    return {camel(name): int(value) if value == int(value) else value for name, value in limits.to_dict().items()}


def stored_limits(stored: StoredLimits) -> Json:
    return {
        **rate_limits(stored.limits),
        "updatedAt": instant(stored.updated_at),
        "updatedBy": stored.updated_by or None,
    }


def _date(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _config(config: JobConfig) -> Json:
    return {
        "startDate": _date(config.start_date),
        "endDate": _date(config.end_date),
        "targetDistricts": list(config.target_districts),
        "cadence": str(config.cadence),
        "skipExisting": config.skip_existing,
        "rateLimits": rate_limits(config.rate_limits),
    }


def _progress(progress: Progress, *, with_detail: bool) -> Json:
    left = progress.left
    pace = progress.items_per_minute
    shape: Json = {
        "totalItems": progress.total_items,
        "processedItems": progress.processed,
        "failedItems": progress.failed,
        "skippedItems": progress.skipped_items,
        "skipped": dict(progress.skipped),
        "quality": dict(progress.quality),
        "percent": progress.percent,
        "currentItem": progress.current_item or None,
        "estimatedSecondsLeft": round(left.seconds) if left else None,
        "estimatedSecondsLeftRange": {"low": round(left.low), "high": round(left.high)} if left else None,
        "pace": {
            "itemsPerMinute": round(pace, 1) if pace is not None else None,
            "history": [{"at": instant(at), "items": count} for at, count in progress.minutes],
        },
    }
    if with_detail:
        shape["districtProgress"] = {
            name: {
                "districtId": name,
                "status": d.status,
                "itemsTotal": d.total,
                "itemsProcessed": d.processed,
                "itemsFailed": d.failed,
                "itemsSkipped": d.skipped,
                "lastError": d.last_error or None,
            }
            for name, d in progress.districts.items()
        }
        shape["errors"] = [
            {
                "itemId": e.item_key,
                "districtId": e.item_key.partition("/")[2],
                "date": e.item_key.partition("/")[0],
                "code": e.code,
                "message": e.message,
                "occurredAt": instant(e.at),
                "isRetryable": e.is_retryable,
                "attempts": e.attempts,
            }
            for e in progress.errors
        ]
    return shape


def _limiter(report: LimiterReport) -> Json:
    return {
        "requestsMade": report.requests_made,
        "requestsThisMinute": report.requests_this_minute,
        "state": str(report.state),
        "requestsByStatus": dict(report.answers),
        "waitedSeconds": {reason: round(seconds) for reason, seconds in report.waited.items()},
        "waitingUntil": instant(report.waiting_until),
        "reason": report.reason,
        "requestsPerMinute": round(report.pace, 1) if report.pace is not None else None,
        "latencyMs": round(1000 * report.latency) if report.latency is not None else None,
        "downSince": instant(report.down_since),
    }


def _links(job: Job) -> Json:
    here = f"{API}/{job.id}"
    links = {"self": here, "items": f"{here}/items"}
    if job.status.is_active:
        links["cancel"] = here
    elif job.progress.failed:
        links["retry"] = f"{here}/retry"
    if job.retry_of:
        links["retryOf"] = f"{API}/{job.retry_of}"
    return links


def _result(job: Job) -> Json | None:
    if job.ended_at is None:
        return None
    progress = job.progress
    return {
        "itemsProcessed": progress.processed,
        "itemsFailed": progress.failed,
        "itemsSkipped": progress.skipped_items,
        "quality": dict(progress.quality),
        "duration": milliseconds(job.ended_at - (job.started_at or job.ended_at)),
        "requestsMade": progress.limiter.requests_made,
    }


def job(value: Job, *, with_detail: bool = True) -> Json:
    """A job; without `districtProgress` and `errors` as lists show it."""
    progress = value.progress
    return {
        "jobId": str(value.id),
        "jobType": str(value.job_type),
        "status": str(value.status),
        "config": _config(value.config),
        "progress": _progress(progress, with_detail=with_detail),
        "checkpoint": {
            "lastProcessedItem": progress.last_item,
            "lastProcessedAt": instant(progress.last_item_at),
            "itemsCompleted": progress.settled_items,
        }
        if progress.last_item
        else None,
        "createdAt": instant(value.created_at),
        "createdBy": value.created_by,
        "startedAt": instant(value.started_at),
        "completedAt": instant(value.ended_at),
        "cancelledAt": instant(value.cancelled_at),
        "resumedAt": instant(value.resumed_at),
        "resumeCount": value.resume_count,
        "retryOf": str(value.retry_of) if value.retry_of else None,
        "result": _result(value),
        "error": value.error or None,
        "rateLimiter": _limiter(progress.limiter),
        "links": _links(value),
    }


def listed_job(value: Job) -> Json:
    return job(value, with_detail=False)


def item(outcome: Outcome) -> Json:
    return {
        "itemId": outcome.item.key,
        "date": outcome.item.date.isoformat(),
        "districtId": outcome.item.district,
        "outcome": str(outcome.kind),
        "reason": outcome.reason or None,
        "message": outcome.message or None,
        "attempts": outcome.attempts,
        "at": instant(outcome.at),
        "isRetryable": outcome.is_retryable if outcome.kind is OutcomeKind.FAILED else None,
        "excerpt": outcome.excerpt or None,
    }


def audit_entry(value: AuditEntry) -> Json:
    return {
        "entryId": str(value.id),
        "at": instant(value.at),
        "operator": value.actor.operator,
        "channel": str(value.actor.channel),
        "action": str(value.action),
        "jobId": str(value.job_id) if value.job_id else None,
        "changes": {name: {"from": was, "to": becomes} for name, (was, becomes) in value.changes.items()},
    }


def preview(value: Preview) -> Json:
    config, plan = value.config, value.plan
    return {
        "jobType": str(value.job_type),
        "totalItems": plan.total_items,
        "dateRange": {"startDate": _date(config.start_date), "endDate": _date(config.end_date)},
        "affectedDistricts": [name for name in plan.district_totals if name != SUMMARY],
        "estimatedDuration": round(1000 * value.duration.seconds),
        "estimatedDurationRange": {
            "low": round(1000 * value.duration.low),
            "high": round(1000 * value.duration.high),
        },
        "estimatedRequests": plan.requests,
        "itemBreakdown": _breakdown(value),
        "skipped": dict(plan.skipped),
        "unpublishedDates": plan.unpublished_dates,
        "planId": value.plan_id,
        "rateLimits": rate_limits(config.rate_limits),
    }


def _breakdown(value: Preview) -> Json:
    plan = value.plan
    if value.job_type.description.breakdown is Breakdown.DATES:
        return {"dates": [day.date.isoformat() for day in plan.days]}
    items = islice((item.key for day in plan.days for item in day.items()), _IDS_SHOWN)
    return {
        "snapshotIds": list(items),
        "missing": plan.total_items - plan.skipped_items - plan.stale,
        "stale": plan.stale,
        "done": plan.skipped_items,
    }


# Snapshots.


def listed_snapshot(value: Snapshot) -> Json:
    return {
        "date": value.date.isoformat(),
        "districtId": value.district,
        "programYear": str(value.program_year),
        "dataMonth": value.data_month.isoformat()[:7],
        "asOf": value.as_of.isoformat(),
        "isFinal": value.is_final,
        "contentHash": value.content_hash,
        "fetchedAt": instant(value.fetched_at),
        "jobId": str(value.job_id),
        "reports": {str(name): {"rows": report.rows, "bytes": report.size} for name, report in value.reports.items()},
    }


def snapshot(value: Snapshot, rows: Sequence[Mapping[str, str]]) -> Json:
    """One snapshot with the rows of its club report, or of the summary."""
    return {**listed_snapshot(value), "districts" if value.district == SUMMARY else "clubs": list(rows)}


# Results and coverage.


def series(value: Series) -> Json:
    return {
        "districtId": value.district,
        "programYear": str(value.program_year),
        "points": [dict(point.figures) for point in value.points],
    }


def covered_days(days: Sequence[CoveredDay]) -> Json:
    return {
        "startDate": _date(days[0].date),
        "endDate": _date(days[-1].date),
        "dates": [
            {"date": day.date.isoformat(), "districts": {name: str(cell) for name, cell in day.cells.items()}}
            for day in days
        ],
    }


def coverage(value: Coverage) -> Json:
    """By months, with the gaps and what fills each."""
    return {
        "startDate": _date(value.first),
        "endDate": _date(value.last),
        "months": [
            {
                "month": month.month_end.isoformat()[:7],
                "districts": {name: str(cell) for name, cell in month.cells.items()},
                "snapshots": dict(month.snapshots),
                "analytics": dict(month.results),
            }
            for month in value.months
        ],
        "gaps": [
            {
                "startDate": _date(gap.first),
                "endDate": _date(gap.last),
                "districts": list(gap.districts),
                "months": gap.months,
                "missingCloses": gap.closes,
                "command": filling_command(gap),
            }
            for gap in value.gaps
        ],
    }


def filling_command(gap: Gap) -> str:
    """What is stored is skipped, so many districts need not be named."""
    districts = [name for name in gap.districts if name != SUMMARY]
    named = "".join(f" --district {name}" for name in districts) if len(districts) <= _DISTRICTS_NAMED else ""
    return f"manage.py backfill start --from {gap.first} --to {gap.last} --cadence month-ends{named}"
