"""JSON of jobs."""
# ruff: noqa: N802, N815 - field names are the JSON names

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from rest_framework.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DateField,
    DictField,
    FloatField,
    IntegerField,
    ListField,
    UUIDField,
)

from backfill.domain import Cadence, DistrictProgress, ItemError, Job, JobType, LimiterState, Progress, Status
from backfill.serializers.base import (
    CountsField,
    EnumField,
    InstantField,
    MillisecondsField,
    NullableTextField,
    OneDecimalField,
    PageSerializer,
    ResponseSerializer,
    RoundedField,
    ValueSerializer,
)
from backfill.serializers.paths import public_path
from backfill.serializers.rate_limits import RateLimitsSerializer

API = "/api/admin/backfill"

_QUALITY = "Quality notes of computed results, by code."


class JobConfigSerializer(ValueSerializer):
    startDate = DateField(allow_null=True)
    endDate = DateField(allow_null=True)
    targetDistricts = ListField(child=CharField(), help_text="Empty for all districts.")
    cadence = EnumField(Cadence)
    skipExisting = BooleanField()
    rateLimits = RateLimitsSerializer()


class SecondsRangeSerializer(ValueSerializer):
    low = RoundedField()
    high = RoundedField()


class PaceMinuteSerializer(ValueSerializer):
    at = InstantField()
    items = IntegerField()

    def get_at(self, minute: tuple[datetime, int]) -> datetime:
        return minute[0]

    def get_items(self, minute: tuple[datetime, int]) -> int:
        return minute[1]


class PaceSerializer(ValueSerializer):
    itemsPerMinute = OneDecimalField(allow_null=True)
    history = PaceMinuteSerializer(many=True, source="minutes", help_text="The last 30 minutes, oldest first.")


class _NamedDistrict(NamedTuple):
    name: str
    progress: DistrictProgress


class DistrictProgressSerializer(ValueSerializer):
    districtId = CharField(source="name")
    status = ChoiceField(choices=["pending", "processing", "completed", "failed", "skipped"], source="progress.status")
    itemsTotal = IntegerField(source="progress.total")
    itemsProcessed = IntegerField(source="progress.processed")
    itemsFailed = IntegerField(source="progress.failed")
    itemsSkipped = IntegerField(source="progress.skipped")
    lastError = NullableTextField(source="progress.last_error")


class ItemErrorSerializer(ValueSerializer):
    itemId = CharField(source="item_key")
    districtId = CharField()
    date = DateField()
    code = CharField()
    message = CharField()
    occurredAt = InstantField(source="at")
    isRetryable = BooleanField()
    attempts = IntegerField()

    def get_districtId(self, error: ItemError) -> str:
        return error.item_key.partition("/")[2]

    def get_date(self, error: ItemError) -> str:
        return error.item_key.partition("/")[0]


class ListedProgressSerializer(ValueSerializer):
    totalItems = IntegerField()
    processedItems = IntegerField(source="processed")
    failedItems = IntegerField(source="failed")
    skippedItems = IntegerField()
    skipped = CountsField(help_text="Skipped items by reason.")
    quality = CountsField(help_text=_QUALITY)
    percent = FloatField()
    currentItem = NullableTextField()
    estimatedSecondsLeft = RoundedField(
        allow_null=True, help_text="Null before the first item is settled and after the job has ended."
    )
    estimatedSecondsLeftRange = SecondsRangeSerializer(
        source="left", allow_null=True, help_text="Contains the actual duration in nine of ten cases."
    )
    pace = PaceSerializer(source="*")

    def get_estimatedSecondsLeft(self, progress: Progress) -> float | None:
        return progress.left.seconds if progress.left else None


class ProgressSerializer(ListedProgressSerializer):
    districtProgress = DictField(child=DistrictProgressSerializer())
    errors = ItemErrorSerializer(many=True, help_text="The newest 100.")  # type: ignore[assignment]

    def get_districtProgress(self, progress: Progress) -> Mapping[str, _NamedDistrict]:
        return {name: _NamedDistrict(name, district) for name, district in progress.districts.items()}


class CheckpointSerializer(ValueSerializer):
    """Renders a Progress."""

    lastProcessedItem = CharField(source="last_item")
    lastProcessedAt = InstantField(source="last_item_at", allow_null=True)
    itemsCompleted = IntegerField(source="settled_items")


class JobResultSerializer(ValueSerializer):
    """Renders a Job that has ended."""

    itemsProcessed = IntegerField(source="progress.processed")
    itemsFailed = IntegerField(source="progress.failed")
    itemsSkipped = IntegerField(source="progress.skipped_items")
    quality = CountsField(source="progress.quality", help_text=_QUALITY)
    duration = MillisecondsField(help_text="Milliseconds.")
    requestsMade = IntegerField(source="progress.limiter.requests_made")

    def get_duration(self, job: Job) -> timedelta:
        return job.ended_at - (job.started_at or job.ended_at) if job.ended_at else timedelta()


