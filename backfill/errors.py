"""The errors of the service. Each has a code, a message for operators, and says whether a retry may help."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

_MAX_MESSAGE = 1000
"""Characters."""


class BackfillError(Exception):
    """The base class. The message is one line for operators."""

    code: ClassVar[str] = "BACKFILL_ERROR"
    is_retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        # A message may quote a response: replace characters that a store or a terminal does not accept.
        line = " ".join(message.split())[:_MAX_MESSAGE]
        self.message = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
        super().__init__(self.message)
        self.details = details


# Requests of operators that cannot be fulfilled.


class InvalidRequest(BackfillError):
    """A field is invalid; `details` maps each field to its messages."""

    code = "VALIDATION_ERROR"

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        super().__init__(" ".join(text for texts in fields.values() for text in texts), details=dict(fields))


class InvalidJobType(InvalidRequest):
    """The job type does not exist."""

    code = "INVALID_JOB_TYPE"


class InvalidDateRange(InvalidRequest):
    """The dates are not a range that can be collected."""

    code = "INVALID_DATE_RANGE"


class JobNotFound(BackfillError):
    """No job has this id."""

    code = "JOB_NOT_FOUND"


class SnapshotNotFound(BackfillError):
    """No snapshot is stored for this date and district."""

    code = "SNAPSHOT_NOT_FOUND"


class AnalyticsNotFound(BackfillError):
    """No result is stored; the message says which job computes it."""

    code = "ANALYTICS_NOT_FOUND"


class ExportUnavailable(BackfillError):
    """The export format requires a package that is not installed."""

    code = "EXPORT_UNAVAILABLE"


class DatasetFolderRefused(BackfillError):
    """The dataset cannot be written into the folder; the message says why."""

    code = "DATASET_FOLDER_REFUSED"


class ValueOutOfRange(BackfillError):
    """A count does not fit into its column of the dataset."""

    code = "VALUE_OUT_OF_RANGE"


class JobConflict(BackfillError):
    """Another job is active; `details` names it and its progress."""

    code = "JOB_ALREADY_RUNNING"
    is_retryable = True


class InvalidJobState(BackfillError):
    """The status of the job does not allow the action."""

    code = "INVALID_JOB_STATE"


class PlanChanged(BackfillError):
    """A start would run another plan than the preview showed; `details` says what changed."""

    code = "PLAN_CHANGED"


class CalendarIncomplete(BackfillError):
    """Pages of the dashboard's calendar are not stored yet; `details` says how many. Repeating the request continues.

    `retry_after`: seconds until the request should be repeated.
    """

    code = "CALENDAR_INCOMPLETE"
    is_retryable = True

    def __init__(self, message: str, *, details: Mapping[str, Any], retry_after: int) -> None:
        super().__init__(message, details=details)
        self.retry_after = retry_after


class CalendarReadDenied(BackfillError):
    """Pages of the dashboard's calendar are not stored, and the operator may not read the dashboard."""

    code = "PERMISSION_DENIED"


class TargetChanged(BackfillError):
    """The coverage target was changed since it was read; `details` has the current version."""

    code = "TARGET_CHANGED"


class NothingToRetry(BackfillError):
    """The job has no failed item that matches the request."""

    code = "NOTHING_TO_RETRY"


