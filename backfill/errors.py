"""One small tree of errors. Each carries a sentence that says what to do, its code and whether a retry helps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

_LONGEST = 1000
"""Characters of a message."""


class BackfillError(Exception):
    """The root: what an operator may be told, in one sentence."""

    code: ClassVar[str] = "BACKFILL_ERROR"
    is_retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        # A message is one line, and may quote what came over the network: what no store takes is left out.
        line = " ".join(message.split())[:_LONGEST]
        self.message = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
        super().__init__(self.message)
        self.details = details


# What an operator asked for cannot be done as asked.


class InvalidRequest(BackfillError):
    """A field is wrong; `details` maps each field to its messages."""

    code = "VALIDATION_ERROR"

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        super().__init__(" ".join(text for texts in fields.values() for text in texts), details=dict(fields))


class InvalidJobType(InvalidRequest):
    """The job type is none that this service knows."""

    code = "INVALID_JOB_TYPE"


class InvalidDateRange(InvalidRequest):
    """The two dates make no range that can be collected."""

    code = "INVALID_DATE_RANGE"


class JobNotFound(BackfillError):
    """No job has that id."""

    code = "JOB_NOT_FOUND"


class SnapshotNotFound(BackfillError):
    """Nothing is stored for that date and district."""

    code = "SNAPSHOT_NOT_FOUND"


class AnalyticsNotFound(BackfillError):
    """Nothing was computed of that; the message says which job computes it."""

    code = "ANALYTICS_NOT_FOUND"


class ExportUnavailable(BackfillError):
    """A format needs a package that is not installed."""

    code = "EXPORT_UNAVAILABLE"


class JobConflict(BackfillError):
    """Another job is active; `details` names it and its progress."""

    code = "JOB_ALREADY_RUNNING"
    is_retryable = True


class InvalidJobState(BackfillError):
    """The job is in a state in which this cannot be done."""

    code = "INVALID_JOB_STATE"


class PlanChanged(BackfillError):
    """The plan that was previewed is no longer what a start would run; `details` says what changed."""

    code = "PLAN_CHANGED"


class NothingToRetry(BackfillError):
    """The job has no failed item of the wanted kind."""

    code = "NOTHING_TO_RETRY"


class IdempotencyKeyReused(BackfillError):
    """The same Idempotency-Key came with another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


# What the job's own machinery may meet.


class StorageUnavailable(BackfillError):
    """The job store does not answer: locked, missing, read-only or out of reach."""

    code = "STORAGE_UNAVAILABLE"
    is_retryable = True


class LeaseLost(BackfillError):
    """Another runner holds the job; the one that meets this ends quietly and touches nothing."""

    code = "LEASE_LOST"


class CorruptRecord(BackfillError):
    """Something stored cannot be read; the message names it."""

    code = "CORRUPT_RECORD"


class Stopped(BackfillError):
    """This process is stopping or the job is cancelled: the item is left as if it had never been begun."""

    code = "STOPPED"


class GivenUp(BackfillError):
    """The item has failed as often as it may, while the source answered others."""

    code = "GIVEN_UP"


# What the dashboard may answer. Its own code for every refusal, since an operator acts on each differently.


class DashboardError(BackfillError):
    """An answer that cannot be kept. `is_retryable` says whether asking the same again may help."""

    code = "DASHBOARD_ERROR"
    status: int | None = None
    """The HTTP status of the answer, where that is what is wrong with it."""
    excerpt: str = ""
    """The beginning of the report that was refused."""


class DashboardUnavailable(DashboardError):
    """A calendar is needed and cannot be had."""

    code = "DASHBOARD_UNAVAILABLE"
    is_retryable = True


class LocalProblem(DashboardError):
    """The network of this machine prevents the request, which was not sent. It says nothing about the dashboard."""

    code = "LOCAL_PROBLEM"
    is_retryable = True


class RobotsUnavailable(DashboardError):
    """robots.txt cannot be read, so it is not known what may be requested."""

    code = "ROBOTS_UNAVAILABLE"
    is_retryable = True


class DisallowedByRobots(DashboardError):
    """robots.txt does not allow the request."""

    code = "DISALLOWED_BY_ROBOTS"


class TransientDashboardError(DashboardError):
    """The dashboard or the way to it is in trouble; the same request may succeed later."""

    code = "DASHBOARD_TROUBLE"
    is_retryable = True


class ServerError(TransientDashboardError):
    """The dashboard answered 5xx."""

    code = "SERVER_ERROR"


class Overloaded(ServerError):
    """The dashboard answered 503, without saying when to come back: it has more to do than it can."""


class Throttled(TransientDashboardError):
    """The dashboard asked for fewer requests (429, or 503 with Retry-After).

    `retry_at` is when it may be asked again, None where it did not say.
    """

    code = "THROTTLED"

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class ConnectionFailed(TransientDashboardError):
    """No connection, or it was reset."""

    code = "CONNECTION_FAILED"


class TimedOut(TransientDashboardError):
    """No answer in time."""

    code = "TIMEOUT"


class Truncated(TransientDashboardError):
    """The body ends before its footer, or before its announced length."""

    code = "TRUNCATED"


class HtmlPage(TransientDashboardError):
    """A page where a report should be, or a redirect to one; so it is while a report is broken, often for a while only,
    and for the calendar of a program year that is not published."""

    code = "HTML_PAGE"


class NoRows(TransientDashboardError):
    """Header and footer and nothing between them."""

    code = "NO_ROWS"


class WrongReport(DashboardError):
    """A report that is not the requested one. It can be transient: the server is confused for a moment, or the program
    year moves to the archive. Request it again, then read the calendar again."""

    code = "WRONG_ANSWER"
    is_retryable = True


class RefusedAnswer(DashboardError):
    """An answer that asking again will not change."""

    code = "REFUSED"


class UnexpectedStatus(RefusedAnswer):
    """A status that the protocol does not know: a 4xx, or a redirect to elsewhere."""

    code = "UNEXPECTED_STATUS"


class TooLarge(RefusedAnswer):
    """The body passes the size limit."""

    code = "TOO_LARGE"


class NotCsv(RefusedAnswer):
    """Neither a page nor a report."""

    code = "NOT_CSV"


class MissingColumn(WrongReport):
    """A needed column is missing. If this persists, the format of the export has changed and the parser must follow."""

    code = "MISSING_COLUMN"


class MalformedRow(RefusedAnswer):
    """A row does not have as many cells as the header."""

    code = "MALFORMED_ROW"


class WrongMonth(WrongReport):
    """The footer names another month than was asked for."""

    code = "WRONG_MONTH"


class WrongAsOf(WrongReport):
    """The footer names another as-of day than was asked for."""

    code = "WRONG_AS_OF"


class WrongDistrict(WrongReport):
    """A row belongs to another district than was asked for."""

    code = "WRONG_DISTRICT"