class RateLimiterSerializer(ValueSerializer):
    """Renders a LimiterReport."""

    requestsMade = IntegerField()
    requestsThisMinute = IntegerField()
    state = EnumField(LimiterState)
    requestsByStatus = CountsField(
        source="answers", help_text="By the HTTP status of the response, or by the error code of an unusable response."
    )
    waitedSeconds = CountsField(
        source="waited",
        help_text="Seconds for which the job waited, by reason: pace (the limits), slowed (the dashboard requested "
        "a lower rate), asked-to-wait, down, retry, outside-hours, store.",
    )
    waitingUntil = InstantField(allow_null=True)
    reason = CharField()
    requestsPerMinute = OneDecimalField(
        source="pace",
        allow_null=True,
        help_text="The current rate at which requests may start; below the limit if the dashboard requested a lower "
        "rate.",
    )
    latencyMs = MillisecondsField(source="latency", allow_null=True, help_text="Duration of the last requests.")
    downSince = InstantField(
        allow_null=True, help_text="When the dashboard stopped responding; null while it responds."
    )


class RetriedGroupSerializer(ValueSerializer):
    code = CharField(help_text="The error code in the retried job.")
    items = IntegerField()
    recoveredItems = IntegerField(source="recovered", help_text="Items that the retry processed or skipped.")


class RetrySerializer(ValueSerializer):
    """Renders a Retry."""

    jobId = UUIDField()
    status = EnumField(Status)
    createdAt = InstantField()
    items = IntegerField()
    recoveredItems = IntegerField(source="recovered", help_text="Items that the retry processed or skipped.")
    groups = RetriedGroupSerializer(many=True)


class NoteSerializer(ValueSerializer):
    at = InstantField()
    operator = CharField()
    text = CharField()


class AgainBodySerializer(ValueSerializer):
    """Renders a Job as the request that starts a job with the same settings."""

    jobType = EnumField(JobType)
    startDate = DateField(source="config.start_date", allow_null=True)
    endDate = DateField(source="config.end_date", allow_null=True)
    targetDistricts = ListField(child=CharField(), source="config.target_districts")
    cadence = EnumField(Cadence, source="config.cadence")
    skipExisting = BooleanField(source="config.skip_existing")


class AgainSerializer(ValueSerializer):
    """Renders the request that starts a job with the same settings."""

    method = CharField()
    path = CharField()
    body = AgainBodySerializer(source="*")

    def get_method(self, _: Job) -> str:
        return "POST"

    def get_path(self, _: Job) -> str:
        return public_path(API)


def _path(job_id: UUID, end: str = "") -> str:
    return public_path(f"{API}/{job_id}{end}")


class LinksSerializer(ValueSerializer):
    """Renders the paths that belong to a Job; `cancel` and `retry` only if the job's status allows the action."""

    self = CharField()
    items = CharField()
    cancel = CharField(required=False)
    retry = CharField(required=False)
    retryOf = CharField(required=False)
    again = AgainSerializer(
        source="*", help_text="The request that starts a job with these settings, at the rate limits of the next job."
    )

    def get_self(self, job: Job) -> str:
        return _path(job.id)

    def get_items(self, job: Job) -> str:
        return _path(job.id, "/items")

    def get_cancel(self, job: Job) -> str | None:
        return _path(job.id) if job.status.is_active else None

    def get_retry(self, job: Job) -> str | None:
        return _path(job.id, "/retry") if job.still_failed and not job.status.is_active else None

    def get_retryOf(self, job: Job) -> str | None:
        return _path(job.retry_of) if job.retry_of else None


class ListedJobSerializer(ValueSerializer):
    """A job in lists and webhook messages: without `districtProgress` and `errors`."""

    jobId = UUIDField(source="id")
    jobType = EnumField(JobType)
    status = EnumField(Status)
    config = JobConfigSerializer()
    progress = ListedProgressSerializer()
    checkpoint = CheckpointSerializer(allow_null=True)
    createdAt = InstantField()
    createdBy = CharField()
    startedAt = InstantField(allow_null=True, help_text="The first start; it never changes.")
    completedAt = InstantField(
        source="ended_at", allow_null=True, help_text="When the job completed, failed or was cancelled."
    )
    cancelledAt = InstantField(allow_null=True, help_text="When the cancellation was requested.")
    resumedAt = InstantField(allow_null=True)
    resumeCount = IntegerField()
    retryOf = UUIDField(allow_null=True)
    result = JobResultSerializer(allow_null=True)
    error = NullableTextField()
    stillFailedItems = IntegerField(source="still_failed", help_text="Failed items that no retry recovered.")
    retries = RetrySerializer(many=True, help_text="Later jobs that contain failed items of this job, oldest first.")
    note = NullableTextField(help_text="The newest note.")
    notes = NoteSerializer(many=True, help_text="Oldest first.")
    rateLimiter = RateLimiterSerializer(source="progress.limiter")
    links = LinksSerializer(source="*")

    def get_checkpoint(self, job: Job) -> Progress | None:
        return job.progress if job.progress.last_item else None

    def get_result(self, job: Job) -> Job | None:
        return job if job.ended_at else None


class JobSerializer(ListedJobSerializer, ResponseSerializer):
    """A job with the progress of each district and the newest errors."""

    progress = ProgressSerializer()


class CancelledJobSerializer(JobSerializer):
    """Renders the result of `BackfillService.cancel`."""

    inherited_source = "job"

    previousStatus = EnumField(Status)


class JobPageSerializer(PageSerializer):
    jobs = ListedJobSerializer(many=True, source="rows")