class IdempotencyKeyReused(BackfillError):
    """The Idempotency-Key was used for another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


# Errors while a job runs.


class StorageUnavailable(BackfillError):
    """The job store cannot be used: it is locked, missing, read-only or unreachable."""

    code = "STORAGE_UNAVAILABLE"
    is_retryable = True


class LeaseLost(BackfillError):
    """Another runner holds the job; the runner that gets this error ends and writes nothing."""

    code = "LEASE_LOST"


class CorruptRecord(BackfillError):
    """A stored record cannot be read; the message names it."""

    code = "CORRUPT_RECORD"


class Stopped(BackfillError):
    """The process is stopping, or the job is pausing or cancelling: the item stays unprocessed."""

    code = "STOPPED"


class GivenUp(BackfillError):
    """The item has no attempts left; the dashboard responds to other requests."""

    code = "GIVEN_UP"


# Responses of the dashboard. Each kind has its own code, because operators react to each differently.


class DashboardError(BackfillError):
    """A response that cannot be used. `is_retryable`: the same request may succeed later."""

    code = "DASHBOARD_ERROR"
    status: int | None = None
    """The HTTP status, if it is the reason for the error."""
    excerpt: str = ""
    """The beginning of the rejected report."""


class DashboardUnavailable(DashboardError):
    """A required calendar cannot be read."""

    code = "DASHBOARD_UNAVAILABLE"
    is_retryable = True


class NotSent(DashboardError):
    """The request cannot be sent, because the address of the dashboard is not valid."""


class LocalProblem(DashboardError):
    """The network of this machine prevents the request from being sent. The dashboard is not the cause."""

    code = "LOCAL_PROBLEM"
    is_retryable = True


class RobotsUnavailable(DashboardError):
    """robots.txt cannot be read, so it is unknown what may be requested."""

    code = "ROBOTS_UNAVAILABLE"
    is_retryable = True


class DisallowedByRobots(DashboardError):
    """robots.txt does not allow the request."""

    code = "DISALLOWED_BY_ROBOTS"


class TransientDashboardError(DashboardError):
    """The dashboard or the connection to it has a problem; the same request may succeed later."""

    code = "DASHBOARD_TROUBLE"
    is_retryable = True


class ServerError(TransientDashboardError):
    """The dashboard answered 5xx."""

    code = "SERVER_ERROR"


class Overloaded(ServerError):
    """The dashboard answered 503 without Retry-After: it is overloaded."""


class Throttled(TransientDashboardError):
    """The dashboard asked for fewer requests (429, or 503 with Retry-After).

    `retry_at`: when the next request is allowed, None if the response does not say.
    """

    code = "THROTTLED"

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class ConnectionFailed(TransientDashboardError):
    """The connection failed or was reset."""

    code = "CONNECTION_FAILED"


class TimedOut(TransientDashboardError):
    """The response did not arrive in time."""

    code = "TIMEOUT"


class Truncated(TransientDashboardError):
    """The body ends before its footer, or before its announced length."""

    code = "TRUNCATED"


class HtmlPage(TransientDashboardError):
    """An HTML page, or a redirect to one, instead of a report.

    The dashboard sends it while a report is broken, often temporarily, and for the calendar of an unpublished program
    year.
    """

    code = "HTML_PAGE"


class NoRows(TransientDashboardError):
    """The report has a header and a footer but no rows."""

    code = "NO_ROWS"


class NotPublished(NoRows):
    """A report without rows, of a date for which the dashboard has no figures at all."""


class WrongReport(DashboardError):
    """Another report than the requested one.

    It can be temporary, or the program year has moved to the archive: request it again, then read the calendar again.
    """

    code = "WRONG_ANSWER"
    is_retryable = True


class UnexpectedStatus(TransientDashboardError):
    """A status that the protocol does not define: a 4xx, or a redirect to another page.

    If it is the response to everything, the dashboard rejects this service, or is being maintained.
    """

    code = "UNEXPECTED_STATUS"


class NotCsv(TransientDashboardError):
    """Neither an HTML page nor a report."""

    code = "NOT_CSV"


class TooLarge(DashboardError):
    """The body exceeds the size limit, or the report the maximum number of rows."""

    code = "TOO_LARGE"


class MissingColumn(WrongReport):
    """A required column is missing. If this persists, the export format has changed and the parser must be adapted."""

    code = "MISSING_COLUMN"


class MalformedRow(DashboardError):
    """Invalid CSV, or a row and the header differ in their number of cells."""

    code = "MALFORMED_ROW"


class WrongMonth(WrongReport):
    """The footer names another month than the request."""

    code = "WRONG_MONTH"


class WrongAsOf(WrongReport):
    """The footer names another as-of date than the request."""

    code = "WRONG_AS_OF"


class WrongDistrict(WrongReport):
    """A row belongs to another district than the request."""

    code = "WRONG_DISTRICT"
